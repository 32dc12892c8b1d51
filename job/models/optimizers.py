"""Optimizers as functions of their config sections, under fixed names.

The name is part of the path of every optimizer variable, and so of the checkpoint's keys.
"""

from collections.abc import Callable
from typing import Any

import keras

from job.config.training import AdamConfig, RmspropConfig, SgdConfig

OPTIMIZERS: dict[str, Callable[[Any], keras.optimizers.Optimizer]] = {
    "adam": lambda section: keras.optimizers.Adam(section.learning_rate, name="adam"),
    "rmsprop": lambda section: keras.optimizers.RMSprop(section.learning_rate, name="rmsprop"),
    "sgd": lambda section: keras.optimizers.SGD(
        section.learning_rate, momentum=section.momentum, name="sgd"
    ),
}


def build_optimizer(
    section: AdamConfig | RmspropConfig | SgdConfig,
) -> keras.optimizers.Optimizer:
    """The optimizer that the configuration names."""
    return OPTIMIZERS[section.kind](section)
