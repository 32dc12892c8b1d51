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
    LOCAL_STORAGE = 74
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
    ExitCodeRow(
        ExitCode.NO_PROGRESS, "trained several times, committed nothing new", "FailJob"
    ),
    ExitCodeRow(
        ExitCode.PERMISSION,
        "permission denied for good, or the run belongs to another release or Job",
        "FailJob",
    ),
    ExitCodeRow(ExitCode.STORAGE_OUTAGE, "storage outage beyond its budget", "Ignore"),
    ExitCodeRow(
        ExitCode.LOCAL_STORAGE,
        "disk full, or the run's lock still held after waiting",
        "Count",
    ),
    ExitCodeRow(ExitCode.PREEMPTED, "preempted, state committed", "Ignore"),
    ExitCodeRow(ExitCode.PEER_LOST, "peer lost", "Ignore"),
    ExitCodeRow(
        ExitCode.STALLED,
        "no progress, killed by a probe, or startup budget spent",
        "Count",
    ),
    ExitCodeRow(ExitCode.FENCED, "fenced by a newer attempt", "Ignore"),
    ExitCodeRow(ExitCode.INTERRUPTED, "Ctrl-C, state committed", "none"),
    ExitCodeRow(
        ExitCode.TERMINATED,
        "SIGTERM before the handler was up, or a second one before the commit",
        "Ignore",
    ),
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


class StopError(JobError):
    """A signal asked the process to stop."""


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
    """Several attempts trained and committed nothing new."""

    exit_code = ExitCode.NO_PROGRESS


class PermissionDeniedError(JobError):
    """A file, folder or bucket refused access, or the run belongs to another Job."""

    exit_code = ExitCode.PERMISSION


class StorageOutageError(JobError):
    """The object store stayed unavailable for longer than its budget."""

    exit_code = ExitCode.STORAGE_OUTAGE


class DiskFullError(JobError):
    """A write failed for want of space; nothing already committed was touched."""

    exit_code = ExitCode.LOCAL_STORAGE


class LockHeldError(JobError):
    """Another live process kept the run's lock for as long as this one waited."""

    exit_code = ExitCode.LOCAL_STORAGE


class PreemptedError(StopError):
    """SIGTERM arrived; everything up to the last finished step is committed."""

    exit_code = ExitCode.PREEMPTED


class TerminatedError(StopError):
    """SIGTERM arrived at a command that had nothing to commit."""

    exit_code = ExitCode.TERMINATED


class StalledError(StopError):
    """SIGTERM arrived because a probe failed: the process made no progress."""

    exit_code = ExitCode.STALLED


class PeerLostError(JobError):
    """Another worker ended, froze or never came; the state of this one is not saved."""

    exit_code = ExitCode.PEER_LOST


class FencedError(JobError):
    """A newer attempt took over the run; this process must write nothing more."""

    exit_code = ExitCode.FENCED


class InterruptedByUserError(StopError):
    """Ctrl-C arrived; everything up to the last finished step is committed."""

    exit_code = ExitCode.INTERRUPTED
