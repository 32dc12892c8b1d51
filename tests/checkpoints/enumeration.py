"""Dying at every storage call of a run, before it takes effect and after."""

from collections.abc import Callable, Sequence
from typing import Protocol

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


class Crashing(Protocol):
    """Makes a store that dies at a call."""

    def __call__(self, inner: ObjectStore, *, crash_at: int, after: bool) -> ObjectStore: ...


def whole_run(store: ObjectStore) -> list[Attempt]:
    """Two attempts: one that is preempted at step 3, one that goes to the end."""
    attempts = [Attempt(store, "first", stop_at=STOP_AT), Attempt(store, "second")]
    for attempt in attempts:
        attempt.train()
    return attempts


def crash_once(
    store: ObjectStore, *, crash_at: int, after: bool, wrap: Wrap, crashing: Crashing
) -> bool:
    """Dies at one call, then looks at what is found; False if there is no such call."""
    failing = crashing(store, crash_at=crash_at, after=after)
    first = Attempt(wrap(failing), "first", stop_at=STOP_AT)
    second = Attempt(wrap(failing), "second")
    try:
        first.train()
        second.train()
    except Crash:
        pass
    else:
        return False
    check_found(store, durable=max(first.durable, second.durable), wrap=wrap)
    return True


def check_found(store: ObjectStore, *, durable: int, wrap: Wrap = lambda store: store) -> None:
    """Goes on from what a process that died has left.

    Args:
        store: The run directory.
        durable: Step of the newest save that had returned.
        wrap: What the next attempt sees.
    """
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


def enumerate_crashes(
    make: Callable[[], ObjectStore],
    *,
    wrap: Wrap = lambda store: store,
    moments: Sequence[bool] = (False, True),
    crashing: Crashing = CrashingStore,
    every: int = 1,
) -> int:
    """Dies at every call of a run, before and after it.

    Args:
        make: Makes an empty store.
        wrap: What attempts see of it.
        moments: Whether to die after the call; before it and after it if left out.
        crashing: Makes the store that dies.
        every: 7 dies at the first call, the eighth, and so on.

    Returns:
        The last call at which it died.
    """
    for crash_at in range(1, 1000, every):
        ends = [
            crash_once(make(), crash_at=crash_at, after=after, wrap=wrap, crashing=crashing)
            for after in moments
        ]
        if not any(ends):
            return crash_at - every
    raise AssertionError("the run does not end")


def count_writes() -> int:
    counting = LostAnswerStore(MemoryStore(), lose_at=0)
    whole_run(counting)
    return counting.writes
