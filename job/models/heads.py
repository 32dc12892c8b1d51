"""Heads: from two embeddings to one logit. B pairs, D embedding size.

A head is a separate `keras.Model`, so that pairs can be scored from stored embeddings. The
score of a pair is the sigmoid of the logit. Heads consist of stock Keras layers, so an exported
`.keras` file opens without this package. `config.model.HEADS` says what each head can do.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from job.config.model import (
    AbsDiffConfig,
    AbsDiffProductConfig,
    ConcatConfig,
    CosineConfig,
    EuclideanConfig,
    Head,
    MlpConfig,
    ProductConfig,
)
from job.models.distances import cosine, euclidean
from job.models.seeds import derive_seed

# The sigmoid of an unscaled cosine spans 0.27 to 0.73, too little to learn from.
_INITIAL_COSINE_SCALE = 8.0
_INITIAL_COSINE_BIAS = -4.0  # score 1/2 at cos = 1/2
_INITIAL_DISTANCE_SCALE = 1.0
_INITIAL_DISTANCE_BIAS = 1.0  # score 1/2 at ||u - v|| = 1
# Layers of one weight, which is called a kernel and is none.
SINGLE_WEIGHTS = ("log_scale", "bias")


def build_concat(section: ConcatConfig, *, embedding_size: int, seed: int) -> keras.Model:
    """Dense(1) on [u, v], as in the book.

    Source: Chollet, Deep Learning with Python, 1st edition, section 7.1.5.
    """
    u_BD, v_BD = _embeddings(embedding_size)
    features = ops.concatenate([u_BD, v_BD], axis=-1)
    return _head(u_BD, v_BD, _logit(features, section.kind, seed=seed))


def build_mlp(section: MlpConfig, *, embedding_size: int, seed: int) -> keras.Model:
    """Dense(units, relu) and Dense(1) on [u, v]."""
    u_BD, v_BD = _embeddings(embedding_size)
    hidden = keras.layers.Dense(
        section.units,
        activation="relu",
        kernel_initializer=_glorot(f"{section.kind}/hidden", seed=seed),
        name="hidden",
    )(ops.concatenate([u_BD, v_BD], axis=-1))
    return _head(u_BD, v_BD, _logit(hidden, section.kind, seed=seed))


def build_abs_diff(section: AbsDiffConfig, *, embedding_size: int, seed: int) -> keras.Model:
    """Dense(1) on |u - v|; bit-identical if the items are swapped."""
    u_BD, v_BD = _embeddings(embedding_size)
    return _head(u_BD, v_BD, _logit(ops.abs(u_BD - v_BD), section.kind, seed=seed))


def build_product(section: ProductConfig, *, embedding_size: int, seed: int) -> keras.Model:
    """Dense(1) on u * v; bit-identical if the items are swapped."""
    u_BD, v_BD = _embeddings(embedding_size)
    return _head(u_BD, v_BD, _logit(u_BD * v_BD, section.kind, seed=seed))


def build_abs_diff_product(
    section: AbsDiffProductConfig, *, embedding_size: int, seed: int
) -> keras.Model:
    """Dense(1) on [|u - v|, u * v]; bit-identical if the items are swapped."""
    u_BD, v_BD = _embeddings(embedding_size)
    features = ops.concatenate([ops.abs(u_BD - v_BD), u_BD * v_BD], axis=-1)
    return _head(u_BD, v_BD, _logit(features, section.kind, seed=seed))


def build_cosine(section: CosineConfig, *, embedding_size: int, seed: int) -> keras.Model:
    """exp(log_scale) * cos(u, v) + bias: the score always rises with the cosine."""
    u_BD, v_BD = _embeddings(embedding_size)
    cosine_B1 = ops.expand_dims(cosine(u_BD, v_BD), -1)
    scale, bias = _scale_and_bias(
        cosine_B1, scale=_INITIAL_COSINE_SCALE, bias=_INITIAL_COSINE_BIAS
    )
    return _head(u_BD, v_BD, scale * cosine_B1 + bias)


def build_euclidean(section: EuclideanConfig, *, embedding_size: int, seed: int) -> keras.Model:
    """Computes bias - exp(log_scale) * ||u - v||: the score always falls with the distance."""
    u_BD, v_BD = _embeddings(embedding_size)
    distance_B1 = ops.expand_dims(euclidean(u_BD, v_BD), -1)
    scale, bias = _scale_and_bias(
        distance_B1, scale=_INITIAL_DISTANCE_SCALE, bias=_INITIAL_DISTANCE_BIAS
    )
    return _head(u_BD, v_BD, bias - scale * distance_B1)


HEADS: dict[str, Callable[..., keras.Model]] = {
    "concat": build_concat,
    "mlp": build_mlp,
    "abs_diff": build_abs_diff,
    "product": build_product,
    "abs_diff_product": build_abs_diff_product,
    "cosine": build_cosine,
    "euclidean": build_euclidean,
}


def build_head(section: Head, *, embedding_size: int, seed: int) -> keras.Model:
    """Builds the configured head.

    Args:
        section: Kind and options.
        embedding_size: D.
        seed: The run's seed. Initial weights depend on it and on the kind alone.

    Returns:
        A model from two float32 (B, D) embeddings to a float32 (B, 1) logit.
    """
    return HEADS[section.kind](section, embedding_size=embedding_size, seed=seed)


def _embeddings(size: int) -> tuple[Any, Any]:
    return keras.Input((size,), name="left_embedding"), keras.Input(
        (size,), name="right_embedding"
    )


def _glorot(use: str, *, seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=derive_seed(seed, name=f"head/{use}/kernel"))


def _logit(features: Any, kind: str, *, seed: int) -> Any:
    return keras.layers.Dense(1, kernel_initializer=_glorot(kind, seed=seed), name="logit")(
        features
    )


def _scale_and_bias(like_B1: Any, *, scale: float, bias: float) -> tuple[Any, Any]:
    """A learned positive scale and a learned bias, each repeated as (B, 1).

    A stock Keras model holds a single weight as a Dense layer whose input is ones.
    """
    ones_B1 = ops.ones_like(like_B1)

    def number(name: str, value: float) -> Any:
        start = keras.initializers.Constant(value)
        return keras.layers.Dense(1, use_bias=False, kernel_initializer=start, name=name)(
            ones_B1
        )

    log_scale, shift = SINGLE_WEIGHTS
    return ops.exp(number(log_scale, math.log(scale))), number(shift, bias)


def _head(u_BD: Any, v_BD: Any, logit_B1: Any) -> keras.Model:
    return keras.Model([u_BD, v_BD], logit_B1, name="head")
