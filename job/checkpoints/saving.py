"""One save: the objects and the commit record, and which checkpoints stay beside it.

Entering the result in HEAD is left to the manager, which holds the lease.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from job.checkpoints.codec import encode_meta, encode_variables
from job.checkpoints.layout import META, STATE, CheckpointDir
from job.checkpoints.policy import Retention
from job.checkpoints.records import SCHEMA, Best, BestCheckpoint, CheckpointEntry, CommitRecord
from job.checkpoints.settle import Environment
from job.checkpoints.state import RunState
from job.checkpoints.writing import all_finite, put_commit, put_object
from job.storage.protocol import ObjectStore


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


def best_with(
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


def kept_with(
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
