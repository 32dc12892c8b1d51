"""When to save and when to give up, as pure functions of numbers.

::

    SavePolicy(every_steps=100).steps_until_save(250)  # -> 50
"""

from dataclasses import dataclass

# Attempts in a row that trained and committed nothing new, after which a run is given up.
MAX_FRUITLESS = 5

# Saves by measured cost: their share of the time, and the bounds of the interval in seconds.
COST_SHARE = 0.03
FIRST_SECONDS = 30.0
MIN_SECONDS = 10.0
MAX_SECONDS = 600.0


@dataclass(frozen=True)
class SavePolicy:
    """When a save is due within training.

    By steps: at multiples of the step count, not "N steps after the last save", so an attempt
    that resumed at step 130 saves at the same steps as an undisturbed run. By seconds: so long
    after the save before. With neither, by measured cost: saves take `COST_SHARE` of the time,
    and one is due every `MAX_SECONDS` at least.

    The loop and the checkpoint callback share one instance: a call of the training function
    ends where a save by steps is due.

    Attributes:
        every_steps: Optimizer steps between two saves, >= 1; None if they do not decide.
        every_seconds: Seconds between two saves, > 0; None if they do not decide.
    """

    every_steps: int | None = None
    every_seconds: float | None = None

    @property
    def saves_every_epoch(self) -> bool:
        """Whether every epoch's end is saved: only where steps decide."""
        return self.every_steps is not None

    def is_due(
        self, global_step: int, *, steps: int, seconds: float, cost_seconds: float | None
    ) -> bool:
        """Whether a save is due.

        Args:
            global_step: Optimizer steps taken.
            steps: How many of them since the last question.
            seconds: Time since the last save.
            cost_seconds: What that save cost training; None if there was none.
        """
        if self.every_steps is not None:
            return global_step // self.every_steps > (global_step - steps) // self.every_steps
        if self.every_seconds is not None:
            return seconds >= self.every_seconds
        if cost_seconds is None:
            return seconds >= FIRST_SECONDS
        return seconds >= min(max(cost_seconds / COST_SHARE, MIN_SECONDS), MAX_SECONDS)

    def steps_until_save(self, global_step: int) -> int | None:
        """Steps to the next save, in [1, every_steps]; None if steps do not decide."""
        if self.every_steps is None:
            return None
        return self.every_steps - global_step % self.every_steps
