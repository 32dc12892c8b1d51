"""How fast training goes and when it ends, from the calls made lately.

Pure bookkeeping: no clock of its own and no output::

    pace = Pace()
    pace.add(16, examples=4096, seconds=1.6)
    pace.seconds_per_step  # 0.1
"""

from collections import deque
from dataclasses import dataclass

# Long enough to smooth a slow call, short enough to follow a change of speed.
WINDOW_SECONDS = 30.0


@dataclass(frozen=True)
class Call:
    """One call into the compiled training function: its optimizer steps, pairs, wall time."""

    steps: int
    examples: int
    seconds: float


class Pace:
    """The speed over the calls that fill the last `WINDOW_SECONDS` of training."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._seconds = 0.0

    def add(self, steps: int, *, examples: int, seconds: float) -> None:
        """Takes one call into account, and forgets those before the window.

        Args:
            steps: Its optimizer steps; >= 1.
            examples: Its pairs.
            seconds: Its wall time, >= 0.
        """
        self._calls.append(Call(steps, examples, seconds))
        self._seconds += seconds
        while self._seconds - self._calls[0].seconds >= WINDOW_SECONDS:
            self._seconds -= self._calls.popleft().seconds

    @property
    def seconds_per_step(self) -> float | None:
        """Wall time of a step; None before the first call."""
        steps = sum(call.steps for call in self._calls)
        return sum(call.seconds for call in self._calls) / steps if steps else None

    @property
    def examples_per_second(self) -> float | None:
        """Pairs a second; None before the first call, or when it took no time at all."""
        seconds = sum(call.seconds for call in self._calls)
        return sum(call.examples for call in self._calls) / seconds if seconds > 0 else None


def remaining_seconds(
    seconds_per_step: float | None,
    *,
    steps_left: int,
    pauses_left: int,
    seconds_per_pause: float,
) -> float | None:
    """When training will be over, if it goes on as it does.

    Args:
        seconds_per_step: Wall time of a step; None when it is not known.
        steps_left: Optimizer steps to go.
        pauses_left: Ends of epochs to come, where validation and saving take time.
        seconds_per_pause: Wall time of one of those.

    Returns:
        Seconds, or None when it is not known.
    """
    if seconds_per_step is None:
        return None
    return max(steps_left, 0) * seconds_per_step + max(pauses_left, 0) * seconds_per_pause
