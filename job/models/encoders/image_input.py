"""How an encoder of pictures begins. N pictures, S width and height in pixels."""

from typing import Any

import keras

from job.types import ItemInput


def image_input(item: ItemInput) -> tuple[Any, Any]:
    """The input of an encoder of pictures, and the pictures brought to -1 to 1.

    Args:
        item: Pictures.

    Returns:
        float32 (N, S, S, 3) from 0 to 255, and the same from -1 to 1, from the layer `scale`.

    Source: Keras' `preprocess_input` of Xception: x / 127.5 - 1.
    """
    picture_NSS3 = keras.Input(item.shape, dtype=item.dtype, name="picture")
    scale = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, dtype="float32", name="scale")
    return picture_NSS3, scale(picture_NSS3)
