"""One save: the objects of a checkpoint, its commit record, and which checkpoints stay.

Entering a checkpoint in HEAD is left to the manager, which holds the lease.
"""

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import google_crc32c
import numpy as np

from job.checkpoints.layout import COMMIT, CheckpointDir
from job.checkpoints.lease import write_if_generation
from job.checkpoints.provenance import Provenance
from job.checkpoints.records import (
    SCHEMA,
    Best,
    BestCheckpoint,
    BestEntry,
    CheckpointEntry,
    CommitRecord,
    Head,
    ObjectRecord,
    dumps,
)
from job.checkpoints.serialization import RunState, Variables, encode_meta, spec_of
from job.checkpoints.shards import encode_shard, plan_shards
from job.checkpoints.surroundings import UPLOADS
from job.errors import StorageOutageError
from job.storage.object_store import ObjectStore


@dataclass(frozen=True)
class Written:
    """A checkpoint that is committed and not yet in HEAD."""

    entry: CheckpointEntry
    best: BestEntry | None
    names: tuple[str, ...]
    num_bytes: int


@dataclass(frozen=True)
class SaveResult:
    """What a save did.

    Attributes:
        dir: Directory of the checkpoint.
        step: Optimizer steps taken.
        bytes: Size of its data.
        seconds: Time from the call to the durable entry in HEAD, without deletes.
    """

    dir: str
    step: int
    bytes: int
    seconds: float


def write_checkpoint(
    store: ObjectStore,
    dir: CheckpointDir,
    state: RunState,
    *,
    head: Head,
    provenance: Provenance,
    metrics: Mapping[str, float],
    best: Best | None,
    created: str,
    uploads: int = UPLOADS,
) -> Written:
    """Writes data first and the commit record last.

    Args:
        store: The run directory.
        dir: A directory that was never used before.
        state: The snapshot.
        head: HEAD of the attempt that writes.
        provenance: What the attempt runs.
        metrics: Metrics at this point; may be empty.
        best: The best epoch so far, as in `CheckpointManager.save`.
        created: UTC time for the record.
        uploads: Objects written at the same time.

    Raises:
        StorageOutageError: The store holds other bytes than were sent.
    """
    is_best = best is not None and best.step == dir.step
    known = None if head.best is None else head.best.checkpoint
    best_checkpoint = _best(best, dir) if best is not None and is_best else known
    objects = _write_objects(store, dir, state, split=is_best, uploads=uploads)
    commit = CommitRecord(
        schema=SCHEMA,
        run=provenance.run,
        lineage=head.lineage,
        created=created,
        step=dir.step,
        epoch=state.position.epoch,
        step_in_epoch=state.position.step_in_epoch,
        token=dir.token,
        writer=head.owner.nonce,
        nonce=dir.nonce,
        config_sha256=provenance.config_sha256,
        fingerprint=provenance.fingerprint,
        versions=provenance.versions,
        topology=provenance.topology,
        objects=tuple(objects),
        metrics={name: float(value) for name, value in metrics.items()},
        finite=all_finite(state.variables),
        best=best_checkpoint,
    )
    data = dumps(commit)
    _put(store, f"{dir.path}/{COMMIT}", data)
    sha256 = hashlib.sha256(data).hexdigest()
    return Written(
        CheckpointEntry(dir.step, dir.path, sha256, commit.finite),
        BestEntry.of(best_checkpoint, commit_sha256=sha256)
        if is_best and best_checkpoint is not None
        else head.best,
        (*(one.name for one in objects), COMMIT),
        sum(one.size for one in objects),
    )


def _best(best: Best, dir: CheckpointDir) -> BestCheckpoint:
    return BestCheckpoint(dir.path, best.step, best.epoch, best.monitor, float(best.value))


def _write_objects(
    store: ObjectStore, dir: CheckpointDir, state: RunState, *, split: bool, uploads: int
) -> list[ObjectRecord]:
    """Encodes one shard after the other while up to `uploads` of them are on their way."""
    meta = encode_meta(state)
    shards = plan_shards(spec_of(state.variables), split=split)
    encoded = (
        (shard.name, encode_shard(shard, state.variables, meta=meta)) for shard in shards
    )
    if uploads == 1 or len(shards) == 1:
        return [_put_object(store, dir.path, name, data) for name, data in encoded]
    records: list[ObjectRecord] = []
    with ThreadPoolExecutor(uploads, thread_name_prefix="upload") as pool:
        pending: deque[Future[ObjectRecord]] = deque()
        for name, data in encoded:
            if len(pending) == uploads:
                records.append(pending.popleft().result())
            pending.append(pool.submit(_put_object, store, dir.path, name, data))
        records.extend(one.result() for one in pending)
    return records


def _put_object(store: ObjectStore, dir: str, name: str, data: bytes) -> ObjectRecord:
    crc32c = _put(store, f"{dir}/{name}", data)
    return ObjectRecord(name, len(data), crc32c, hashlib.sha256(data).hexdigest())


def _put(store: ObjectStore, name: str, data: bytes) -> int:
    stat = write_if_generation(store, name, data, if_generation=0)
    if stat is None or (stat.size, stat.crc32c) != (len(data), google_crc32c.value(data)):
        raise StorageOutageError(
            f"{store.uri}/{name} is not what was written to it. The store must keep every "
            "object as sent. Check the disk or bucket, and start again; the run resumes from "
            "its last commit."
        )
    return stat.crc32c


def all_finite(variables: Variables) -> bool:
    """Whether no variable contains NaN or infinity."""
    return all(bool(np.isfinite(array).all()) for array in variables.values())


def apply_retention(
    known: Sequence[CheckpointEntry], entry: CheckpointEntry, *, keep_last: int
) -> list[CheckpointEntry]:
    """The checkpoints that a run can still resume from once `entry` is committed.

    Args:
        known: In HEAD so far, oldest first.
        entry: The new checkpoint; it stays.
        keep_last: How many stay, >= 1. The newest one with finite variables stays in addition,
            so that a model that diverged can be trained again from there.

    Returns:
        Oldest first.
    """
    everything = [*known, entry]
    kept = set(everything[-keep_last:])
    kept |= set([one for one in everything if one.finite][-1:])
    return [one for one in everything if one in kept]
