"""What threads hold together: never above the limit, and nobody waits without need."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from job.preprocessing.image.memory_limit import Room

WAIT = 20.0


def test_those_that_fit_together_are_in_together():
    room, together = Room(), threading.Barrier(3)

    def hold(amount: int) -> None:
        with room.taken(amount, limit=6):
            together.wait(WAIT)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(hold, [1, 2, 3]))


@pytest.mark.parametrize("amount", [4, 100])
def test_one_that_does_not_fit_waits_for_the_others(amount):
    room, entered = Room(), threading.Event()

    def hold() -> None:
        with room.taken(amount, limit=6):
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with room.taken(3, limit=6):
            waiting = pool.submit(hold)
            assert not entered.wait(0.05)
        waiting.result(WAIT)
    assert entered.is_set()


def test_many_threads_never_hold_more_than_the_limit():
    room, lock = Room(), threading.Lock()
    held: list[int] = []
    most: list[int] = []

    def hold(amount: int) -> None:
        with room.taken(amount, limit=10):
            with lock:
                held.append(amount)
                most.append(sum(held))
            threading.Event().wait(0.001)
            with lock:
                held.remove(amount)

    amounts = [1 + number % 9 for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, amounts))
    assert len(most) == 200
    assert 5 < max(most) <= 10


def test_one_that_fails_leaves_its_room():
    room = Room()
    with pytest.raises(KeyError), room.taken(6, limit=6):
        raise KeyError
    with room.taken(6, limit=6):
        pass
