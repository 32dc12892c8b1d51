"""A whole run in a bucket that fails all the time, in processes that are killed."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from job.storage.gcs.retry import RetryPolicy
from job.storage.gcs.store import GsStore
from tests.checkpoints.tiny_run import (
    END,
    Attempt,
    check_invariants,
    check_nothing_left,
    fingerprint,
    head_of,
)
from tests.fakes.gcs.faults import Kind, Operation
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.storage.gcs.bucket_actions import LARGE, small_parts

__all__ = ["small_parts"]  # a fixture, used by its name
REPOSITORY = Path(__file__).parents[3]

# Ends itself without any clean-up, before or after one of its calls, as `kill -9` would.
ATTEMPT = """
import os, sys
from job.storage.gcs.retry import RetryPolicy
from job.storage.gcs.store import GsStore
from tests.checkpoints.fault_stores import Wrapped
from tests.checkpoints.tiny_run import Attempt

class Dying(Wrapped):
    left = int(sys.argv[3])
    def around(self, call, name, do):
        Dying.left -= 1
        if Dying.left == 0 and sys.argv[4] == "before":
            os._exit(9)
        result = do()
        if Dying.left == 0:
            os._exit(9)
        return result

store = GsStore("gs://runs/tiny", emulator=sys.argv[1], uniform=lambda low, high: 0.0)
Attempt(Dying(store), name=sys.argv[2]).train()
"""


def attempt(server: FakeGcs, *, name: str, dies_at: int, when: str) -> int:
    arguments = [server.url, name, str(dies_at), when]
    return subprocess.run(
        [sys.executable, "-c", ATTEMPT, *arguments], cwd=REPOSITORY, timeout=60, check=False
    ).returncode


def check_finished(store: GsStore) -> None:
    check_invariants(store)
    head = head_of(store)
    assert head.status == "completed"
    assert head.checkpoints[-1].step == 10


@pytest.mark.slow
def test_killed_attempts_and_lost_answers_end_with_the_right_head(
    gcs: FakeGcs, bucket_store: GsStore
) -> None:
    rng = random.Random(3)
    codes = []
    for number in range(12):
        gcs.faults.add(Fault("insert", "reset_after", times=2, skip=rng.randrange(8)))
        gcs.faults.add(Fault("insert", "reset_after", name="HEAD.json", skip=rng.randrange(3)))
        when = rng.choice(("before", "after"))
        dies_at = rng.randrange(5, 40) if number < 11 else 0
        codes.append(attempt(gcs, name=f"attempt {number}", dies_at=dies_at, when=when))
        gcs.faults.clear()
        if codes[-1] == 0:
            break
    assert codes.count(9) >= 3
    assert codes[-1] == 0
    store = GsStore("gs://runs/tiny", emulator=gcs.url)
    check_finished(store)
    assert head_of(store).token == len(codes)
    store.close()


@pytest.mark.usefixtures("small_parts")
def test_a_bucket_draws_nothing_from_the_random_generator_of_the_training_state(
    gcs: FakeGcs,
) -> None:
    # Uploads of one request and of several, of which a part is sent again, and a retry.
    gcs.faults.add(Fault("part", "status", skip=1), Fault("insert", "status"))
    quick = RetryPolicy(first_delay_seconds=0.01)
    store = GsStore("gs://runs/tiny", emulator=gcs.url, patience=quick)
    before = random.getstate()
    store.write("small", b"1", if_generation=0)
    store.write("large", LARGE, if_generation=0)
    store.read("large")
    store.close()
    assert gcs.faults.num_met == 2
    assert random.getstate() == before


FAULTS: tuple[tuple[Operation, Kind], ...] = (
    ("insert", "reset_before"),
    ("insert", "reset_after"),
    ("insert", "status"),
    ("insert", "corrupt"),
    ("get", "status"),
    ("get", "reset_after"),
    ("media", "flip"),
    ("media", "truncate"),
    ("list", "reset_before"),
    ("delete", "reset_before"),
    ("delete", "reset_after"),
    ("delete", "status"),
)


@pytest.mark.parametrize("seed", range(6))
def test_run_in_a_bucket_that_fails_all_the_time_ends_as_if_it_never_had(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore], seed: int
) -> None:
    rng = random.Random(seed)
    for operation, kind in FAULTS:
        for skip in sorted(rng.sample(range(40), 8)):
            gcs.faults.add(Fault(operation, kind, skip=skip))
    store = open_bucket("gs://runs/tiny")
    first = Attempt(store, name="a", stop_at=6)
    first.train()
    second = Attempt(open_bucket("gs://runs/tiny"), name="b")
    assert fingerprint(second.train()) == END
    assert gcs.faults.num_met >= 20
    gcs.faults.clear()
    check_finished(store)
    # The weights of the best and the newest, one object and a commit each.
    assert len(store.list("ckpt/")) == 4
    check_nothing_left(store)
