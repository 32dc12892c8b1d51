"""`siamese-job launch --workers N CONFIG`: several workers on this machine."""

import argparse
import os
import sys
from pathlib import Path

from job.commands.shared import logs_on_stderr
from job.commands.train import command_line
from job.config.loader.load_config import load_config
from job.errors import ConfigError
from job.run.launcher.launch import Command, launch
from job.run.launcher.loopback import free_port_pairs, worker_environment

_MAX_WORKERS = 64


def run(args: argparse.Namespace) -> int:
    """Starts the workers and waits for them."""
    if not 1 <= args.workers <= _MAX_WORKERS:
        raise ConfigError(
            f"--workers: {args.workers} is not allowed. Give a number from 1 to {_MAX_WORKERS}."
        )
    # What is wrong with it is said once, not by each worker.
    config = load_config(Path(args.config), env=os.environ, sets=args.set).config
    ports = free_port_pairs(args.workers)
    commands = [
        Command(
            command_line(args, port=_metrics_port(config.metrics.port, worker=worker)),
            worker_environment(os.environ, worker=worker, ports=ports),
        )
        for worker in range(args.workers)
    ]
    with logs_on_stderr(config, level="WARNING"):
        return launch(
            commands,
            json_logs=config.logging.format == "json",
            out=sys.stdout.buffer,
            err=sys.stderr.buffer,
        )


def _metrics_port(configured: int, *, worker: int) -> int | None:
    """The port of a worker that is not the configured one: the others serve those behind it."""
    if worker == 0 or configured == 0:
        return None
    port = configured + worker
    if port > 65_535:
        raise ConfigError(
            f"metrics.port: {configured} leaves no port for worker {worker}, which serves "
            f"{configured} + {worker}. Allowed is a port up to {65_535 - worker}, or 0, which "
            "takes any."
        )
    return port
