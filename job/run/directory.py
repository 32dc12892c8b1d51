"""The folder a run lives in, and what an earlier attempt left there. Reads only."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from job.checkpoints.restore import read_head, read_stored_config
from job.config.resume import as_record, binding_diff
from job.config.root import Config
from job.errors import ConfigError
from job.storage.object_store import ObjectStore
from job.storage.open_store import below, local_folder, open_store
from job.storage.run_lock import RunLock
from job.types import Json


@dataclass(frozen=True)
class RunDirectory:
    """Where a run lives.

    Attributes:
        uri: For people: `<run.root>/<run.name>`.
        store: Everything in it.
        lock: Held while this process may write in a folder of this machine; None for a bucket,
            where HEAD.json alone says who may write.
    """

    uri: str
    store: ObjectStore
    lock: RunLock | None

    @property
    def is_remote(self) -> bool:
        """Whether it outlives this machine."""
        return self.lock is None

    def locked(self) -> AbstractContextManager[object]:
        """Holds the folder for the block; it may be held already."""
        return nullcontext() if self.lock is None or self.lock.is_held else self.lock

    def locked_if_there(self) -> AbstractContextManager[object]:
        """Holds the folder for the block, unless that would have to make it first."""
        is_there = self.lock is not None and self.lock.folder.is_dir()
        return self.locked() if is_there else nullcontext()


def config_sha256(record: Mapping[str, Json]) -> str:
    """Fingerprint of a resolved configuration, hexadecimal."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def run_uri(config: Config) -> str:
    """Where a run lives, for people and for `open_store`."""
    return below(config.run.root, config.run.name)


def open_run_directory(
    config: Config, *, env: Mapping[str, str], sleep: Callable[[float], None] = time.sleep
) -> RunDirectory:
    """The folder of the run, untouched.

    Args:
        config: Names it.
        env: The process' environment; it may name an emulator of a bucket.
        sleep: Waits between two tries to reach a bucket; it may raise to end them.

    Raises:
        ConfigError: A run of another configuration lives there, or there is no such bucket.
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
    local = local_folder(uri)
    folder = RunDirectory(uri, store, None if local is None else RunLock(local))
    stored = read_stored_config(folder.store)
    differences = binding_diff(stored, as_record(config)) if stored is not None else []
    if differences:
        raise ConfigError(
            f"{uri} holds a run of another configuration:\n  "
            + "\n  ".join(differences)
            + "\nUndo the change to go on with that run, or choose another run.name."
        )
    return folder


def completed_summary(folder: RunDirectory, *, config: Config) -> Mapping[str, Json] | None:
    """What is known of a run that has nothing left to do, None for any other run."""
    head = read_head(folder.store)
    if head is None or head.status != "completed":
        return None
    stopping = config.callbacks.early_stopping
    is_finished = is_complete(
        head.facts,
        epochs=config.training.epochs,
        patience_epochs=stopping.patience_epochs if stopping else None,
    )
    if not is_finished:
        return None
    shown = ("outcome", "epochs", "global_step")
    return {**{name: head.facts[name] for name in shown}, "attempts": head.token}


def is_complete(facts: Mapping[str, Json], *, epochs: int, patience_epochs: int | None) -> bool:
    """Whether a completed run stays completed under what may have been changed since.

    Args:
        facts: As `finish_facts` wrote them.
        epochs: `training.epochs` now.
        patience_epochs: Of early stopping now; None when it is off.
    """
    done, before = facts["epochs"], facts["patience_epochs"]
    if isinstance(done, int) and done >= epochs:
        return True
    if not facts["stop_reason"]:
        return False
    return not (
        isinstance(before, int) and patience_epochs is not None and patience_epochs > before
    )
