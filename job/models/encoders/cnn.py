"""A small convolutional encoder. N pictures, S width and height, C channels, D embedding size.

It has no batch statistics: an embedding depends on its picture alone, in training, too, and
small batches train as well as large ones.
"""

import keras

from job.config.model import CnnConfig, Precision
from job.models.dropout import PairDropout
from job.models.encoders.image_input import image_input
from job.models.seeds import derive_seed
from job.types import ItemInput


def build_cnn(
    section: CnnConfig, *, item: ItemInput, seed: int, precision: Precision
) -> keras.Model:
    """A 3x3 convolution and a maximum over 2x2 for each entry of `filters`, then one vector.

    Args:
        section: Sizes and options.
        item: Pictures, of at least 2 ** len(filters) pixels each way.
        seed: The run's seed.
        precision: What the convolutions compute in.

    Returns:
        A model from float32 (N, S, S, 3) pictures, 0 to 255, to float32 (N, D).
    """
    picture, maps_NSSC = image_input(item)
    for number, filters in enumerate(section.filters, start=1):
        name = f"conv_{number}"
        maps_NSSC = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=_glorot(name, seed=seed),
            dtype=precision,
            name=name,
        )(maps_NSSC)
        pool = keras.layers.MaxPooling2D(2, dtype=precision, name=f"pool_{number}")
        maps_NSSC = pool(maps_NSSC)
    mean_NC = keras.layers.GlobalAveragePooling2D(dtype="float32", name="mean")(maps_NSSC)
    if section.dropout:
        own = derive_seed(seed, name="encoder/dropout")
        dropout = PairDropout(section.dropout, seed=own, dtype="float32", name="dropout")
        mean_NC = dropout(mean_NC)
    embedding_ND = keras.layers.Dense(
        section.embedding_size,
        kernel_initializer=_glorot("embedding", seed=seed),
        dtype="float32",
        name="embedding",
    )(mean_NC)
    return keras.Model(picture, embedding_ND, name="encoder")


def _glorot(name: str, *, seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(
        seed=derive_seed(seed, name=f"encoder/{name}/kernel")
    )
