"""Encoders: from an item's token ids to its embedding. N items, T time steps, D embedding size.

An encoder is one `keras.Model`; both items of a pair go through that same object. Padding
(id 0) is masked, so an item's embedding does not depend on what it is batched with::

    encoder = build_encoder(section, item=feed.input, seed=7)
    embedding_ND = encoder(ids_NT)
"""

from collections.abc import Callable

import keras

from job.config.model import LstmConfig
from job.models.seeds import derive_seed
from job.types import ItemInput


def _lstm(section: LstmConfig, *, name: str, seed: int, backwards: bool) -> keras.layers.LSTM:
    def seeded(use: str) -> int:
        return derive_seed(seed, name=f"encoder/{name}/{use}")

    return keras.layers.LSTM(
        section.units,
        dropout=section.dropout,
        go_backwards=backwards,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seeded("kernel")),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seeded("recurrent")),
        seed=seeded("dropout"),
        name=name,
    )


def build_lstm(section: LstmConfig, *, item: ItemInput, seed: int) -> keras.Model:
    """The recurrent encoder of token sequences.

    Args:
        section: Sizes and options.
        item: Text: token ids of a known number.
        seed: The run's seed; initial weights and dropout depend on it alone.

    Returns:
        A model from int32 (N, T) token ids to float32 (N, D) embeddings.
    """
    ids_NT = keras.Input(item.shape, dtype=item.dtype, name="ids")
    embedded_NTD = keras.layers.Embedding(
        item.vocabulary_size,
        section.embedding_size,
        mask_zero=True,
        embeddings_initializer=keras.initializers.RandomUniform(
            seed=derive_seed(seed, name="encoder/embedding")
        ),
        name="embedding",
    )(ids_NT)
    layer = _lstm(section, name="forward", seed=seed, backwards=False)
    if section.bidirectional:
        backward = _lstm(section, name="backward", seed=seed, backwards=True)
        layer = keras.layers.Bidirectional(layer, backward_layer=backward, name="lstm")
    return keras.Model(ids_NT, layer(embedded_NTD), name="encoder")


ENCODERS: dict[str, Callable[..., keras.Model]] = {"lstm": build_lstm}


def build_encoder(section: LstmConfig, *, item: ItemInput, seed: int) -> keras.Model:
    """The encoder that the configuration names; see the builder of each kind."""
    return ENCODERS[section.kind](section, item=item, seed=seed)
