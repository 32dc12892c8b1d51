"""The run directory: where it is, who may use it, what is in it.

It writes the lock file and, in the bucket of a new run, an object that tests the permissions;
what a run stores is written through `CheckpointManager`.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from job.checkpoints.records import StoredConfig
from job.checkpoints.restore import read_head, read_stored
from job.checkpoints.rewind import entry_at
from job.config.resume import as_record, binding_diff, changed_settings
from job.config.root import Config
from job.distribution.kubernetes import Pod, ends_with_the_pod, host_of, pod_of
from job.errors import ConfigError, DivergedError, ExitCode
from job.storage.object_store import ObjectStore
from job.storage.open_store import below, local_folder, open_store
from job.storage.preflight import check_permissions
from job.storage.run_lock import WAIT_SECONDS, RunLock
from job.telemetry.termination_message import write_termination_message
from job.types import Json

log = logging.getLogger(__name__)

# How long an NFS server may keep the lock of a client that died (NFSv4 leases last 90 s).
_LEASE_SECONDS = 120.0


@dataclass(frozen=True)
class RunDirectory:
    """Where a run is stored.

    Attributes:
        uri: `<run.root>/<run.name>`, for people.
        store: Its objects.
        lock: Held while this process may write to a local directory; None for a bucket, where
            HEAD.json alone decides who may write.
        stored: What the run was started with, as of opening; None for a new run.
    """

    uri: str
    store: ObjectStore
    lock: RunLock | None
    stored: StoredConfig | None

    def locked(self) -> AbstractContextManager[object]:
        """Holds the lock during the block; it may be held already."""
        return nullcontext() if self.lock is None or self.lock.is_held else self.lock

    def locked_if_exists(self) -> AbstractContextManager[object]:
        """Holds the lock during the block, unless the directory does not exist yet."""
        exists = self.lock is not None and self.lock.folder.is_dir()
        return self.locked() if exists else nullcontext()

    def read_derived(self) -> Mapping[str, int]:
        """Settings that the run's first attempt derived, by name; empty for a new run.

        Called after the lock is acquired: its last holder may have started the run.
        """
        stored = self.stored if self.lock is None else read_stored(self.store)
        return {} if stored is None else stored.derived

    def check_permissions(self) -> None:
        """Makes sure that a new run can write its bucket, before training has anything to lose.

        A resumed run uses every permission when it takes the run over: it reads, lists, and
        replaces HEAD, which needs the permissions to create and to delete.

        Raises:
            PermissionDeniedError: A permission is missing.
            StorageOutageError: The bucket does not answer.
        """
        if self.lock is None and self.stored is None:
            check_permissions(self.store, nonce=secrets.token_hex(4))

    def warn_if_ephemeral(self, pod: Pod | None) -> None:
        """Warns if the directory is deleted together with the pod."""
        if pod and self.lock is not None and ends_with_the_pod(self.lock.folder):
            log.warning(
                "run folder ends with this pod",
                extra={
                    "folder": self.uri,
                    "meaning": "the next pod starts over",
                    "remedy": "set run.root to gs://bucket/prefix or to a mounted volume",
                },
            )


def run_uri(config: Config) -> str:
    """Location of the run, for people and for `open_store`."""
    return below(config.run.root, config.run.name)


def open_run_directory(
    config: Config,
    *,
    env: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
    check_stop: Callable[[], None] = lambda: None,
) -> RunDirectory:
    """Finds the run directory and compares its configuration.

    Args:
        config: The resolved configuration.
        env: Environment variables; they describe the pod, and may name an emulator of a bucket.
        sleep: Waits between two tries to reach a bucket; may raise to stop.
        check_stop: Called while the lock is waited for; may raise to stop.

    Raises:
        ConfigError: It holds a run of another configuration, or the bucket does not exist.
        PermissionDeniedError: It may not be read.
        StorageOutageError: The bucket does not answer.
    """
    uri = run_uri(config)
    store = open_store(
        uri,
        allow_emulator=config.run.allow_emulator,
        outage_budget_seconds=config.checkpoint.outage_budget_seconds,
        sleep=sleep,
        env=env,
    )
    stored = read_stored(store)
    if stored is not None:
        require_same_config(stored, config=config, uri=uri)
    local = local_folder(uri)
    lock = None
    if local is not None:
        lock = _run_lock(local, pod=pod_of(env), check_stop=check_stop)
    return RunDirectory(uri, store, lock, stored)


def require_same_config(stored: StoredConfig, *, config: Config, uri: str) -> None:
    """Rejects a configuration that the stored run cannot resume with.

    Raises:
        ConfigError: A binding key differs.
    """
    differences = binding_diff(stored.config, as_record(config))
    if differences:
        raise ConfigError(
            f"{uri} holds a run of another configuration:\n  "
            + "\n  ".join(differences)
            + "\nUndo the change to resume that run, or use another run.name."
        )


def _run_lock(folder: Path, *, pod: Pod | None, check_stop: Callable[[], None]) -> RunLock:
    """The lock of a local run folder; a pod outwaits the one that it replaces."""
    return RunLock(
        folder,
        host=host_of(pod),
        job_uid=pod.job_uid if pod else "",
        wait_seconds=pod.grace_seconds + _LEASE_SECONDS if pod else WAIT_SECONDS,
        check_stop=check_stop,
    )


def require_checkpoint(directory: RunDirectory, *, step: int) -> None:
    """Rejects a step without a checkpoint, before anything is loaded.

    Raises:
        ConfigError: There is no run, or HEAD lists no checkpoint of that step.
    """
    if directory.stored is None:
        raise ConfigError(
            f"--from {step}: {directory.uri} contains no run. Only a run with checkpoints can "
            "resume. Leave --from out to start it, or check run.name and run.root."
        )
    head = read_head(directory.store)
    if head is not None:  # a lost one is rebuilt first
        entry_at(head, step, uri=directory.uri)


@contextmanager
def naming_finite_checkpoint(directory: RunDirectory) -> Iterator[None]:
    """Adds to the error of a diverged run which checkpoint can be trained again.

    Raises:
        DivergedError: Instead of the block's.
    """
    try:
        yield
    except DivergedError as error:
        head = read_head(directory.store)
        finite = [one.step for one in head.checkpoints if one.finite] if head else []
        if not finite:
            raise
        raise DivergedError(
            f"{error} The newest checkpoint with finite weights is that of step {finite[-1]}: "
            f"`siamese-job train CONFIG --from {finite[-1]}` resumes there."
        ) from error


def reported_complete(directory: RunDirectory, *, config: Config) -> bool:
    """Whether the run has nothing left to do; if so, logs that."""
    if directory.stored is None:
        return False
    head = read_head(directory.store)
    stopping = config.callbacks.early_stopping
    if (
        head is None
        or head.status != "completed"
        or not is_complete(
            head.facts,
            epochs=config.training.epochs or directory.stored.derived.get("epochs_budget"),
            patience_epochs=stopping.patience_epochs if stopping else None,
        )
    ):
        return False
    shown = {name: head.facts[name] for name in ("outcome", "epochs", "global_step")}
    facts = {"folder": directory.uri, **shown, "attempts": head.token}
    log.info("already finished", extra=facts)
    log.info("nothing to do", extra={"to_go_on": "raise training.epochs"})
    _warn_of_settings(head.facts, config=config)
    write_termination_message(ExitCode.FINISHED, "already finished", facts=facts)
    return True


def _warn_of_settings(facts: Mapping[str, Json], *, config: Config) -> None:
    """Warns of settings that a finished run would have needed before it ended."""
    stored = facts.get("settings")  # an older version did not store them
    changed = changed_settings(stored, config) if isinstance(stored, Mapping) else {}
    if not changed:
        return
    is_measured = any(key.startswith("evaluation.") for key in changed)
    log.warning(
        "settings not applied",
        extra={
            "keys": [f"{key}: {values}" for key, values in changed.items()],
            **({"to_look": "siamese-job evaluate CONFIG"} if is_measured else {}),
            "to_apply": f"siamese-job train CONFIG --from {facts['global_step']}, which "
            "replaces the results; copy the run folder first to keep them",
        },
    )


def is_complete(
    facts: Mapping[str, Json], *, epochs: int | None, patience_epochs: int | None
) -> bool:
    """Whether a completed run is still complete under the current configuration.

    Args:
        facts: From HEAD, as `run.finalize` wrote them.
        epochs: `training.epochs`, or the budget of the run where that is null; None if neither
            is known before the data are read.
        patience_epochs: Of early stopping; None if it is off.
    """
    done, before = facts["epochs"], facts["patience_epochs"]
    if isinstance(done, int) and epochs is not None and done >= epochs:
        return True
    if not facts["stop_reason"]:
        return False
    return not (
        isinstance(before, int) and patience_epochs is not None and patience_epochs > before
    )
