"""Duration of each call of the compiled training function, measured between hooks."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class CallTiming:
    """One call: its optimizer steps and wall time (None for the first, which compiled)."""

    steps: int
    seconds: float | None


class StepTimer:
    """Times the calls between `on_train_batch_begin` and `on_train_batch_end`.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = 0.0
        self._first_batch = 0
        self._has_compiled = False

    def begin(self, batch: int) -> None:
        """A call starts with this batch of the epoch, from 0."""
        self._first_batch = batch
        self._started = self._clock()

    def end(self, batch: int) -> CallTiming:
        """The call has ended with this batch of the epoch."""
        seconds = self._clock() - self._started if self._has_compiled else None
        self._has_compiled = True
        return CallTiming(batch - self._first_batch + 1, seconds)
