"""How many optimizer steps to run before looking up. Pure; changes speed, never a result."""

from dataclasses import dataclass

from job.types import Position

# A stop is noticed between calls: together with a save this must fit a 15 s grace period.
CALL_SECONDS = 2.0
# A call has its batches in memory, a copy of them, and those of the next call.
CALL_BYTES = 128 << 20


@dataclass(frozen=True)
class StepCost:
    """What a step was seen to take.

    Attributes:
        seconds: Wall time.
        num_bytes: Length of the items of its batch.
    """

    seconds: float
    num_bytes: int


def steps_this_call(
    position: Position,
    *,
    steps_in_epoch: int,
    until_save: int,
    limit: int,
    cost: StepCost | None,
) -> int:
    """Steps to run in the next call of the training function.

    Args:
        position: Where training stands; inside an epoch.
        steps_in_epoch: Steps of a whole epoch.
        until_save: Steps to the next checkpoint, >= 1; a call never runs past it.
        limit: `training.steps_per_call`.
        cost: Of a step, or None while it is not known.

    Returns:
        At least 1; at most what is left of the epoch.
    """
    if cost is None:
        return 1
    in_time = int(CALL_SECONDS / max(cost.seconds, 1e-9))
    in_memory = CALL_BYTES // max(cost.num_bytes, 1)
    left = steps_in_epoch - position.step_in_epoch
    return max(1, min(limit, in_time, in_memory, until_save, left))
