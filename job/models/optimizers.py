"""Optimizers as functions of their config sections, with fixed names.

The name is part of the path of every optimizer variable, which is its key in a checkpoint.
"""

from collections.abc import Callable
from typing import Any

import keras

from job.config.model import Precision
from job.config.training import AdamConfig, RmspropConfig, SgdConfig

OPTIMIZERS: dict[str, Callable[[Any], keras.optimizers.Optimizer]] = {
    "adam": lambda section: keras.optimizers.Adam(section.learning_rate, name="adam"),
    "rmsprop": lambda section: keras.optimizers.RMSprop(section.learning_rate, name="rmsprop"),
    "sgd": lambda section: keras.optimizers.SGD(
        section.learning_rate, momentum=section.momentum, name="sgd"
    ),
}


def build_optimizer(
    section: AdamConfig | RmspropConfig | SgdConfig, *, precision: Precision = "float32"
) -> keras.optimizers.Optimizer:
    """Builds the configured optimizer.

    Args:
        section: Kind and options.
        precision: Precision of the encoder. With `mixed_float16`, whose smallest number is
            6e-8, the optimizer also scales the loss, and skips a step that overflows.
    """
    optimizer = OPTIMIZERS[section.kind](section)
    if precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
    return optimizer


def read_learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The current learning rate; Keras cannot convert a mirrored variable to a float."""
    return float(optimizer.learning_rate.value.numpy())
