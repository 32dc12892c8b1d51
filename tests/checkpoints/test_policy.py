import pytest

from job.checkpoints.policy import Retention, SavePolicy
from job.types import Position


@pytest.mark.parametrize(
    ("keep_last", "steps", "best", "gone"),
    [
        (3, [], None, []),
        (3, [10, 20, 30], None, []),
        (3, [10, 20, 30, 40], None, [10]),
        (3, [10, 20, 30, 40], 10, []),
        (3, [10, 20, 30, 40, 50], 10, [20]),
        (3, [10, 20, 30, 40, 50], 40, [10, 20]),
        (1, [10, 20, 30], 30, [10, 20]),
        (1, [10, 20, 30], 10, [20]),
        (1, [10], None, []),
        (2, [30, 10, 20], None, [10]),
        (2, [10, 20, 20, 30], None, [10]),
        (1, [10, 20], 99, [10]),
    ],
)
def test_retention_drops_the_oldest_but_never_the_best(
    keep_last: int, steps: list[int], best: int | None, gone: list[int]
) -> None:
    assert Retention(keep_last).to_delete(steps, best=best) == gone


@pytest.mark.parametrize(
    ("step", "last_saved", "save"),
    [
        (0, 0, False),
        (99, 0, False),
        (100, 0, True),
        (100, 100, False),
        (130, 100, False),
        (200, 130, True),  # a preempted attempt saved at 130: the next save stays at 200
        (203, 130, True),  # a block of steps went past the multiple
        (203, 203, False),
        (200, 203, False),
    ],
)
def test_saves_fall_on_multiples_whatever_was_saved_between(
    step: int, last_saved: int, save: bool
) -> None:
    policy = SavePolicy(every_steps=100)
    position = Position(0, step, step)
    assert policy.should_save(position, last_saved_step=last_saved) == save


@pytest.mark.parametrize(("step", "left"), [(0, 100), (1, 99), (99, 1), (100, 100), (250, 50)])
def test_steps_until_the_next_save_are_counted_to_the_multiple(step: int, left: int) -> None:
    assert SavePolicy(every_steps=100).steps_until_save(step) == left


def test_keeping_or_saving_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="keep at least 1"):
        Retention(0)
    with pytest.raises(ValueError, match="use at least 1"):
        SavePolicy(0)
