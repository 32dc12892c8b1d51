"""What several commands share: printing a result, logging to stderr, access to buckets."""

import errno
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from job.checkpoints.records import RECORD_LIMIT_BYTES
from job.errors import DiskFullError, ExitCode
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
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


def read_summary(store: ObjectStore, name: str) -> Mapping[str, Any] | None:
    """Reads a `summary.json`; None if it is missing or damaged."""
    try:
        summary = json.loads(store.read(name, limit_bytes=RECORD_LIMIT_BYTES).data)
    except (ObjectMissingError, ObjectTooLargeError, ValueError):
        return None
    return summary if isinstance(summary, dict) else None


def outcome_of(status: str | None, summary: Mapping[str, Any] | None) -> str:
    """How a run ended, for people; a killed process leaves the status "running".

    Args:
        status: From HEAD.json.
        summary: `summary.json`, which tells Ctrl-C from SIGTERM, and an early stop from an end.
    """
    outcome = (summary or {}).get("outcome")
    is_ended = outcome and status not in ("running", "damaged")
    return str(outcome if is_ended else status)


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
