"""Prepares the next steps in threads while the current ones are used.

with Prefetcher(make, stop=num_steps, threads=2) as ahead:
batches = ahead.take(first=0, count=16)
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Prefetcher(Generic[Made]):
    """Calls `make(step)` in threads ahead of use; results come in order.

    Prepares as many steps as were taken last, so memory grows with the size of a call and of a
    batch, not with the data. The result of `make` may depend on its argument only.

    Args:
        make: Makes the result of a step; called from several threads.
        stop: The step after the last one.
        threads: Number of results made at a time.
    """

    def __init__(self, make: Callable[[int], Made], *, stop: int, threads: int) -> None:
        self._make = make
        self._stop = stop
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="input")
        self._ahead: deque[Future[Made]] = deque()
        self._next = 0

    def take(self, *, first: int, count: int) -> list[Made]:
        """The results of `count` steps from `first` on.

        Raises:
            ValueError: The steps do not follow those taken before, or pass the end.
            Exception: The one that `make` raised for one of them.
        """
        if not self._ahead:
            self._next = first
        begins = self._next - len(self._ahead)
        if first != begins or first + count > self._stop:
            raise ValueError(
                f"steps {first} to {first + count} were asked for; {begins} comes next, and "
                f"steps end at {self._stop}"
            )
        self._prepare(until=first + count)
        taken = [self._ahead.popleft() for _ in range(count)]
        self._prepare(until=min(first + 2 * count, self._stop))
        return [future.result() for future in taken]

    def _prepare(self, *, until: int) -> None:
        while self._next < until:
            self._ahead.append(self._pool.submit(self._make, self._next))
            self._next += 1

    def __enter__(self) -> "Prefetcher[Made]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Waits for running calls: a thread may read from a file that is closed next.
        self._pool.shutdown(wait=True, cancel_futures=True)
