"""The promise itself: ended at any call, any number of times, the run finishes the same.

Every storage call of a run (two attempts, eight saves, retention, finish) is a place to die,
before it takes effect and after.  `test_guards` turns each guard of the
protocol off and shows that this enumeration notices.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.checkpoints.shards import plan_shards
from job.storage.local import FileStore
from tests.checkpoints.enumeration import STOP_AT, count_writes, enumerate_crashes, whole_run
from tests.checkpoints.fault_stores import Crash, CrashingStore, LostAnswerStore
from tests.checkpoints.tiny_run import (
    END,
    SPEC,
    Attempt,
    check_invariants,
    check_nothing_left,
    fingerprint,
    head_of,
)
from tests.fakes.memory_store import MemoryStore

REPOSITORY = Path(__file__).parents[2]


def test_undisturbed_run_ends_where_the_training_says() -> None:
    store = MemoryStore()
    assert fingerprint(Attempt(store).train()) == END
    check_invariants(store)


def test_preempted_and_resumed_run_equals_an_undisturbed_one() -> None:
    store = MemoryStore()
    first, second = whole_run(store)
    assert (first.durable, head_of(store).token) == (STOP_AT, 2)
    assert second.restored is not None
    assert second.restored.state.position.global_step == STOP_AT


def test_crash_at_any_call_in_memory_loses_nothing_committed() -> None:
    assert enumerate_crashes(MemoryStore) > 50


def test_crash_between_shards_loses_nothing_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan_shards.__kwdefaults__, "shard_bytes", 16)
    assert len(plan_shards(SPEC, split=True)) == 3
    assert enumerate_crashes(MemoryStore, moments=[True]) > 80


def test_crash_at_any_call_in_a_local_directory_loses_nothing_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that dies takes nothing with it that the kernel has; only a power cut would.
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    folders = (FileStore(tmp_path / f"{number}") for number in range(10_000))
    # Before a call is after the one before it, as far as a folder can tell.
    assert enumerate_crashes(lambda: next(folders), moments=[True]) > 50


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=2, max_size=8))
def test_any_series_of_crashes_ends_in_the_same_state(points: list[tuple[int, bool]]) -> None:
    store = MemoryStore()
    durable = 0
    for number, (crash_at, after) in enumerate(points):
        failing = CrashingStore(store, crash_at=crash_at, after=after)
        attempt = Attempt(failing, f"attempt {number}")
        try:
            attempt.train()
        except Crash:
            check_invariants(store)
        if attempt.restored is not None:
            assert attempt.restored.state.position.global_step >= durable
        durable = max(durable, attempt.durable)
    assert fingerprint(Attempt(store, "rerun").train()) == END
    check_nothing_left(store)


KILLED = """
import os, signal, sys
from pathlib import Path
from job.checkpoints.shards import plan_shards
from job.storage.local import FileStore
from tests.checkpoints.fault_stores import CrashingStore
from tests.checkpoints.tiny_run import Attempt
class Killing(CrashingStore):
    def around(self, call, name, do):
        self.calls += 1
        if self.calls == self.crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return do()
store = Killing(FileStore(Path(sys.argv[1])), crash_at=int(sys.argv[2]), after=False)
Attempt(store, f"killed at {sys.argv[2]}").train()
"""


def test_killed_process_leaves_a_directory_that_resumes(tmp_path: Path) -> None:
    for crash_at in (9, 16, 23):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), str(crash_at)],
            cwd=REPOSITORY,
            timeout=60,
            check=False,
        )
        assert done.returncode == -9
        check_invariants(FileStore(tmp_path))
    last = Attempt(FileStore(tmp_path), "last")
    assert fingerprint(last.train()) == END
    assert last.restored is not None
    assert head_of(FileStore(tmp_path)).token == 4


@pytest.mark.parametrize("lose_at", range(1, count_writes() + 1))
def test_write_whose_response_was_lost_counts_as_done(lose_at: int) -> None:
    store = MemoryStore()
    attempts = whole_run(LostAnswerStore(store, lose_at=lose_at))
    assert attempts[-1].durable == 10
    check_invariants(store)
    assert head_of(store).token == 2
    assert [one.step for one in head_of(store).checkpoints] == [10]
    check_nothing_left(store)
