"""Writes what a command was asked for to standard output, which others may read or redirect."""

import errno
import sys

from job.config.root import Config
from job.errors import DiskFullError, ExitCode
from job.telemetry.logs.setup import LoggingSetup, configure_logging

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def print_result(text: str) -> ExitCode:
    """Writes `text`, all of it; the exit code of a command that has nothing more to do.

    A reader that has gone is `cli`'s to answer, as for everything else that is printed.

    Raises:
        DiskFullError: Standard output is a file on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # What could not be written must not be tried again when the process ends.
        sys.stdout = None
        raise DiskFullError(
            f"standard output cannot be written: {error.strerror}. All {len(text)} characters "
            "are needed. Free some space, or send the output somewhere else."
        ) from error
    return ExitCode.FINISHED


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
