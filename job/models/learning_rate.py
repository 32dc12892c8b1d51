"""The learning rate of each step: the optimizer's variable times a factor of the step.

The factor is a pure function of how many steps the optimizer has taken, which is part of every
checkpoint. The variable stays what it is in Keras, so callbacks may still read and set it. A
`LearningRateSchedule` of Keras would replace the variable, and ReduceLROnPlateau would fail::

    schedule = RateSchedule.of(training.schedule, run_steps=1000)
    rate = schedule.rate_of(optimizer, step=optimizer.iterations)
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from job.config.training import ConstantScheduleConfig, Schedule
from job.errors import ConfigError

# From the share of the decay that is over, 0 to 1, to the share of the rate that is left.
_SHAPES = {
    "cosine": lambda progress: 0.5 * (1.0 + tf.cos(math.pi * progress)),
    "linear": lambda progress: 1.0 - progress,
}


@dataclass(frozen=True)
class RateSchedule:
    """The factor of the learning rate.

    Step s, counted from 0, of a warm-up of W steps has the factor (s + 1) / W, so no step is
    lost to a rate of 0. From step W to step E the factor falls from 1 to `final_factor`; steps
    after E have the latter.

    Attributes:
        kind: `constant`, `cosine` or `linear`.
        warmup_steps: W, >= 0.
        decay_steps: E, > W; 0 if the rate does not fall.
        final_factor: In [0, 1).

    Source: Loshchilov and Hutter 2017 (SGDR), eq. 5, one cycle, after a linear warm-up as in
    Goyal et al. 2017, section 2.2.
    """

    kind: str = "constant"
    warmup_steps: int = 0
    decay_steps: int = 0
    final_factor: float = 0.0

    @classmethod
    def of(cls, section: Schedule, *, run_steps: int) -> "RateSchedule":
        """The configured schedule.

        Args:
            section: Kind and options.
            run_steps: Optimizer steps of the whole run.

        Raises:
            ConfigError: The run ends before the warm-up does, or would go on without learning.
        """
        warmup = section.warmup_steps
        if warmup >= run_steps and warmup:
            raise ConfigError(
                f"training.schedule.warmup_steps: {warmup} is not below the {run_steps} steps "
                "of the run, which would end before the learning rate is reached. Lower it, or "
                "train for longer."
            )
        if isinstance(section, ConstantScheduleConfig):
            return cls(warmup_steps=warmup)
        end = section.decay_steps or run_steps
        if end < run_steps and not section.final_factor:
            raise ConfigError(
                f"training.schedule.decay_steps: {end} is below the {run_steps} steps of the "
                f"run, and training.schedule.final_factor is 0, so the last {run_steps - end} "
                "steps would change nothing. Raise either, or train for fewer epochs."
            )
        return cls(section.kind, warmup, end, section.final_factor)

    @property
    def is_constant(self) -> bool:
        """Whether every step has the factor 1."""
        return self.kind == "constant" and not self.warmup_steps

    def factor(self, step: Any) -> tf.Tensor:
        """The factor at a step.

        Args:
            step: Integer (), from 0: the steps taken before.

        Returns:
            float32 (), in [0, 1].
        """
        # float32 counts to 16.7 million.
        step = tf.cast(step, tf.float64)
        factor = tf.ones((), tf.float64)
        if self.kind != "constant":
            length = self.decay_steps - self.warmup_steps
            progress = tf.clip_by_value((step - self.warmup_steps) / length, 0.0, 1.0)
            factor = self.final_factor + (1.0 - self.final_factor) * _SHAPES[self.kind](
                progress
            )
        if self.warmup_steps:
            rising = (step + 1.0) / self.warmup_steps
            factor = tf.where(step < self.warmup_steps, rising, factor)
        return tf.cast(factor, tf.float32)

    def rate_of(self, optimizer: keras.optimizers.Optimizer, *, step: Any) -> tf.Tensor:
        """The learning rate at a step, float32 ()."""
        rate = tf.convert_to_tensor(optimizer.learning_rate)
        return rate if self.is_constant else rate * self.factor(step)


CONSTANT = RateSchedule()


def read_learning_rate(
    optimizer: keras.optimizers.Optimizer, *, schedule: RateSchedule = CONSTANT
) -> float:
    """The learning rate of the last step; of the first one before there is any.

    Keras cannot convert a mirrored variable to a float.
    """
    rate = float(optimizer.learning_rate.value.numpy())
    if schedule.is_constant:
        return rate
    taken = int(optimizer.iterations.value.numpy())
    return rate * float(schedule.factor(max(taken - 1, 0)))
