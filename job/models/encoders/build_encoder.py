"""Encoders: from items to their embeddings. N items, D embedding size.

An encoder is one functional `keras.Model`; both items of a pair go through the same object. An
exported one consists of layers of Keras, including its normalisation: its `.keras` file needs
neither this package nor preprocessed items::

    encoder = build_encoder(section, item=feed.input, seed=7)
    embedding_ND = encoder(items)

Every layer has a fixed name, which is part of the keys of checkpoints. Seeds are derived from
the run's seed and that name.
"""

from collections.abc import Callable

import keras

from job.config.model import Encoder, Precision
from job.models.encoders.cnn import build_cnn
from job.models.encoders.lstm import build_lstm
from job.models.encoders.xception import build_xception
from job.types import ItemInput

ENCODERS: dict[str, Callable[..., keras.Model]] = {
    "lstm": build_lstm,
    "cnn": build_cnn,
    "xception": build_xception,
}


def build_encoder(
    section: Encoder,
    *,
    item: ItemInput,
    seed: int,
    precision: Precision = "float32",
    exported: bool = False,
) -> keras.Model:
    """Builds the configured encoder.

    Args:
        section: Kind and options.
        item: Input of the encoder, of a kind that it supports.
        seed: The run's seed. Initial weights and dropout depend on it alone.
        precision: Precision of the layers. Weights are always float32, as are sums over many
            values: normalisation, batch statistics and pooling.
        exported: Whether to use layers of Keras only, of an encoder `for_inference`.

    Returns:
        A model from items, (N, ...) as `item` describes, to float32 (N, D) embeddings.
    """
    encoder = ENCODERS[section.kind](section, item=item, seed=seed, precision=precision)
    if exported and any(_keras_layer(layer) is not type(layer) for layer in encoder.layers):
        return keras.models.clone_model(
            encoder,
            clone_function=lambda layer: _keras_layer(layer).from_config(layer.get_config()),
        )
    return encoder


def _keras_layer(layer: keras.layers.Layer) -> type[keras.layers.Layer]:
    """The layer of Keras that a layer is or extends; both have the same options and weights."""
    return next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("keras."))
