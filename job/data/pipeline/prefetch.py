"""Prepares the next calls in threads while the current one runs, across the ends of epochs.

A call is some consecutive steps of an epoch, joined::

    with Prefetcher(make, join, steps_in_epoch=10, epochs=3, threads=2) as ahead:
        call = ahead.take(Steps(epoch=0, first=0, count=4))
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Generic, TypeVar

Made = TypeVar("Made")
Joined = TypeVar("Joined")


@dataclass(frozen=True)
class Steps:
    """Consecutive steps of an epoch; epochs and steps count from 0."""

    epoch: int
    first: int
    count: int


class Prefetcher(Generic[Made, Joined]):
    """Makes steps and joins them into calls, ahead of use.

    After a call, as many further steps are made as it had, and joined into the call that is
    likely to come next. Memory therefore grows with the size of a call and of a batch, not with
    the data. Results of `make` and `join` may depend on their arguments only.

    Args:
        make: Makes a step of an epoch; called from several threads.
        join: Joins the steps of a call; called from a thread, or from `take` if another call
            was expected.
        steps_in_epoch: Steps of every epoch.
        epochs: The epoch after the last one.
        threads: Number of results made at a time.
    """

    def __init__(
        self,
        make: Callable[[int, int], Made],
        join: Callable[[Sequence[Made]], Joined],
        *,
        steps_in_epoch: int,
        epochs: int,
        threads: int,
    ) -> None:
        self._make = make
        self._join = join
        self._steps_in_epoch = steps_in_epoch
        self._end = steps_in_epoch * epochs
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="input")
        self._ahead: deque[Future[Made]] = deque()
        self._next = 0  # number of the next step to make, over all epochs
        self._expected: tuple[Steps, Future[Joined]] | None = None
        self.seconds_waited = 0.0

    def take(self, steps: Steps) -> Joined:
        """The joined results of some steps.

        Raises:
            ValueError: The steps do not follow those taken before, or pass the epoch's end.
            Exception: The one that `make` raised for one of them.
        """
        first = steps.epoch * self._steps_in_epoch + steps.first
        if not self._ahead:
            self._next = first
        begins = self._next - len(self._ahead)
        last = first + steps.count
        if first != begins or steps.first + steps.count > self._steps_in_epoch:
            raise ValueError(
                f"{steps} were asked for; step {begins} of all epochs comes next, and an epoch "
                f"has {self._steps_in_epoch} steps"
            )
        started = monotonic()
        self._prepare(until=last)
        parts = [self._ahead.popleft() for _ in range(steps.count)]
        expected, self._expected = self._expected, None
        self._prepare(until=min(last + steps.count, self._end))
        if expected is not None and expected[0] == steps:
            joined = expected[1].result()
        else:
            joined = self._join([part.result() for part in parts])
        self._expect(last, count=steps.count)
        self.seconds_waited += monotonic() - started
        return joined

    def _prepare(self, *, until: int) -> None:
        while self._next < until:
            epoch, step = divmod(self._next, self._steps_in_epoch)
            self._ahead.append(self._pool.submit(self._make, epoch, step))
            self._next += 1

    def _expect(self, number: int, *, count: int) -> None:
        """Joins the call that is likely to begin at a step, numbered over all epochs."""
        if number >= self._end:
            return
        epoch, first = divmod(number, self._steps_in_epoch)
        steps = Steps(epoch, first, min(count, self._steps_in_epoch - first))
        parts = list(self._ahead)[: steps.count]
        # Threads take tasks in order: when this one begins, all it waits for has begun.
        joining = self._pool.submit(lambda: self._join([part.result() for part in parts]))
        self._expected = steps, joining

    def __enter__(self) -> "Prefetcher[Made, Joined]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Waits for running calls: a thread may read from a file that is closed next.
        self._pool.shutdown(wait=True, cancel_futures=True)
