"""When to save and what to keep, as pure functions of numbers.

::

    SavePolicy(every_steps=100).steps_until_save(250)            # -> 50
"""

from dataclasses import dataclass

from job.types import Position

# Attempts in a row that trained and committed nothing new, after which a run is given up.
MAX_FRUITLESS = 5


@dataclass(frozen=True)
class Retention:
    """Keeps the newest checkpoints and the best one.

    Attributes:
        keep_last: Newest checkpoints kept in addition to the best, >= 1.
    """

    keep_last: int

    def __post_init__(self) -> None:
        if self.keep_last < 1:
            raise ValueError(f"keep_last is {self.keep_last}; keep at least 1")


@dataclass(frozen=True)
class SavePolicy:
    """Saves at every multiple of a number of steps.

    Multiples of the step count, not "N steps after the last save": an attempt that resumed at
    step 130 then saves at the same steps as an undisturbed run. The end of an epoch is saved in
    any case. The loop and the checkpoint callback share one instance, so that no call of the
    training function runs past a save.

    Attributes:
        every_steps: Optimizer steps between two saves, >= 1.
    """

    every_steps: int

    def __post_init__(self) -> None:
        if self.every_steps < 1:
            raise ValueError(f"every_steps is {self.every_steps}; use at least 1")

    def should_save(self, position: Position, *, last_saved_step: int) -> bool:
        """Whether a multiple has been reached since `last_saved_step`."""
        due = position.global_step // self.every_steps
        return due > last_saved_step // self.every_steps

    def steps_until_save(self, global_step: int) -> int:
        """Steps to the next multiple, in [1, every_steps]."""
        return self.every_steps - global_step % self.every_steps
