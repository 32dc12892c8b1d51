"""The folder a run lives in, and what an earlier attempt left there. Reads only."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from job.checkpoints.reading import read_head, read_stored_config
from job.config.binding import as_record, binding_diff
from job.config.root import Config
from job.errors import ConfigError
from job.storage.lock import RunLock
from job.storage.open import open_store
from job.storage.protocol import ObjectStore
from job.types import Json


@dataclass(frozen=True)
class RunFolder:
    """Where a run lives.

    Attributes:
        uri: For people: `<run.root>/<run.name>`.
        store: Everything in it.
        lock: Held while this process may write there.
    """

    uri: str
    store: ObjectStore
    lock: RunLock

    def locked(self) -> AbstractContextManager[object]:
        """Holds the folder for the block; it may be held already."""
        return nullcontext() if self.lock.is_held else self.lock

    def exists(self) -> bool:
        """Whether something is there already."""
        return self.lock.folder.is_dir()


def config_sha256(record: Mapping[str, Json]) -> str:
    """Fingerprint of a resolved configuration, hexadecimal."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def open_run_folder(config: Config) -> RunFolder:
    """The folder of the run, untouched.

    Raises:
        ConfigError: A run of another configuration lives there.
    """
    uri = f"{config.run.root.rstrip('/')}/{config.run.name}"
    folder = RunFolder(uri, open_store(uri), RunLock(Path(uri.removeprefix("file://"))))
    stored = read_stored_config(folder.store)
    differences = binding_diff(stored, as_record(config)) if stored is not None else []
    if differences:
        raise ConfigError(
            f"{uri} holds a run of another configuration:\n  "
            + "\n  ".join(differences)
            + "\nUndo the change to go on with that run, or choose another run.name."
        )
    return folder


def finished_facts(folder: RunFolder, *, config: Config) -> Mapping[str, Json] | None:
    """What is known of a run that has nothing left to do, None for any other run."""
    head = read_head(folder.store)
    if head is None or head.status != "completed":
        return None
    stopping = config.callbacks.early_stopping
    is_finished = nothing_left(
        head.facts,
        epochs=config.training.epochs,
        patience_epochs=stopping.patience_epochs if stopping else None,
    )
    if not is_finished:
        return None
    shown = ("outcome", "epochs", "global_step")
    return {**{name: head.facts[name] for name in shown}, "attempts": head.token}


def nothing_left(
    facts: Mapping[str, Json], *, epochs: int, patience_epochs: int | None
) -> bool:
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
