"""`siamese-job train CONFIG`: from a configuration to a trained, evaluated, exported model."""

import argparse
import os
from pathlib import Path

from job.config.loader.load_config import load_config
from job.errors import ExitCode
from job.run.train import train
from job.training.signals import StopSignal


def run(args: argparse.Namespace) -> ExitCode:
    """Trains."""
    stop = StopSignal()
    stop.install()
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    train(loaded, stop=stop, from_step=args.from_step)
    return ExitCode.FINISHED
