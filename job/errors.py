"""Every way the program can end, as exit codes and the exceptions that carry them.

The numbers are public: the docs and the chart's pod failure policy are checked against
`EXIT_CODES`. Code below `cli` raises a `JobError`; only `cli` turns it into a message and a
status::

    raise DataError("data.train: no such file: 'pairs.csv'. Give a path below data.root.")
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

PodFailureAction = Literal["none", "Count", "FailJob", "Ignore"]


class ExitCode(IntEnum):
    """Process exit status, by cause."""

    FINISHED = 0
    UNEXPECTED = 1
    CONFIG = 2
    DATA = 3
    DIVERGED = 4
    NO_PROGRESS = 5
    PERMISSION = 6
    STORAGE_OUTAGE = 69
    DISK_FULL = 74
    PREEMPTED = 75
    PEER_LOST = 76
    STALLED = 77
    FENCED = 78
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass(frozen=True)
class ExitCodeRow:
    """What one exit code means to a person and to a Kubernetes Job."""

    code: ExitCode
    meaning: str
    pod_failure_action: PodFailureAction


EXIT_CODES: tuple[ExitCodeRow, ...] = (
    ExitCodeRow(ExitCode.FINISHED, "finished, or found already finished", "none"),
    ExitCodeRow(ExitCode.UNEXPECTED, "unexpected error", "Count"),
    ExitCodeRow(
        ExitCode.CONFIG,
        "usage or configuration error, a port in use, no such bucket",
        "FailJob",
    ),
    ExitCodeRow(
        ExitCode.DATA,
        "data missing or bad beyond tolerance, or checkpoints present but none usable",
        "FailJob",
    ),
    ExitCodeRow(ExitCode.DIVERGED, "diverged (non-finite loss, by policy)", "FailJob"),
    ExitCodeRow(ExitCode.NO_PROGRESS, "no progress over several restarts", "FailJob"),
    ExitCodeRow(
        ExitCode.PERMISSION,
        "permission denied, or the run is owned by another live process or Job",
        "FailJob",
    ),
    ExitCodeRow(ExitCode.STORAGE_OUTAGE, "storage outage beyond its budget", "Count"),
    ExitCodeRow(ExitCode.DISK_FULL, "disk full", "Count"),
    ExitCodeRow(ExitCode.PREEMPTED, "preempted, state committed", "Ignore"),
    ExitCodeRow(ExitCode.PEER_LOST, "peer lost", "Ignore"),
    ExitCodeRow(ExitCode.STALLED, "watchdog: no progress, stacks dumped", "Count"),
    ExitCodeRow(ExitCode.FENCED, "fenced by a newer attempt", "Ignore"),
    ExitCodeRow(ExitCode.INTERRUPTED, "Ctrl-C, state committed", "none"),
    ExitCodeRow(ExitCode.TERMINATED, "SIGTERM before the handler was up", "Ignore"),
)


class JobError(Exception):
    """A failure with a cause a person can act on.

    The message says what was received, what is allowed and what to do.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED


class ConfigError(JobError):
    """The command line, the configuration or the environment asks for the impossible."""

    exit_code = ExitCode.CONFIG


class CallbackError(JobError):
    """A callback of the user's own failed."""

    exit_code = ExitCode.UNEXPECTED


class DataError(JobError):
    """Input data is missing, or bad beyond `data.max_bad_fraction`."""

    exit_code = ExitCode.DATA


class CheckpointError(JobError):
    """Checkpoints are present but none of them can be used."""

    exit_code = ExitCode.DATA


class DivergedError(JobError):
    """The loss stopped being finite and `callbacks.terminate_on_nan` is on."""

    exit_code = ExitCode.DIVERGED


class NoProgressError(JobError):
    """Several attempts trained and none of them committed anything new."""

    exit_code = ExitCode.NO_PROGRESS


class PermissionDeniedError(JobError):
    """A file, folder or bucket refused access, or another live process owns the run."""

    exit_code = ExitCode.PERMISSION


class StorageOutageError(JobError):
    """The object store stayed unavailable for longer than its budget."""

    exit_code = ExitCode.STORAGE_OUTAGE


class DiskFullError(JobError):
    """A write failed for want of space; nothing already committed was touched."""

    exit_code = ExitCode.DISK_FULL


class PreemptedError(JobError):
    """SIGTERM arrived; everything up to the last finished step is committed."""

    exit_code = ExitCode.PREEMPTED


class FencedError(JobError):
    """A newer attempt took over the run; this process must write nothing more."""

    exit_code = ExitCode.FENCED


class InterruptedByUserError(JobError):
    """Ctrl-C arrived; everything up to the last finished step is committed."""

    exit_code = ExitCode.INTERRUPTED
