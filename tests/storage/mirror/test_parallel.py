"""Work in threads that ends when it is to end."""

import threading

import pytest

from job.errors import ConfigError, StorageOutageError
from job.storage.parallel import NUM_THREADS, ParallelDownloader
from tests.fakes.gcs_server import FakeGcs, Fault


class StopError(Exception):
    """Somebody asked to."""


def test_every_item_is_worked_on_once():
    found = ParallelDownloader().in_parallel(lambda number: number * 2, range(100))
    assert sorted(found) == [number * 2 for number in range(100)]
    assert list(ParallelDownloader().in_parallel(str, [])) == []


def test_few_items_are_in_hand_at_a_time():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    found = ParallelDownloader().in_parallel(str, items())
    next(found)
    assert len(taken) <= 2 * NUM_THREADS
    assert len(list(found)) == 99


def test_after_a_request_to_stop_nothing_new_is_begun():
    begun, is_asked = [], threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        is_asked.wait(10.0)

    def check() -> None:
        if len(begun) == NUM_THREADS:
            # What is under way ends a moment later, what waits for a thread should not begin.
            threading.Timer(0.2, is_asked.set).start()
            raise StopError

    with pytest.raises(StopError):
        list(ParallelDownloader(check_stop=check).in_parallel(work, range(100)))
    assert len(begun) == NUM_THREADS


def test_an_error_of_the_work_is_raised():
    def work(number: int) -> None:
        if number == 50:
            raise StopError

    with pytest.raises(StopError):
        list(ParallelDownloader().in_parallel(work, range(100)))


def test_a_wait_is_cut_short_when_the_work_is_given_up(
    gcs: FakeGcs, access: ParallelDownloader
):
    """Else a Ctrl-C would take as long as an outage may."""
    slept: list[float] = []
    is_given_up: list[bool] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        is_given_up.append(patient._halt.wait(2.0))
        assert is_given_up[-1]

    def check() -> None:
        if slept:
            raise StopError

    gcs.faults.add(Fault("get", "status", times=None))
    patient = ParallelDownloader(
        allow_emulator=True,
        outage_budget_seconds=86400.0,
        sleep=sleep,
        check_stop=check,
        env=access.env,
    )
    store = patient.open("gs://sets", key="data.root")
    with pytest.raises(StopError):
        list(patient.in_parallel(store.stat, ["a", "b"]))
    assert all(is_given_up)
    assert max(slept) <= 0.5


def test_after_a_failure_the_same_access_waits_again(gcs: FakeGcs, access: ParallelDownloader):
    def fail(number: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        list(access.in_parallel(fail, [1]))
    gcs.bucket.insert({"name": "a"}, b"1", if_generation=0)
    gcs.faults.add(Fault("get", "status", times=2))
    store = access.open("gs://sets", key="data.root")
    (found,) = access.in_parallel(store.stat, ["a"])
    assert found.size == 1


def test_a_store_is_opened_for_the_setting_that_names_it(
    gcs: FakeGcs, access: ParallelDownloader
):
    with pytest.raises(ConfigError, match=r"data\.test: 'gs://x' names no bucket"):
        access.open("gs://x", key="data.test")
    gcs.faults.add(Fault("get", "status", times=None))
    hasty = ParallelDownloader(allow_emulator=True, outage_budget_seconds=0.1, env=access.env)
    with pytest.raises(StorageOutageError, match="could not stat"):
        hasty.open("gs://sets", key="data.root").stat("a")
