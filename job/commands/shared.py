"""What several commands share: printing a result, logging to stderr, access to buckets."""

import errno
import os
import sys
from typing import TYPE_CHECKING

from job.errors import DiskFullError, ExitCode
from job.storage.object_store import ObjectStore
from job.storage.open_store import open_store

if TYPE_CHECKING:
    from job.config.root import Config
    from job.telemetry.logs.setup import LoggingSetup

# A person waits for the answer.
_OUTAGE_SECONDS = 30.0
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


def open_argument(uri: str) -> ObjectStore:
    """Opens the folder or bucket that a command line names; no configuration belongs to it.

    Whether an emulator is allowed is read from the variable of that configuration key.
    """
    return open_store(
        uri,
        allow_emulator=os.environ.get("SIAMESE_RUN__ALLOW_EMULATOR") == "true",
        outage_budget_seconds=_OUTAGE_SECONDS,
        env=os.environ,
    )


def logs_on_stderr(config: "Config", *, level: str) -> "LoggingSetup":
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
