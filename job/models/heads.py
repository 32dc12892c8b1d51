"""Heads: from two embeddings to one logit. B pairs, D embedding size.

A head is a `keras.Model` of its own, so that pairs can be scored from stored embeddings.
The score of a pair is the logit's sigmoid.
"""

from collections.abc import Callable

import keras
from keras import ops

from job.config.model import AbsDiffProductConfig
from job.models.seeds import derive_seed


def build_abs_diff_product(
    section: AbsDiffProductConfig, *, embedding_size: int, seed: int
) -> keras.Model:
    """Dense(1) on [|u - v|, u * v].

    Symmetric to the last bit, since |u - v| = |v - u| and u * v = v * u in floating point.

    Args:
        section: Names the kind; it has no options.
        embedding_size: D.
        seed: The run's seed.

    Returns:
        A model from two float32 (B, D) embeddings to a float32 (B, 1) logit.
    """
    u_BD = keras.Input((embedding_size,), name="left_embedding")
    v_BD = keras.Input((embedding_size,), name="right_embedding")
    features = ops.concatenate([ops.abs(u_BD - v_BD), u_BD * v_BD], axis=-1)
    logit = keras.layers.Dense(
        1,
        kernel_initializer=keras.initializers.GlorotUniform(
            seed=derive_seed(seed, name=f"head/{section.kind}/kernel")
        ),
        name="logit",
    )(features)
    return keras.Model([u_BD, v_BD], logit, name="head")


HEADS: dict[str, Callable[..., keras.Model]] = {"abs_diff_product": build_abs_diff_product}


def build_head(section: AbsDiffProductConfig, *, embedding_size: int, seed: int) -> keras.Model:
    """The head that the configuration names; see the builder of each kind."""
    return HEADS[section.kind](section, embedding_size=embedding_size, seed=seed)
