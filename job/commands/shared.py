"""What several commands share: printing a result, logging to stderr, access to buckets."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from job.errors import DiskFullError, ExitCode, TerminatedError
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
from job.storage.open_store import open_store
from job.storage.os_errors import FULL, RUNS
from job.storage.parallel import ParallelDownloader
from job.telemetry.terminal import discard_from_now_on

if TYPE_CHECKING:
    from job.config.root import Config
    from job.telemetry.logs.setup import LoggingSetup

# A person waits for the answer.
_OUTAGE_SECONDS = 30.0
_ROWS_SHOWN = 3


def print_result(text: str) -> ExitCode:
    """Writes all of `text` to standard output and returns the exit code of a finished command.

    A reader that has gone (`... | head`) has seen what it wanted.

    Raises:
        DiskFullError: Standard output is a file on a full disk.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_from_now_on(sys.stdout)
    except OSError as error:
        if error.errno not in FULL:
            raise
        # Python would try to write the rest again when the process ends.
        sys.stdout = None
        raise DiskFullError(
            f"standard output cannot be written: {error.strerror}. All {len(text)} characters "
            "are needed. Free some space, or send the output somewhere else."
        ) from error
    return ExitCode.FINISHED


def open_argument(uri: str, *, key: str) -> ObjectStore:
    """Opens the folder or bucket that a command line names; no configuration belongs to it.

    Whether an emulator is allowed is read from the variable of that configuration key.

    Args:
        uri: The argument.
        key: What `--help` calls it, for messages.
    """
    return open_store(
        uri,
        allow_emulator=_allows_emulator(),
        outage_budget_seconds=_OUTAGE_SECONDS,
        env=os.environ,
        purpose=RUNS.at(key),
    )


def reads_bucket() -> ParallelDownloader:
    """Reaches the files in buckets that a command line names, as `open_argument` does."""
    return ParallelDownloader(
        allow_emulator=_allows_emulator(),
        outage_budget_seconds=_OUTAGE_SECONDS,
        env=os.environ,
    )


def _allows_emulator() -> bool:
    return os.environ.get("SIAMESE_RUN__ALLOW_EMULATOR") == "true"


@contextmanager
def raising_on_sigterm(command: str) -> Iterator[None]:
    """Within the block SIGTERM raises, so that what is half written is removed.

    Args:
        command: Its name, for the message.

    Raises:
        TerminatedError: In the main thread, wherever it is when the signal arrives.
    """

    def stop(number: int, frame: object) -> None:
        raise TerminatedError(
            f"{command} was ended by SIGTERM; nothing was written. The same command starts "
            "over."
        )

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def read_summary(store: ObjectStore, name: str) -> Mapping[str, Any] | None:
    """Reads a `summary.json`; None if it is missing or damaged."""
    # `config validate` answers without the records of checkpoints.
    from job.checkpoints.records import RECORD_LIMIT_BYTES

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
    )


def command_logs(command: str) -> "LoggingSetup":
    """Sends logs from INFO on to standard error, where a terminal shows progress.

    Args:
        command: Its name.
    """
    from job.telemetry.logs.setup import configure_logging

    return configure_logging(format="auto", level="INFO", stream=sys.stderr, run=command)


def quarantine_lines(quarantine: Mapping[str, Any]) -> list[str]:
    """The bad rows of a report, as lines; empty without any."""
    if not quarantine["bad"]:
        return []
    reasons = ", ".join(f"{why} {count:,}" for why, count in quarantine["counts"].items())
    return [
        f"{quarantine['bad']:,} rows are bad and left out ({reasons}):",
        *(
            f"  {row['file']} {row['unit']} {row['line']}: {row['detail']}"
            for row in quarantine["samples"][:_ROWS_SHOWN]
        ),
    ]
