"""Where batch hooks run and where calls of the training function end.

Batch hooks enclose blocks of steps, on a grid that begins anew in each epoch. The grid depends
on the configuration and the data alone, so a resumed run calls hooks at the same steps::

    grid = HookGrid(block_steps=4, steps_in_epoch=10)
    grid.begin(5), grid.end(5)  # (4, 8)
    grid.end(9)                 # 10

A block is one or more calls: a call also ends at a save, at a validation inside an epoch, and
after about `CALL_SECONDS`. Hooks do not see where calls end, because measured time may not
influence training.
"""

from dataclasses import dataclass

# A stop is noticed between calls: together with a save this must fit a 15 s grace period.
CALL_SECONDS = 2.0
# A call has its batches in memory, a copy of them, and those of the next call.
CALL_BYTES = 128 << 20


def grid_steps(steps_per_call: int, *, batch_bytes: int) -> int:
    """Steps in a block: as many as a call may have at most.

    Args:
        steps_per_call: The configured limit, >= 1.
        batch_bytes: Size of the items of the largest batch.

    Returns:
        At least 1.
    """
    return max(1, min(steps_per_call, CALL_BYTES // max(batch_bytes, 1)))


def steps_of_call(
    *,
    steps_left: int,
    steps_until_save: int | None,
    steps_until_validation: int | None = None,
    seconds_per_step: float | None,
) -> int:
    """Steps in the next call of the training function.

    Args:
        steps_left: To the end of the block, >= 1.
        steps_until_save: To the next save, >= 1; None if steps do not decide.
        steps_until_validation: To the next validation inside an epoch, likewise.
        seconds_per_step: Measured wall time; None while unknown.

    Returns:
        At least 1.
    """
    if seconds_per_step is None:
        return 1
    affordable = max(1, int(CALL_SECONDS / max(seconds_per_step, 1e-9)))
    events = (steps_until_save, steps_until_validation)
    return min(steps_left, affordable, *(steps for steps in events if steps is not None))


@dataclass(frozen=True)
class HookGrid:
    """The blocks of an epoch; steps count from 0 in each epoch.

    Attributes:
        block_steps: Steps in a block, >= 1; the last block of an epoch may be shorter.
        steps_in_epoch: Steps in an epoch.
    """

    block_steps: int
    steps_in_epoch: int

    def begin(self, step: int) -> int:
        """The first step of the block that contains `step`."""
        return step - step % self.block_steps

    def end(self, step: int) -> int:
        """The step after the block that contains `step`."""
        return min(self.begin(step) + self.block_steps, self.steps_in_epoch)

    def is_edge(self, step: int) -> bool:
        """Whether no block is under way after `step` steps."""
        return step == self.steps_in_epoch or step == self.begin(step)
