"""Optimizers as functions of their config sections, under fixed names.

The name is part of the path of every optimizer variable, and so of the checkpoint's keys.
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
    """The optimizer that the configuration names.

    Args:
        section: Names the kind and its options.
        precision: What the encoder computes in. For `mixed_float16`, whose smallest number is
            6e-8, the optimizer also scales the loss, and skips a step where that is too much.
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
    """Changes variables by the gradients that the replicas found; call it on each of them.

    Args:
        optimizer: From `build_optimizer`.
        gradients: One for each variable, of `optimizer.scale_loss(loss)`, where `loss` is this
            replica's share of the loss.
        variables: Those the optimizer was built for.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        gradients = _finite_on_all_replicas_or_none(gradients)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))


def _finite_on_all_replicas_or_none(gradients: Sequence[Any]) -> list[Any]:
    """Makes gradients NaN where those of another replica overflowed.

    Keras asks each replica whether its gradients are finite before they are added up: it would
    take the step because the first replica may, or wait for ever for one that may not.
    """
    dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
    # 0 * x is 0, but NaN for what is not finite; so is a sum that holds it.
    trouble = tf.add_n([tf.reduce_sum(0.0 * gradient) for gradient in dense])
    context = tf.distribute.get_replica_context()
    trouble = context.all_reduce(tf.distribute.ReduceOp.SUM, trouble)
    return [gradient + trouble for gradient in dense]
