"""Saves in a thread: one at a time, errors reach training, deletes delay nobody."""

import threading

import pytest

from job.checkpoints.background import BackgroundSaves
from job.checkpoints.layout import HEAD
from job.errors import PermissionDeniedError, StorageOutageError
from tests.checkpoints.fault_stores import Meanwhile, Refusing
from tests.checkpoints.tiny_run import acquired, check_nothing_left, head_of, initial, stepped
from tests.fakes.memory_store import MemoryStore

FIRST = stepped(initial())


def test_save_runs_beside_training_and_its_result_is_taken_once() -> None:
    store = MemoryStore()
    may_commit = threading.Event()
    slow = Meanwhile(store, HEAD, lambda: may_commit.wait(30))
    slow.times = 0
    manager = acquired(slow)
    slow.times = 1
    saves = BackgroundSaves(manager)
    saves.submit(FIRST, metrics={}, best=None)
    assert saves.is_busy
    with pytest.raises(RuntimeError, match="a save is in flight"):
        saves.submit(stepped(FIRST), metrics={}, best=None)
    assert head_of(store).checkpoints == ()
    may_commit.set()
    result = saves.wait()
    assert result is not None
    assert (result.step, head_of(store).last) == (1, result.dir)
    assert (saves.is_busy, saves.wait()) == (False, None)
    saves.submit(stepped(FIRST), metrics={}, best=None, status="preempted", reason="SIGTERM")
    saves.close()
    assert (head_of(store).status, head_of(store).reason) == ("preempted", "SIGTERM")
    check_nothing_left(store)


def test_error_of_a_save_reaches_training_and_the_next_save_works() -> None:
    store = MemoryStore()
    down = [False]
    outage = StorageOutageError("down")
    manager = acquired(Refusing(store, outage, lambda call, name: down[0] and call == "write"))
    saves = BackgroundSaves(manager)
    down[0] = True
    saves.submit(FIRST, metrics={}, best=None)
    with pytest.raises(StorageOutageError, match="down"):
        saves.wait()
    down[0] = False
    saves.submit(FIRST, metrics={}, best=None)
    assert saves.wait() is not None
    saves.close()
    assert [one.step for one in head_of(store).checkpoints] == [1]


def test_deletes_wait_for_nobody_and_fail_nothing() -> None:
    store = MemoryStore()
    denied = PermissionDeniedError("no permission to delete")
    manager = acquired(Refusing(store, denied, lambda call, name: call == "delete"))
    saves = BackgroundSaves(manager, thread_time=iter([0.0, 1.5, 2.0, 2.25]).__next__)
    state = FIRST
    for seconds in (1.5, 0.25):
        saves.submit(state, metrics={}, best=None)
        assert saves.wait() is not None
        assert saves.cpu_seconds == seconds
        state = stepped(state)
    saves.close()
    assert [one.step for one in head_of(store).checkpoints] == [2]
