"""When to save and what to keep, as pure functions of numbers.

::

    Retention(keep_last=3).to_delete([10, 20, 30, 40], best=10)  # -> []
    SavePolicy(every_steps=100).steps_until_save(250)            # -> 50
    NoProgress(limit=3).check(3, step=250)                       # raises NoProgressError
"""

from collections.abc import Sequence
from dataclasses import dataclass

from job.errors import NoProgressError
from job.types import Position


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

    def to_delete(self, steps: Sequence[int], *, best: int | None) -> list[int]:
        """Returns the steps whose checkpoints can be deleted, oldest first."""
        kept = set(sorted(set(steps))[-self.keep_last :]) | {best}
        return [step for step in sorted(set(steps)) if step not in kept]


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


@dataclass(frozen=True)
class NoProgress:
    """Ends a run whose attempts train and never commit.

    A crash that comes back at the same step would repeat until the Job's deadline. An attempt
    that was preempted, or ended before its first training step, says nothing about that and is
    not counted.

    Attributes:
        limit: Attempts in a row that may train without a new commit, >= 1.
    """

    limit: int

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit is {self.limit}; allow at least 1 attempt")

    def check(self, num_attempts: int, *, step: int) -> None:
        """Returns if another attempt may train.

        Args:
            num_attempts: Attempts that trained since the last commit and committed nothing.
            step: Optimizer steps at the last commit; 0 if there is none.

        Raises:
            NoProgressError: The limit is reached.
        """
        if num_attempts >= self.limit:
            raise NoProgressError(
                f"{num_attempts} attempts trained and committed nothing after step {step}. At "
                f"most {self.limit} in a row may do so. Read the log of the last attempt for "
                "what ended it; remove that cause, or lower checkpoint.every_steps so that a "
                "commit comes before it, and start again."
            )
