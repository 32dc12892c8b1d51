"""One save and one delete: the objects of a checkpoint, and which checkpoints stay.

Entering a checkpoint in HEAD is left to the manager, which holds the lease.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, META, STATE, CheckpointDir, list_dirs
from job.checkpoints.lease import write_if_generation
from job.checkpoints.policy import Retention
from job.checkpoints.records import (
    SCHEMA,
    Best,
    BestCheckpoint,
    CheckpointEntry,
    CommitRecord,
    Head,
    ObjectRecord,
    Provenance,
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

# Training goes on after these: what was not deleted only costs space. Not every `JobError`: a
# stop request also arrives as one, raised while waiting for the store. After an outage nothing
# more is tried, because the next object would cost another outage budget.
NON_FATAL_DELETE_ERRORS = (
    CheckpointError,
    ConfigError,
    DiskFullError,
    PermissionDeniedError,
    StorageOutageError,
)


@dataclass(frozen=True)
class Written:
    """A checkpoint that is committed and not yet in HEAD."""

    entry: CheckpointEntry
    num_bytes: int


def write_checkpoint(
    store: ObjectStore,
    dir: CheckpointDir,
    state: RunState,
    *,
    provenance: Provenance,
    metrics: Mapping[str, float],
    best: BestCheckpoint | None,
) -> Written:
    """Writes data first and the commit record last.

    `dir` was never used before; `best` is the best checkpoint, this one included.

    Raises:
        StorageOutageError: The store holds other bytes than were sent.
    """
    objects = (
        _put_object(store, dir.path, STATE, encode_variables(state.variables)),
        _put_object(store, dir.path, META, encode_meta(state)),
    )
    commit = CommitRecord(
        schema=SCHEMA,
        run=provenance.run,
        step=dir.step,
        epoch=state.position.epoch,
        step_in_epoch=state.position.step_in_epoch,
        token=dir.token,
        nonce=dir.nonce,
        config_sha256=provenance.config_sha256,
        fingerprint=provenance.fingerprint,
        versions=provenance.versions,
        topology=provenance.topology,
        objects=objects,
        metrics={name: float(value) for name, value in metrics.items()},
        finite=all_finite(state.variables),
        best=best,
    )
    data = dumps(commit)
    generation = _put_new(store, f"{dir.path}/{COMMIT}", data).generation
    metric = None if best is None else commit.metrics.get(best.monitor)
    sha256 = hashlib.sha256(data).hexdigest()
    return Written(
        CheckpointEntry(dir.step, dir.path, sha256, generation, metric),
        sum(one.size for one in objects),
    )


def all_finite(variables: Variables) -> bool:
    """Whether no variable contains NaN or infinity."""
    return all(bool(np.isfinite(array).all()) for array in variables.values())


def updated_best(
    known: BestCheckpoint | None, best: Best | None, *, dir: CheckpointDir
) -> BestCheckpoint | None:
    """The best checkpoint once `dir` is committed.

    Args:
        known: The best one so far.
        best: The best epoch according to the callbacks; only one that ends at this directory's
            step changes the result.
        dir: The new checkpoint.
    """
    if best is None or best.step != dir.step:
        return known
    return BestCheckpoint(dir.path, best.step, best.epoch, best.monitor, float(best.value))


def apply_retention(
    known: Sequence[CheckpointEntry],
    entry: CheckpointEntry,
    *,
    best: BestCheckpoint | None,
    retention: Retention,
) -> list[CheckpointEntry]:
    """The checkpoints that stay once `entry` is committed, oldest first.

    The new checkpoint and the best one always stay.
    """
    everything = [*known, entry]
    steps = [one.step for one in everything]
    drop = set(retention.to_delete(steps, best=None if best is None else best.step))
    pinned = {entry.dir} if best is None else {entry.dir, best.dir}
    return [
        one
        for one in everything
        # A periodic save can fall on the last step of an epoch. The save at the epoch's end
        # then has the same step and contains more.
        if one.dir in pinned or (one.step not in drop and one.step != entry.step)
    ]


def delete_checkpoints(
    store: ObjectStore, entries: Sequence[CheckpointEntry], *, run: str
) -> None:
    """Deletes checkpoints that HEAD no longer lists.

    A checkpoint that cannot be deleted only costs space, so it is logged. The next attempt
    collects what an outage leaves, or it costs space.
    """
    for entry in entries:
        try:
            _delete_checkpoint(store, entry, run=run)
        except NON_FATAL_DELETE_ERRORS as error:
            _log_not_deleted(entry.dir, error)
            if isinstance(error, StorageOutageError):
                return


def collect_garbage(store: ObjectStore, head: Head) -> None:
    """Deletes what earlier attempts left half-written or half-deleted.

    Only directories without a commit record, which no attempt can enter in HEAD any more: the
    earlier attempt is fenced, and a takeover only adopts commits of the attempt before it.

    Raises:
        StorageOutageError: The store cannot be listed.
    """
    for found in list_dirs(store).uncommitted:
        if found.token >= head.token or found.path in head.referenced_dirs:
            continue
        try:
            for listed in store.list(f"{found.path}/"):
                _delete(store, listed.name, generation=listed.generation)
        except NON_FATAL_DELETE_ERRORS as error:
            _log_not_deleted(found.path, error)
            if isinstance(error, StorageOutageError):
                return


def _put_object(store: ObjectStore, dir: str, name: str, data: bytes) -> ObjectRecord:
    stat = _put_new(store, f"{dir}/{name}", data)
    return ObjectRecord(
        name=name,
        size=stat.size,
        crc32c=stat.crc32c,
        sha256=hashlib.sha256(data).hexdigest(),
        generation=stat.generation,
    )


def _put_new(store: ObjectStore, name: str, data: bytes) -> ObjectStat:
    stat = write_if_generation(store, name, data, if_generation=0)
    if stat is None or (stat.size, stat.crc32c) != (len(data), google_crc32c.value(data)):
        raise StorageOutageError(
            f"{store.uri}/{name} is not what was written to it. The store must keep every "
            "object as sent. Check the disk or bucket, and start again; the run resumes from "
            "its last commit."
        )
    return stat


def _delete_checkpoint(store: ObjectStore, entry: CheckpointEntry, *, run: str) -> None:
    try:
        commit, _ = read_commit(store, entry.dir, run=run, sha256=entry.commit_sha256)
    except DamagedError as error:
        _log_not_deleted(entry.dir, error)
        return
    _delete_known(store, f"{entry.dir}/{COMMIT}", entry.commit_sha256, entry.commit_generation)
    for one in commit.objects:
        _delete_known(store, f"{entry.dir}/{one.name}", one.sha256, one.generation)


def _delete_known(store: ObjectStore, name: str, sha256: str, generation: int) -> None:
    """Deletes an object if it is still the committed one."""
    try:
        store.delete(name, if_generation=generation)
    except ObjectMissingError:
        return
    except PreconditionFailedError:
        # A copied run directory has new generations. The content tells whether this is the
        # same object.
        try:
            found = store.read(name)
        except ObjectMissingError:
            return
        if hashlib.sha256(found.data).hexdigest() == sha256:
            _delete(store, name, generation=found.generation)
        else:
            log.warning("object not deleted", extra={"object": name, "reason": "changed"})


def _delete(store: ObjectStore, name: str, *, generation: int) -> None:
    try:
        store.delete(name, if_generation=generation)
    except (ObjectMissingError, PreconditionFailedError):
        return


def _log_not_deleted(dir: str, error: Exception) -> None:
    log.warning("checkpoint not deleted", extra={"dir": dir, "reason": str(error)})
