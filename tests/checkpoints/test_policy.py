import pytest

from job.checkpoints.commit import apply_retention
from job.checkpoints.policy import Retention, SavePolicy
from job.checkpoints.records import CheckpointEntry
from job.types import Position


def entries(steps: str) -> list[CheckpointEntry]:
    """One checkpoint per step; `!` marks one that is not finite."""
    return [
        CheckpointEntry(int(one.strip("!")), f"ckpt/{one}", "a" * 64, "!" not in one)
        for one in steps.split()
    ]


@pytest.mark.parametrize(
    ("keep_last", "steps", "kept"),
    [
        (1, "10", "10"),
        (3, "10 20 30", "10 20 30"),
        (3, "10 20 30 40 50", "30 40 50"),
        (1, "10 20 30!", "20 30!"),  # to train again from before it diverged
        (2, "10 20 30! 40! 50!", "20 40! 50!"),
        (2, "10 20! 30", "20! 30"),
        (2, "10! 20! 30!", "20! 30!"),
        (1, "10! 20! 30", "30"),
    ],
)
def test_retention_keeps_the_newest_checkpoints_and_the_newest_finite_one(
    keep_last: int, steps: str, kept: str
) -> None:
    *known, entry = entries(steps)
    assert apply_retention(known, entry, retention=Retention(keep_last)) == entries(kept)


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
