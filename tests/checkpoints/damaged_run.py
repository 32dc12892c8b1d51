"""A stopped run whose objects can be damaged one by one."""

from job.checkpoints.layout import COMMIT, CheckpointDir
from job.storage.object_store import ObjectStore
from tests.checkpoints.tiny_run import (
    MODEL,
    RESUME,
    SPEC,
    STATE,
    TRAJECTORY,
    Attempt,
    fingerprint,
    head_of,
)
from tests.fakes.memory_store import MemoryStore

# The run was preempted after step 7, with the checkpoints of steps 5 (best), 6 and 7.
STOPPED_AT, KEPT = 7, [5, 6, 7]
# The objects of each of them.
OBJECTS = {5: (MODEL, RESUME, COMMIT), 6: (STATE, COMMIT), 7: (STATE, COMMIT)}


def stopped_run() -> MemoryStore:
    store = MemoryStore()
    Attempt(store, "first", keep_last=3, stop_at=STOPPED_AT).train()
    assert [one.step for one in head_of(store).checkpoints] == KEPT
    return store


def objects_of(store: ObjectStore) -> dict[str, bytes]:
    return {one.name: store.read(one.name).data for one in store.list("")}


RUN_OBJECTS = objects_of(stopped_run())
DIRS = {entry.step: entry.dir for entry in head_of(stopped_run()).checkpoints}


def copied(
    changes: dict[str, bytes | None], *, objects: dict[str, bytes] = RUN_OBJECTS
) -> MemoryStore:
    """The stopped run with some objects replaced or, where None, removed."""
    store = MemoryStore()
    for name, data in {**objects, **changes}.items():
        if data is not None:
            store.write(name, data, if_generation=0)
    return store


def restored_step(store: ObjectStore) -> int:
    attempt = Attempt(store, "second", keep_last=3)
    attempt.acquire()
    assert attempt.manager is not None
    restored = attempt.manager.restore(SPEC)
    assert restored is not None, "a fresh start in silence"
    position = restored.state.position
    assert fingerprint(restored.state) == TRAJECTORY[position.global_step, position.epoch]
    commit = restored.commit
    dir = CheckpointDir(commit.step, commit.token, commit.nonce)
    assert head_of(store).last == dir.path
    return position.global_step
