"""The promise itself: ended at any call, any number of times, the run finishes the same.

Every storage call of a run (two attempts, eight saves, retention, finish) is a place to die,
before it takes effect and after; so is every HTTP request to a bucket, and for a folder every
call to the operating system, there with SIGKILL. `test_mutations` disables each step of the
protocol and shows that a test notices.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.checkpoints.shards import plan_shards
from job.storage.gcs.store import GsStore
from job.storage.local import FileStore
from job.storage.object_store import ObjectStore
from tests.checkpoints.enumeration import STOP_AT, count_writes, enumerate_crashes, whole_run
from tests.checkpoints.fault_stores import Crash, CrashingStore, LostAnswerStore
from tests.checkpoints.http_crashes import crashing_requests
from tests.checkpoints.tiny_run import (
    END,
    SPEC,
    Attempt,
    check_invariants,
    check_nothing_left,
    fingerprint,
    head_of,
)
from tests.fakes.gcs_server import FakeGcs
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


def killed_processes(folder: Path, *, every: int) -> int:
    command = [sys.executable, "-m", "tests.checkpoints.sigkill", str(folder)]
    done = subprocess.run(
        [*command, "--every", str(every)],
        cwd=REPOSITORY, timeout=900, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_process_killed_at_a_call_to_the_system_leaves_a_directory_that_resumes(
    tmp_path: Path,
) -> None:
    assert killed_processes(tmp_path, every=67) > 8


@pytest.mark.prove
def test_process_killed_at_any_call_to_the_system_leaves_a_directory_that_resumes(
    tmp_path: Path,
) -> None:
    assert killed_processes(tmp_path, every=1) > 500


@pytest.fixture
def bucket() -> Iterator[Callable[[], ObjectStore]]:
    """Makes empty run directories in a bucket behind HTTP."""
    stores = []

    def make() -> ObjectStore:
        stores.append(GsStore(f"gs://runs/{len(stores)}", emulator=server.url))
        return stores[-1]

    with FakeGcs() as server:
        yield make
        for store in stores:
            store.close()


def test_crash_at_a_request_to_a_bucket_loses_nothing_committed(
    bucket: Callable[[], ObjectStore],
) -> None:
    with crashing_requests() as crashing:
        assert enumerate_crashes(bucket, crashing=crashing, every=13) > 40


@pytest.mark.prove
def test_crash_at_any_request_to_a_bucket_loses_nothing_committed(
    bucket: Callable[[], ObjectStore],
) -> None:
    with crashing_requests() as crashing:
        assert enumerate_crashes(bucket, crashing=crashing) > 50


@pytest.mark.parametrize("lose_at", range(1, count_writes() + 1))
def test_write_whose_response_was_lost_counts_as_done(lose_at: int) -> None:
    store = MemoryStore()
    attempts = whole_run(LostAnswerStore(store, lose_at=lose_at))
    assert attempts[-1].durable == 10
    check_invariants(store)
    assert head_of(store).token == 2
    assert [one.step for one in head_of(store).checkpoints] == [10]
    check_nothing_left(store)
