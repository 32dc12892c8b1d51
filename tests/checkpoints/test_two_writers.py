"""Two attempts of one run at the same time: the newer one wins, the older one does no harm.

A scheduler lets one attempt make one storage call at a time, in an order that Hypothesis
chooses, so a paused process is one that simply is not chosen for a while.
"""

from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job.checkpoints.layout import COMMIT, list_dirs
from job.errors import FencedError
from job.storage.object_store import ObjectStore
from tests.checkpoints.fault_stores import Turns, WatchedStore, Wrapped
from tests.checkpoints.tiny_run import (
    END,
    SPEC,
    STATE,
    Attempt,
    check_invariants,
    check_nothing_left,
    fingerprint,
    head_of,
)
from tests.fakes.memory_store import MemoryStore
from tests.proving import examples

# Read HEAD, create config.json, list, write HEAD: then an attempt holds a new run.
CALLS_TO_HOLD = 4


def race(schedule: Iterable[int], store: ObjectStore) -> list[Turns]:
    """Lets two attempts take turns as told, then each to its end."""
    writers = [Turns(store, "a"), Turns(store, "b")]
    try:
        for choice in schedule:
            writers[choice].turn()
        for writer in writers:
            writer.finish()
    finally:
        for writer in writers:
            writer.kill()
    for writer in writers:
        if isinstance(writer.outcome, AssertionError):
            raise writer.outcome
    return writers


def check_race(schedule: Iterable[int]) -> list[Turns]:
    inner = MemoryStore()
    writers = race(schedule, WatchedStore(inner))
    outcomes = [writer.outcome for writer in writers]
    for outcome in outcomes:
        assert outcome == END or isinstance(outcome, FencedError), outcome
    assert END in outcomes, "neither attempt finished"
    for entry in head_of(inner).checkpoints:
        assert inner.stat(f"{entry.dir}/{COMMIT}") is not None
    assert fingerprint(Attempt(inner, "later").train()) == END
    check_nothing_left(inner)
    return writers


@settings(max_examples=examples(100))
@given(st.lists(st.integers(1, 25), max_size=10))
# Both start the run; the first lists a commit of the second, which that one then deletes.
@example([2, 9, 1, 5])
def test_any_schedule_of_two_attempts_leaves_one_lineage(runs: list[int]) -> None:
    # So many calls of one, then so many of the other, and so on.
    check_race([who % 2 for who, length in enumerate(runs) for _ in range(length)])


def test_attempt_paused_anywhere_is_fenced_by_the_one_that_took_over() -> None:
    # The first makes some calls and freezes; the second runs to its end; the first wakes up.
    fenced = 0
    for pause_at in range(80):
        first, second = check_race([0] * pause_at + [1] * 100)
        assert second.outcome == END
        if isinstance(first.outcome, FencedError):
            assert first.outcome.exit_code == 78
            assert "attempt 2 on host 'here' (pid 1) took over from attempt 1" in str(
                first.outcome
            )
            fenced += 1
        elif first.outcome == END and pause_at > CALLS_TO_HOLD:
            break
    # Before it took the run over it is the newer one, after its last write it has finished.
    assert fenced == pause_at - CALLS_TO_HOLD


def test_checkpoints_that_a_newer_attempt_has_deleted_are_not_called_damaged() -> None:
    store = MemoryStore()
    Attempt(store, "first", stop_at=6).train()
    older = Attempt(store, "older").acquire()
    assert older.head.best is not None
    assert fingerprint(Attempt(store, "newer", keep_last=1).train()) == END
    with pytest.raises(FencedError, match="attempt 3 on host 'here'"):
        older.restore(SPEC)
    with pytest.raises(FencedError, match="attempt 3 on host 'here'"):
        older.rewind(older.head.checkpoints[-1].step)
    store.delete(f"{older.head.best.dir}/{COMMIT}", if_generation=None)
    with pytest.raises(FencedError, match="attempt 3 on host 'here'"):
        older.load_best_weights(expected=SPEC)


def test_commit_of_a_fenced_attempt_is_never_adopted() -> None:
    inner = MemoryStore()
    store = WatchedStore(inner)
    zombie = Turns(store, "zombie")
    while not any(name.endswith(COMMIT) for name in names(inner)):
        zombie.turn()  # one commit is there and not in HEAD yet
    middle = Attempt(store, "middle")
    middle.acquire()  # adopts it, and dies before its first save
    zombie.finish()
    assert isinstance(zombie.outcome, FencedError)
    head = head_of(inner)
    assert (head.token, len(head.checkpoints)) == (2, 1)
    assert fingerprint(Attempt(store, "last").train()) == END


def test_late_commit_stays_out_even_if_the_next_attempt_saved_nothing() -> None:
    inner = MemoryStore()
    store = WatchedStore(inner)
    zombie = Turns(store, "zombie")
    while not any(name.endswith(STATE) for name in names(inner)):
        zombie.turn()  # the data are there, the commit record is not
    Attempt(SparesData(store), "middle").acquire()
    zombie.finish()
    assert [folder.token for folder in list_dirs(inner).committed] == [1]
    last = Attempt(store, "last")
    assert fingerprint(last.train()) == END
    assert last.restored is None
    check_invariants(inner)


class SparesData(Wrapped):
    """A store without permission to delete."""

    def delete(self, name: str, *, if_generation: int | None) -> None:
        return


def names(store: ObjectStore) -> list[str]:
    return [one.name for one in store.list("")]


def test_garbage_of_earlier_attempts_is_told_from_what_a_newer_one_writes() -> None:
    # The first attempt holds the run and is about to look for garbage when the second takes it
    # over and writes the data of its first checkpoint.
    for length in range(4, 12):
        schedule = [0] * CALLS_TO_HOLD + [1] * length + [0] * 6 + [1] * 100
        race(schedule, WatchedStore(MemoryStore()))
