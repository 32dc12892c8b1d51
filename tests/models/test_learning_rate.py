"""The factor of the learning rate, at points derived by hand."""

import keras
import pytest

from job.config.training import (
    ConstantScheduleConfig,
    CosineScheduleConfig,
    LinearScheduleConfig,
)
from job.errors import ConfigError
from job.models.learning_rate import CONSTANT, RateSchedule, read_learning_rate


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (ConstantScheduleConfig(), {0: 1.0, 9: 1.0}),
        (ConstantScheduleConfig(warmup_steps=4), {0: 0.25, 1: 0.5, 3: 1.0, 4: 1.0, 9: 1.0}),
        # Half a cosine over the eight steps of the run: 1/2 (1 + cos(pi s / 8)).
        (
            CosineScheduleConfig(),
            {0: 1.0, 2: 0.8535534, 4: 0.5, 6: 0.1464466, 7: 0.0380602, 8: 0.0, 20: 0.0},
        ),
        # Warm-up to step 2, a line to step 6, and nothing behind it.
        (
            LinearScheduleConfig(warmup_steps=2, decay_steps=6, final_factor=0.2),
            {0: 0.5, 1: 1.0, 2: 1.0, 3: 0.8, 4: 0.6, 5: 0.4, 6: 0.2, 7: 0.2},
        ),
        (
            CosineScheduleConfig(warmup_steps=4, final_factor=0.5),
            {0: 0.25, 3: 1.0, 4: 1.0, 6: 0.75, 7: 0.5732233, 8: 0.5},
        ),
    ],
)
def test_the_factor_at_a_step(section, expected):
    schedule = RateSchedule.of(section, run_steps=8)
    found = {step: float(schedule.factor(step)) for step in expected}
    assert found == pytest.approx(expected, abs=1e-6)
    assert schedule.is_constant == (section == ConstantScheduleConfig())


def test_no_step_of_the_run_has_a_rate_of_zero():
    schedule = RateSchedule.of(LinearScheduleConfig(warmup_steps=3), run_steps=10)
    assert min(float(schedule.factor(step)) for step in range(10)) > 0.1


@pytest.mark.parametrize(
    ("section", "says"),
    [
        (ConstantScheduleConfig(warmup_steps=8), "warmup_steps: 8 is not below the 8 steps"),
        (CosineScheduleConfig(warmup_steps=9), "warmup_steps: 9 is not below the 8 steps"),
        (CosineScheduleConfig(decay_steps=6), "decay_steps: 6 is below.*so the last 2 steps"),
    ],
)
def test_a_schedule_that_does_not_fit_the_run_is_refused(section, says):
    with pytest.raises(ConfigError, match=says):
        RateSchedule.of(section, run_steps=8)


def test_a_rate_that_stays_above_zero_may_reach_its_end_early():
    section = CosineScheduleConfig(decay_steps=6, final_factor=0.1)
    assert float(RateSchedule.of(section, run_steps=8).factor(7)) == pytest.approx(0.1)


def test_the_rate_shown_is_that_of_the_last_step():
    optimizer = keras.optimizers.SGD(0.5)
    schedule = RateSchedule.of(ConstantScheduleConfig(warmup_steps=4), run_steps=8)
    shown = []
    for steps in (0, 1, 2, 8):
        optimizer.iterations.assign(steps)
        shown.append(read_learning_rate(optimizer, schedule=schedule))
    assert shown == [0.125, 0.125, 0.25, 0.5]
    assert read_learning_rate(optimizer) == 0.5


def test_a_callback_that_sets_the_variable_scales_the_schedule():
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25  # as ReduceLROnPlateau does
    schedule = RateSchedule.of(LinearScheduleConfig(), run_steps=4)
    assert float(schedule.rate_of(optimizer, step=2)) == 0.125
    assert float(CONSTANT.rate_of(optimizer, step=2)) == 0.25
