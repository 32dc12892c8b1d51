"""Writing and removing a checkpoint's objects, in the order that every crash survives.

Writing: data, then COMMIT.json. Removing: HEAD no longer names the checkpoint (the caller sees
to that), then COMMIT.json, then data. So a commit record never stands beside missing data, and
HEAD never names what is gone.
"""

import hashlib
import logging
from collections.abc import Sequence

import google_crc32c
import numpy as np

from job.checkpoints.canonical import DamagedError
from job.checkpoints.layout import COMMIT, CheckpointDir, list_dirs
from job.checkpoints.reading import read_commit
from job.checkpoints.records import (
    CheckpointEntry,
    CommitRecord,
    Head,
    ObjectRecord,
    dumps,
)
from job.checkpoints.state import Variables
from job.errors import (
    CheckpointError,
    ConfigError,
    DiskFullError,
    PermissionDeniedError,
    StorageOutageError,
)
from job.storage.protocol import (
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    PreconditionFailedError,
)

log = logging.getLogger(__name__)

# What stands in the way of removing one object and of nothing else. Not every `JobError`:
# a store that is away stays so for the next object, at the price of another whole budget, and
# a request to stop arrives as one, too, out of a wait for the store.
KEPT = (CheckpointError, ConfigError, DiskFullError, PermissionDeniedError)


def put_object(store: ObjectStore, dir: str, name: str, data: bytes) -> ObjectRecord:
    """Writes one new object of a checkpoint and returns its record.

    Raises:
        StorageOutageError: The store holds something else than was sent.
    """
    stat = _put_new(store, f"{dir}/{name}", data)
    return ObjectRecord(
        name=name,
        size=stat.size,
        crc32c=stat.crc32c,
        sha256=hashlib.sha256(data).hexdigest(),
        generation=stat.generation,
    )


def put_commit(store: ObjectStore, dir: str, commit: CommitRecord) -> tuple[str, int]:
    """Writes the record that makes a checkpoint exist; returns its sha256 and generation.

    Raises:
        StorageOutageError: The store holds something else than was sent.
    """
    data = dumps(commit)
    stat = _put_new(store, f"{dir}/{COMMIT}", data)
    return hashlib.sha256(data).hexdigest(), stat.generation


def delete_checkpoints(
    store: ObjectStore, entries: Sequence[CheckpointEntry], *, run: str
) -> None:
    """Removes checkpoints that HEAD no longer names.

    A checkpoint that may not be removed costs space and nothing else, so it is logged and the
    run goes on.

    Raises:
        StorageOutageError: The store is away; nothing more was tried. What is left is swept by
            the next attempt, or costs space.
    """
    for entry in entries:
        try:
            _delete_checkpoint(store, entry, run=run)
        except KEPT as error:
            log.warning(
                "checkpoint not deleted", extra={"dir": entry.dir, "reason": str(error)}
            )


def sweep(store: ObjectStore, head: Head) -> None:
    """Removes what earlier attempts left half-written or half-deleted.

    Only folders without a commit record, which no attempt can enter into HEAD any more: the
    earlier one is fenced, and a takeover adopts nothing but commits of the attempt before it.

    Raises:
        StorageOutageError: The store is away; nothing more was tried.
    """
    for folder in list_dirs(store).uncommitted:
        if folder.token >= head.token or folder.path in head.named:
            continue
        try:
            _delete_uncommitted(store, folder)
        except KEPT as error:
            log.warning(
                "checkpoint not deleted", extra={"dir": folder.path, "reason": str(error)}
            )


def all_finite(variables: Variables) -> bool:
    """Tells whether no variable holds a NaN or an infinity."""
    return all(bool(np.isfinite(array).all()) for array in variables.values())


def _put_new(store: ObjectStore, name: str, data: bytes) -> ObjectStat:
    try:
        stat = store.write(name, data, if_generation=0)
    except PreconditionFailedError:
        # No two saves share a name, so what is there can only be this very write: it got
        # through and its answer was lost on the way. The checksum below decides.
        found = store.stat(name)
        if found is None:
            raise _not_kept(store, name) from None
        stat = found
    if (stat.size, stat.crc32c) != (len(data), google_crc32c.value(data)):
        raise _not_kept(store, name)
    return stat


def _not_kept(store: ObjectStore, name: str) -> StorageOutageError:
    return StorageOutageError(
        f"{store.uri}/{name} is not what was written to it. Each object must be kept as it "
        f"was sent. Check the disk or bucket, and start again: the run goes on from its last "
        f"commit."
    )


def _delete_checkpoint(store: ObjectStore, entry: CheckpointEntry, *, run: str) -> None:
    try:
        commit, _ = read_commit(store, entry.dir, run=run, sha256=entry.commit_sha256)
    except DamagedError as error:
        log.warning("checkpoint not deleted", extra={"dir": entry.dir, "reason": str(error)})
        return
    _delete_known(store, f"{entry.dir}/{COMMIT}", entry.commit_sha256, entry.commit_generation)
    for one in commit.objects:
        _delete_known(store, f"{entry.dir}/{one.name}", one.sha256, one.generation)


def _delete_known(store: ObjectStore, name: str, sha256: str, generation: int) -> None:
    """Removes an object if it is still the one that was committed."""
    try:
        try:
            store.delete(name, if_generation=generation)
        except PreconditionFailedError:
            # A run folder that was copied has new generations. The content tells whether this
            # is the same object or somebody else's.
            found = store.read(name)
            if hashlib.sha256(found.data).hexdigest() != sha256:
                log.warning("object not deleted", extra={"object": name, "reason": "changed"})
                return
            store.delete(name, if_generation=found.generation)
    except (ObjectMissingError, PreconditionFailedError):
        return


def _delete_uncommitted(store: ObjectStore, folder: CheckpointDir) -> None:
    for listed in store.list(f"{folder.path}/"):
        try:
            store.delete(listed.name, if_generation=listed.generation)
        except (ObjectMissingError, PreconditionFailedError):
            continue
