"""Optimizers as functions of their config sections, with fixed names.

The name is part of the path of every optimizer variable, which is its key in a checkpoint.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

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


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, gradients: Sequence[Any], variables: Sequence[Any]
) -> None:
    """Updates variables with the gradients of all replicas; call it on every replica.

    Args:
        optimizer: From `build_optimizer`.
        gradients: One per variable, of `optimizer.scale_loss(loss)`, where `loss` is this
            replica's share of the loss.
        variables: The variables that the optimizer was built for.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        gradients = _finite_on_all_replicas_or_none(gradients)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))


def _finite_on_all_replicas_or_none(gradients: Sequence[Any]) -> list[Any]:
    """Makes all gradients NaN if those of any replica overflowed.

    Keras checks on each replica whether its gradients are finite before they are summed.
    Replicas that disagree would apply a step that overflowed, or wait forever in a collective.
    """
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    # 0 * x is 0 if x is finite and NaN otherwise; a sum with a NaN is NaN.
    nan_or_0 = tf.add_n([tf.reduce_sum(0.0 * gradient) for gradient in dense])
    context = tf.distribute.get_replica_context()
    nan_or_0 = context.all_reduce(tf.distribute.ReduceOp.SUM, nan_or_0)
    return [gradient + nan_or_0 for gradient in dense]
