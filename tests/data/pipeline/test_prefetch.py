import threading

import pytest

from job.data.pipeline.prefetch import Prefetcher, Steps


def numbered(epoch: int, step: int) -> int:
    return 100 * epoch + step


def prefetcher(make=numbered, join=list, *, steps_in_epoch=10, epochs=3, threads=1):
    return Prefetcher(make, join, steps_in_epoch=steps_in_epoch, epochs=epochs, threads=threads)


def test_calls_come_in_order_from_any_step():
    with prefetcher(threads=3) as ahead:
        assert ahead.take(Steps(1, 2, 1)) == [102]
        assert ahead.take(Steps(1, 3, 4)) == [103, 104, 105, 106]
        assert ahead.take(Steps(1, 7, 3)) == [107, 108, 109]
        assert ahead.take(Steps(2, 0, 2)) == [200, 201]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_call_that_is_expected_is_joined_ahead(threads):
    joined, done = [], threading.Semaphore(0)

    def join(parts):
        joined.append((list(parts), threading.current_thread().name))
        done.release()
        return list(parts)

    with prefetcher(join=join, threads=threads) as ahead:
        ahead.take(Steps(0, 0, 3))
        for _ in range(2):
            assert done.acquire(timeout=10)
        assert [parts for parts, _ in joined] == [[0, 1, 2], [3, 4, 5]]
        assert joined[1][1].startswith("input")
        assert ahead.take(Steps(0, 3, 3)) == [3, 4, 5]
        assert [parts for parts, _ in joined].count([3, 4, 5]) == 1


def test_another_call_than_expected_is_joined_when_taken():
    with prefetcher(threads=2) as ahead:
        assert ahead.take(Steps(0, 0, 3)) == [0, 1, 2]
        assert ahead.take(Steps(0, 3, 1)) == [3]
        assert ahead.take(Steps(0, 4, 5)) == [4, 5, 6, 7, 8]


def test_as_many_steps_are_made_ahead_as_were_taken_last_and_those_of_the_next_epoch_too():
    made, done = [], threading.Semaphore(0)

    def make(epoch: int, step: int) -> int:
        made.append((epoch, step))
        done.release()
        return step

    with prefetcher(make, steps_in_epoch=4) as ahead:
        ahead.take(Steps(0, 1, 3))
        for _ in range(6):
            assert done.acquire(timeout=10)
        assert made == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2)]


def test_nothing_is_made_after_the_last_epoch():
    made = []
    with prefetcher(lambda *step: made.append(step), steps_in_epoch=4, epochs=1) as ahead:
        ahead.take(Steps(0, 0, 3))
        ahead.take(Steps(0, 3, 1))
    assert made == [(0, 0), (0, 1), (0, 2), (0, 3)]


@pytest.mark.parametrize("steps", [Steps(0, 0, 1), Steps(0, 3, 1), Steps(1, 2, 1)])
def test_steps_out_of_turn_are_refused(steps):
    with prefetcher() as ahead:
        ahead.take(Steps(0, 0, 2))
        with pytest.raises(ValueError, match="step 2 of all epochs comes next"):
            ahead.take(steps)


def test_a_call_does_not_pass_the_end_of_an_epoch():
    with prefetcher() as ahead, pytest.raises(ValueError, match="an epoch has 10 steps"):
        ahead.take(Steps(0, 8, 3))


def test_what_goes_wrong_in_a_thread_is_raised_where_the_step_is_taken():
    def make(epoch: int, step: int) -> int:
        if step == 2:
            raise OSError("no such image")
        return step

    with prefetcher(make, threads=2) as ahead:
        assert ahead.take(Steps(0, 0, 2)) == [0, 1]
        with pytest.raises(OSError, match="no such image"):
            ahead.take(Steps(0, 2, 1))


def test_at_the_end_what_has_begun_is_waited_for_and_the_rest_is_left():
    begun, may_end, finished = threading.Event(), threading.Event(), []

    def make(epoch: int, step: int) -> None:
        if step == 3:
            begun.set()
            assert may_end.wait(10)
        finished.append(step)

    with prefetcher(make) as ahead:
        ahead.take(Steps(0, 0, 3))
        assert begun.wait(10)
        # Step 3 has begun, 4 and 5 wait for the thread; it goes on while the block is left.
        threading.Timer(0.05, may_end.set).start()
    assert finished == [0, 1, 2, 3]


def test_the_time_that_a_call_is_waited_for_is_counted():
    def make(epoch: int, step: int) -> int:
        assert threading.Event().wait(0.05) is False
        return step

    with prefetcher(make) as ahead:
        ahead.take(Steps(0, 0, 1))
        assert 0.05 <= ahead.seconds_waited < 5
