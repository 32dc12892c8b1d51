"""The input of image encoders. N images, S width and height in pixels."""

from typing import Any

import keras

from job.types import ItemInput


def image_input(item: ItemInput) -> tuple[Any, Any]:
    """The input of an image encoder, and the same scaled to [-1, 1].

    Returns:
        float32 (N, S, S, 3) in [0, 255], and the output of the layer `scale`, in [-1, 1].

    Source: Keras' `preprocess_input` of Xception: x / 127.5 - 1.
    """
    images_NSS3 = keras.Input(item.shape, dtype=item.dtype, name="image")
    scale = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, dtype="float32", name="scale")
    return images_NSS3, scale(images_NSS3)
