import threading

import pytest

from job.data.pipeline.prefetch import Prefetcher


def test_results_come_in_order_from_any_step():
    with Prefetcher(lambda step: step * step, stop=10, threads=3) as ahead:
        assert ahead.take(first=2, count=1) == [4]
        assert ahead.take(first=3, count=4) == [9, 16, 25, 36]
        assert ahead.take(first=7, count=3) == [49, 64, 81]


def test_as_many_steps_are_made_ahead_as_were_taken_last():
    made = []
    done = threading.Semaphore(0)

    def make(step: int) -> int:
        made.append(step)
        done.release()
        return step

    with Prefetcher(make, stop=100, threads=1) as ahead:
        ahead.take(first=0, count=3)
        for _ in range(6):
            assert done.acquire(timeout=10)
        assert made == [0, 1, 2, 3, 4, 5]
    assert made == [0, 1, 2, 3, 4, 5]


def test_nothing_is_made_beyond_the_end():
    made = []
    with Prefetcher(made.append, stop=4, threads=1) as ahead:
        ahead.take(first=0, count=3)
        ahead.take(first=3, count=1)
    assert made == [0, 1, 2, 3]


@pytest.mark.parametrize(("first", "count"), [(0, 1), (3, 1), (2, 9)])
def test_steps_out_of_turn_or_beyond_the_end_are_refused(first, count):
    with Prefetcher(lambda step: step, stop=10, threads=1) as ahead:
        ahead.take(first=0, count=2)
        with pytest.raises(ValueError, match="2 comes next, and steps end at 10"):
            ahead.take(first=first, count=count)


def test_what_goes_wrong_in_a_thread_is_raised_where_the_step_is_taken():
    def make(step: int) -> int:
        if step == 2:
            raise OSError("no such image")
        return step

    with Prefetcher(make, stop=5, threads=2) as ahead:
        assert ahead.take(first=0, count=2) == [0, 1]
        with pytest.raises(OSError, match="no such image"):
            ahead.take(first=2, count=1)


def test_at_the_end_what_has_begun_is_waited_for_and_the_rest_is_left():
    begun, may_end, finished = threading.Event(), threading.Event(), []

    def make(step: int) -> None:
        if step == 3:
            begun.set()
            assert may_end.wait(10)
        finished.append(step)

    with Prefetcher(make, stop=100, threads=1) as ahead:
        ahead.take(first=0, count=3)
        assert begun.wait(10)
        # Step 3 has begun, 4 and 5 wait for the thread; it goes on while the block is left.
        threading.Timer(0.05, may_end.set).start()
    assert finished == [0, 1, 2, 3]
