"""How the copy is fitted into the time, with processes that are made up."""

import random
import re
from pathlib import Path

import pytest

from job.config.loader.load_config import load_config
from job.errors import ConfigError
from job.run.verify_resume import verify
from job.run.verify_resume.child import Attempt
from job.run.verify_resume.plan import Size, first_size, overrides


def loaded(*sets):
    return load_config(Path("examples/text.yaml"), env={}, sets=sets)


@pytest.mark.parametrize(
    ("sets", "size"),
    [
        ((), Size(3, 40, 1000)),
        (
            [
                "training.epochs=2",
                "training.steps_per_epoch=5",
                "evaluation.validation_pairs=9",
            ],
            Size(2, 5, 9),
        ),
    ],
)
def test_the_copy_is_no_larger_than_the_run(sets, size):
    assert first_size(loaded(*sets).config) == size


@pytest.mark.parametrize(("steps", "epochs", "kept"), [(900, 3, 2), (1, 3, 1), (900, 1, 0)])
def test_the_copy_warms_up_for_fewer_steps_than_it_has(steps, epochs, kept):
    config = loaded(f"training.schedule.warmup_steps={steps}").config
    sets = overrides(config, size=Size(epochs, 1, 32), root="/tmp")
    assert loaded(*sets).config.training.schedule.warmup_steps == kept


def attempt(*, step, startup, training, is_trained):
    ending = "trained" if is_trained else "time limit"
    return Attempt(ending, 0, step, startup + training, startup, is_trained)


def run_with(monkeypatch, tmp_path, attempts, *, minutes=3.0):
    """Runs the proof; returns the values of `--set` of each process."""
    given = []

    def run_attempt(copy, **_):
        given.append(" ".join(copy.sets))
        return attempts[len(given) - 1]

    monkeypatch.setattr(verify, "run_attempt", run_attempt)
    with pytest.raises(ConfigError) as refused:
        verify.verify_resume(
            loaded(),
            sets=["run.seed=5"],
            scratch=tmp_path,
            minutes=minutes,
            num_kills=None,
            rng=random.Random(1),
        )
    return given, str(refused.value)


def test_a_copy_that_trains_too_long_is_shortened_by_what_it_did(monkeypatch, tmp_path):
    slow = attempt(step=30, startup=10.0, training=27.0, is_trained=False)
    given, message = run_with(monkeypatch, tmp_path, [slow] * 3)
    steps = [int(re.search(r"steps_per_epoch=(\d+)", one)[1]) for one in given]
    assert steps == [40, 5, 5]
    assert all(one.startswith("run.seed=5 ") for one in given)
    assert "--minutes 3: the shortened run did not end within 37 s" in message


def test_a_time_for_less_than_two_kills_is_refused_with_one_that_is_enough(
    monkeypatch, tmp_path
):
    quick = attempt(step=120, startup=60.0, training=10.0, is_trained=True)
    given, message = run_with(monkeypatch, tmp_path, [quick], minutes=2.0)
    assert len(given) == 1
    assert "--minutes 2: 0 kills fit, of at least 2: a start takes 60 s" in message
    assert message.endswith("Give --minutes 6.")
