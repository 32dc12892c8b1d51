"""Dying at every storage call of a run, before it takes effect and after."""

from collections.abc import Callable, Sequence

from job.storage.object_store import ObjectStore
from tests.checkpoints.fault_stores import Crash, CrashingStore, LostAnswerStore
from tests.checkpoints.tiny_run import (
    END,
    TRAJECTORY,
    Attempt,
    check_invariants,
    check_nothing_left,
    fingerprint,
    head_of,
    newest_committed,
)
from tests.fakes.memory_store import MemoryStore

STOP_AT = 3

Wrap = Callable[[ObjectStore], ObjectStore]


def whole_run(store: ObjectStore) -> list[Attempt]:
    """Two attempts: one that is preempted at step 3, one that goes to the end."""
    attempts = [Attempt(store, "first", stop_at=STOP_AT), Attempt(store, "second")]
    for attempt in attempts:
        attempt.train()
    return attempts


def crash_once(store: ObjectStore, *, crash_at: int, after: bool, wrap: Wrap) -> bool:
    """Dies at one call, then looks at what is found; False if there is no such call."""
    failing = CrashingStore(store, crash_at=crash_at, after=after)
    first = Attempt(wrap(failing), "first", stop_at=STOP_AT)
    second = Attempt(wrap(failing), "second")
    try:
        first.train()
        second.train()
    except Crash:
        pass
    else:
        return False
    durable = max(first.durable, second.durable)
    check_invariants(store)
    newest = newest_committed(store)
    rerun = Attempt(wrap(store), "rerun")
    assert fingerprint(rerun.train()) == END
    found = rerun.restored
    if found is None:
        assert (durable, newest) == (0, 0)
    else:
        key = (found.state.position.global_step, found.state.position.epoch)
        assert fingerprint(found.state) == TRAJECTORY[key]
        assert key[0] >= durable, "a save that had returned was lost"
        assert key[0] == newest, "a committed checkpoint was passed over"
    check_invariants(store)
    head = head_of(store)
    assert (head.status, [one.step for one in head.checkpoints]) == ("completed", [10])
    assert head.best is not None
    assert (head.best.step, head.best.value) == (5, 0.25)
    check_nothing_left(store)
    return True


def enumerate_crashes(
    make: Callable[[], ObjectStore],
    *,
    wrap: Wrap = lambda store: store,
    moments: Sequence[bool] = (False, True),
) -> int:
    """Dies at every call of a run, before and after it; returns how many calls there are."""
    for crash_at in range(1, 1000):
        ends = [
            crash_once(make(), crash_at=crash_at, after=after, wrap=wrap) for after in moments
        ]
        if not any(ends):
            return crash_at - 1
    raise AssertionError("the run does not end")


def count_writes() -> int:
    counting = LostAnswerStore(MemoryStore(), lose_at=0)
    whole_run(counting)
    return counting.writes
