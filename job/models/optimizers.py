"""Optimizers as functions of their config sections, with fixed names.

The name is part of the path of every optimizer variable, which is its key in a checkpoint.
"""

from collections.abc import Callable
from typing import Any

import keras

from job.config.model import Precision
from job.config.training import AdamConfig, AdamwConfig, RmspropConfig, SgdConfig
from job.models.heads import SINGLE_WEIGHTS

OPTIMIZERS: dict[str, Callable[[Any], keras.optimizers.Optimizer]] = {
    "adam": lambda section: keras.optimizers.Adam(section.learning_rate, name="adam"),
    "adamw": lambda section: keras.optimizers.AdamW(
        section.learning_rate, weight_decay=section.weight_decay, name="adamw"
    ),
    "rmsprop": lambda section: keras.optimizers.RMSprop(section.learning_rate, name="rmsprop"),
    "sgd": lambda section: keras.optimizers.SGD(
        section.learning_rate, momentum=section.momentum, name="sgd"
    ),
}


def build_optimizer(
    section: AdamConfig | AdamwConfig | RmspropConfig | SgdConfig,
    *,
    precision: Precision = "float32",
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


def decays(variable: keras.Variable) -> bool:
    """Whether weight decay applies to a weight: to kernels and embedding tables.

    Biases and the weights of normalisation have one axis. The scale and the bias of a head are
    kernels of layers with one weight each (`heads.SINGLE_WEIGHTS`): under a loss that does not
    train them, decay would be all that changes them.

    Source: the rule of BERT (Devlin et al. 2019), no decay of biases and of layer
    normalisation; Loshchilov and Hutter 2019 leave it open.
    """
    layer = variable.path.split("/")[-2]
    return len(variable.shape) > 1 and layer not in SINGLE_WEIGHTS
