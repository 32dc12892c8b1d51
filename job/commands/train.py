"""`siamese-job train CONFIG`: from a configuration to a trained, evaluated, exported model."""

import argparse
import os
import sys
from pathlib import Path

from job.config.loader.load_config import load_config
from job.distribution.cluster import cluster_of
from job.errors import ExitCode
from job.run.supervisor.supervise import is_to_supervise, supervise
from job.training.signals import StopSignal


def run(args: argparse.Namespace) -> int:
    """Trains, or supervises the process that does."""
    stop = StopSignal()
    stop.install()
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    section, cluster = loaded.config.distribution, cluster_of(os.environ)
    if is_to_supervise(section, cluster=cluster, env=os.environ):
        # A process that is started again with --from would drop what the first one committed.
        restarts = section.restarts if args.from_step is None else 0
        return supervise(
            loaded, command_line(args), cluster=cluster, stop=stop, restarts=restarts
        )
    # The supervisor needs none of it, and stays small.
    from job.run.train import train

    train(loaded, stop=stop, from_step=args.from_step)
    return ExitCode.FINISHED


def command_line(args: argparse.Namespace, *, port: int | None = None) -> list[str]:
    """The command line of a process that does what this one was asked to.

    Args:
        args: Of this process.
        port: Replaces `metrics.port`.
    """
    sets = [*args.set, *([] if port is None else [f"metrics.port={port}"])]
    # -P: a folder `job` in the working directory is not the program.
    words = [sys.executable, "-P", "-m", "job", "train", str(args.config)]
    words += [word for assignment in sets for word in ("--set", assignment)]
    if args.from_step is not None:
        words += ["--from", str(args.from_step)]
    return words
