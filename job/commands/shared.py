"""What several commands share: printing a result, logging to stderr, access to buckets."""

import errno
import sys
from typing import TYPE_CHECKING

from job.config.root import Config
from job.errors import DiskFullError, ExitCode

if TYPE_CHECKING:
    from job.telemetry.logs.setup import LoggingSetup

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def print_result(text: str) -> ExitCode:
    """Writes all of `text` to standard output and returns the exit code of a finished command.

    `cli` handles a closed pipe, as for all output.

    Raises:
        DiskFullError: Standard output is a file on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # Python would try to write the rest again when the process ends.
        sys.stdout = None
        raise DiskFullError(
            f"standard output cannot be written: {error.strerror}. All {len(text)} characters "
            "are needed. Free some space, or send the output somewhere else."
        ) from error
    return ExitCode.FINISHED


def logs_on_stderr(config: Config, *, level: str) -> "LoggingSetup":
    """Sends logs of at least `level` to standard error; a context manager."""
    # `config` only prints: it does not wait for the Prometheus client.
    from job.telemetry.logs.setup import configure_logging

    return configure_logging(
        format="text",
        level=level,
        stream=sys.stderr,
        run=config.run.name,
        worker=0,
        is_terminal=False,
        metrics=None,
    )
