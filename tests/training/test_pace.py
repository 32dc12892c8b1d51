import pytest

from job.checkpoints.policy import SavePolicy
from job.training.loop import Schedule, StepCost, steps_per_call
from job.types import Position


@pytest.mark.parametrize(
    ("step_in_epoch", "until_save", "limit", "seconds_per_step", "steps"),
    [
        (0, 100, 16, None, 1),  # speed unknown: return soon
        (0, 100, 16, 0.01, 16),  # the limit
        (0, 100, 16, 0.5, 4),  # two seconds of half-second steps
        (0, 100, 16, 60.0, 1),  # never none
        (0, 3, 16, 0.01, 3),  # up to the save
        (48, 100, 16, 0.01, 2),  # up to the epoch's end
        (0, 100, 16, 0.0, 16),  # a clock too coarse to see a step
    ],
)
def test_a_call_stops_at_whatever_comes_first(
    step_in_epoch, until_save, limit, seconds_per_step, steps
):
    cost = None if seconds_per_step is None else StepCost(seconds_per_step, 1000)
    position = Position(epoch=1, step_in_epoch=step_in_epoch, global_step=50 + step_in_epoch)
    assert steps == steps_per_call(
        position,
        steps_in_epoch=50,
        schedule=Schedule(3, limit, SavePolicy(50 + step_in_epoch + until_save)),
        cost=cost,
    )


@pytest.mark.parametrize(("megabytes", "steps"), [(1, 16), (32, 4), (100, 1), (1000, 1)])
def test_a_call_holds_no_more_batches_than_memory_should(megabytes, steps):
    assert steps == steps_per_call(
        Position(),
        steps_in_epoch=50,
        schedule=Schedule(3, 16, SavePolicy(100)),
        cost=StepCost(0.001, megabytes << 20),
    )
