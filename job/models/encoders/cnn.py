"""A small convolutional encoder. N images, S width and height, C channels, D embedding size.

It has no batch statistics: an embedding depends on its image alone, also during training, and
small batches train as well as large ones.
"""

import keras

from job.config.model import CnnConfig, Precision
from job.models.dropout import PairDropout
from job.models.seeds import derive_seed
from job.types import ItemInput


def build_cnn(
    section: CnnConfig, *, item: ItemInput, seed: int, precision: Precision
) -> keras.Model:
    """A 3x3 convolution and 2x2 max pooling per entry of `filters`, then mean and Dense.

    Args:
        section: Sizes and options.
        item: Images of at least 2 ** len(filters) pixels per side.
        seed: The run's seed.
        precision: Precision of the convolutions.

    Returns:
        A model from float32 (N, S, S, 3) images, 0 to 255, to float32 (N, D).
    """
    images_NSS3 = keras.Input(item.shape, dtype=item.dtype, name="image")
    # From [0, 255] to [-1, 1], as for Xception.
    scale = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, dtype="float32", name="scale")
    maps_NSSC = scale(images_NSS3)
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
        dropout_seed = derive_seed(seed, name="encoder/dropout")
        dropout = PairDropout(
            section.dropout, seed=dropout_seed, dtype="float32", name="dropout"
        )
        mean_NC = dropout(mean_NC)
    embedding_ND = keras.layers.Dense(
        section.embedding_size,
        kernel_initializer=_glorot("embedding", seed=seed),
        dtype="float32",
        name="embedding",
    )(mean_NC)
    return keras.Model(images_NSS3, embedding_ND, name="encoder")


def _glorot(name: str, *, seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(
        seed=derive_seed(seed, name=f"encoder/{name}/kernel")
    )
