"""How many optimizer steps to run before looking up. Pure; changes speed, never a result."""

from job.types import Position

# A stop is noticed between calls: together with a save this must fit a 15 s grace period.
CALL_SECONDS = 2.0


def steps_this_call(
    position: Position,
    *,
    steps_in_epoch: int,
    until_save: int,
    limit: int,
    seconds_per_step: float | None,
) -> int:
    """Steps to run in the next call of the training function.

    Args:
        position: Where training stands; inside an epoch.
        steps_in_epoch: Steps of a whole epoch.
        until_save: Steps to the next checkpoint, >= 1; a call never runs past it.
        limit: `training.steps_per_call`.
        seconds_per_step: Measured duration, or None while it is not known.

    Returns:
        At least 1; at most what is left of the epoch.
    """
    if seconds_per_step is None:
        return 1
    affordable = int(CALL_SECONDS / max(seconds_per_step, 1e-9))
    left = steps_in_epoch - position.step_in_epoch
    return max(1, min(limit, affordable, until_save, left))
