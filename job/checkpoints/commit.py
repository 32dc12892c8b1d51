"""One save: the objects and the commit record, and which checkpoints stay beside it.

Entering the result in HEAD is left to the manager, which holds the lease.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np

from job.checkpoints.acquire import Environment
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, META, STATE, CheckpointDir, list_dirs
from job.checkpoints.policy import Retention
from job.checkpoints.records import (
    SCHEMA,
    Best,
    BestCheckpoint,
    CheckpointEntry,
    CommitRecord,
    Head,
    ObjectRecord,
    dumps,
)
from job.checkpoints.restore import read_commit
from job.checkpoints.serialization import RunState, Variables, encode_meta, encode_variables
from job.errors import (
    CheckpointError,
    ConfigError,
    DiskFullError,
    PermissionDeniedError,
    StorageOutageError,
)
from job.storage.object_store import (
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


@dataclass(frozen=True)
class SaveResult:
    """What a save did.

    Attributes:
        dir: Folder of the checkpoint.
        step: Optimizer steps taken.
        bytes: Size of its data.
        seconds: Time from the call to the durable entry in HEAD, deletes not included.
    """

    dir: str
    step: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Origin:
    """What every commit of an attempt says about where it comes from."""

    run: str
    config_sha256: str
    fingerprint: str
    environment: Environment


@dataclass(frozen=True)
class Written:
    """A checkpoint that is committed and not yet in HEAD."""

    entry: CheckpointEntry
    num_bytes: int


def write_checkpoint(
    store: ObjectStore,
    folder: CheckpointDir,
    state: RunState,
    *,
    origin: Origin,
    metrics: Mapping[str, float],
    best: BestCheckpoint | None,
) -> Written:
    """Writes data first and the commit record last.

    Args:
        store: Where the run lives.
        folder: Name nobody has used before.
        state: What to write.
        origin: What the commit says of this attempt.
        metrics: Measurements at this point.
        best: The best checkpoint, this one included.

    Raises:
        StorageOutageError: The store holds something else than was sent.
    """
    objects = (
        put_object(store, folder.path, STATE, encode_variables(state.variables)),
        put_object(store, folder.path, META, encode_meta(state)),
    )
    commit = CommitRecord(
        schema=SCHEMA,
        run=origin.run,
        step=folder.step,
        epoch=state.position.epoch,
        step_in_epoch=state.position.step_in_epoch,
        token=folder.token,
        nonce=folder.nonce,
        config_sha256=origin.config_sha256,
        fingerprint=origin.fingerprint,
        versions={name: str(one) for name, one in origin.environment["versions"].items()},
        topology=origin.environment["topology"],
        objects=objects,
        metrics={name: float(value) for name, value in metrics.items()},
        finite=all_finite(state.variables),
        best=best,
    )
    sha256, generation = put_commit(store, folder.path, commit)
    metric = None if best is None else commit.metrics.get(best.monitor)
    return Written(
        CheckpointEntry(folder.step, folder.path, sha256, generation, metric),
        sum(one.size for one in objects),
    )


def updated_best(
    known: BestCheckpoint | None, best: Best | None, *, folder: CheckpointDir
) -> BestCheckpoint | None:
    """Returns the best checkpoint once `folder` is there.

    Args:
        known: The best one so far.
        best: The best epoch as the callbacks know it; only one that ends at this folder's step
            changes anything.
        folder: The new checkpoint.
    """
    if best is None or best.step != folder.step:
        return known
    return BestCheckpoint(folder.path, best.step, best.epoch, best.monitor, float(best.value))


def apply_retention(
    known: Sequence[CheckpointEntry],
    entry: CheckpointEntry,
    *,
    best: BestCheckpoint | None,
    retention: Retention,
) -> list[CheckpointEntry]:
    """Returns the checkpoints that stay once `entry` is there, oldest first.

    Args:
        known: Those in HEAD, oldest first.
        entry: The new one; always stays.
        best: The best one; always stays.
        retention: How many others stay.
    """
    everything = [*known, entry]
    steps = [one.step for one in everything]
    drop = set(retention.to_delete(steps, best=None if best is None else best.step))
    pinned = {entry.dir} if best is None else {entry.dir, best.dir}
    return [
        one
        for one in everything
        # A save may fall on the last step of an epoch, and the epoch's end on the same step:
        # the later one knows more.
        if one.dir in pinned or (one.step not in drop and one.step != entry.step)
    ]
