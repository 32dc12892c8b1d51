import pytest

from job.checkpoints.commit import apply_retention
from job.checkpoints.policy import (
    FIRST_SECONDS,
    MAX_SECONDS,
    MIN_SECONDS,
    SavePolicy,
)
from job.checkpoints.records import CheckpointEntry


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
    assert apply_retention(known, entry, keep_last=keep_last) == entries(kept)


@pytest.mark.parametrize(
    ("step", "steps", "due"),
    [
        (99, 99, False),
        (100, 1, True),
        (100, 0, False),
        (130, 30, False),
        (200, 70, True),  # a preempted attempt saved at 130: the next save stays at 200
        (203, 73, True),  # a call went past the multiple
        (203, 3, False),
    ],
)
def test_saves_by_steps_fall_on_multiples_whatever_was_saved_between(
    step: int, steps: int, due: bool
) -> None:
    policy = SavePolicy(every_steps=100)
    assert policy.is_due(step, steps=steps, seconds=1e9, cost_seconds=None) == due


@pytest.mark.parametrize(
    ("policy", "seconds", "cost_seconds", "due"),
    [
        (SavePolicy(every_seconds=60.0), 59.0, 1e9, False),
        (SavePolicy(every_seconds=60.0), 60.0, 1e9, True),
        (SavePolicy(), FIRST_SECONDS - 1.0, None, False),
        (SavePolicy(), FIRST_SECONDS, None, True),
        (SavePolicy(), MIN_SECONDS - 1.0, 0.001, False),
        (SavePolicy(), MIN_SECONDS, 0.001, True),
        (SavePolicy(), 99.0, 3.0, False),  # 3 s are 3 % of 100 s
        (SavePolicy(), 100.0, 3.0, True),
        (SavePolicy(), MAX_SECONDS, 1e9, True),
    ],
)
def test_saves_by_time_come_after_so_many_seconds_or_cost_a_bounded_share(
    policy: SavePolicy, seconds: float, cost_seconds: float | None, due: bool
) -> None:
    assert policy.is_due(7, steps=7, seconds=seconds, cost_seconds=cost_seconds) == due


@pytest.mark.parametrize(("step", "left"), [(0, 100), (1, 99), (99, 1), (100, 100), (250, 50)])
def test_steps_until_the_next_save_are_counted_to_the_multiple(step: int, left: int) -> None:
    assert SavePolicy(every_steps=100).steps_until_save(step) == left
