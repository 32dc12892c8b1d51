"""Logs of a command whose standard output is its result."""

import sys

from job.config.root import Config
from job.telemetry.logs import LoggingSetup, configure_logging


def logs_on_stderr(config: Config, *, level: str) -> LoggingSetup:
    """Sends logs to standard error; a context manager.

    Args:
        config: Gives the run's name.
        level: Least severe level that is written.
    """
    return configure_logging(
        format="text",
        level=level,
        stream=sys.stderr,
        run=config.run.name,
        worker=0,
        is_terminal=False,
        metrics=None,
    )
