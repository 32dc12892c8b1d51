"""Xception as an encoder. N images, S width and height, D = 2048 embedding size.

Keras' own model is rebuilt layer by layer: layers without a fixed name or a seed get both, and
replicas share their batch statistics.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from job.config.model import Precision, XceptionConfig
from job.models.seeds import derive_seed
from job.types import ItemInput

# Keras numbers these layers process-wide in the order of creation. The new names follow the
# names of the neighbouring layers.
_NAMELESS = re.compile(r"(conv2d|batch_normalization|add)(?:_(\d+))?")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "conv2d": tuple(f"block{block}_residual" for block in (2, 3, 4, 13)),
    "batch_normalization": tuple(f"block{block}_residual_bn" for block in (2, 3, 4, 13)),
    "add": tuple(f"block{block}_add" for block in range(2, 14)),
}
_POOLINGS = {
    "mean": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


def build_xception(
    section: XceptionConfig, *, item: ItemInput, seed: int, precision: Precision
) -> keras.Model:
    """Xception with random weights, without its classifier, and with global pooling.

    Call it within the scope of the strategy that will train it.

    Args:
        section: Options.
        item: Images of at least 71 pixels per side.
        seed: The run's seed.
        precision: Precision of the convolutions.

    Returns:
        A model from float32 (N, S, S, 3) images, 0 to 255, to float32 (N, D), without nested
        models.

    Source: Chollet 2017, Xception, figure 5; `keras.applications.Xception`.
    """
    images_NSS3 = keras.Input(item.shape, dtype=item.dtype, name="image")
    # Keras' `preprocess_input` of Xception: from [0, 255] to [-1, 1].
    scale = keras.layers.Rescaling(1.0 / 127.5, offset=-1.0, dtype="float32", name="scale")
    template = keras.applications.Xception(
        weights=None,
        include_top=False,
        input_tensor=scale(images_NSS3),
        input_shape=item.shape,
    )
    names = _names(layer.name for layer in template.layers)
    synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1

    def rebuilt(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        name = config["name"] = names[layer.name]
        if name != "scale":
            config["dtype"] = precision
        if isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = synchronized
        return type(layer).from_config(_seeded(config, name=name, seed=seed))

    body = keras.models.clone_model(template, clone_function=rebuilt)
    pooling = _POOLINGS[section.pooling](dtype="float32", name=section.pooling)
    return keras.Model(body.inputs[0], pooling(body.outputs[0]), name="encoder")


def _names(given: Iterable[str]) -> dict[str, str]:
    """Names that do not depend on models built before, by the names that Keras gave."""
    names = {name: name for name in given}
    for kind, ours in _NAMES.items():
        found = [match for name in names if (match := _NAMELESS.fullmatch(name))]
        numbered = sorted((int(m[2] or 0), m[0]) for m in found if m[1] == kind)
        names |= {name: own for (_, name), own in zip(numbered, ours, strict=True)}
    return names


def _seeded(config: Mapping[str, Any], *, name: str, seed: int) -> dict[str, Any]:
    """A layer's configuration, with a separate seed for each random initializer."""
    seeded = dict(config)
    for key, value in config.items():
        if key.endswith("_initializer") and "seed" in (value or {}).get("config", {}):
            use = key.removesuffix("_initializer")
            derived = derive_seed(seed, name=f"encoder/{name}/{use}")
            seeded[key] = {**value, "config": {**value["config"], "seed": derived}}
    return seeded
