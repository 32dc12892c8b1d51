"""Xception as an encoder. N images, S width and height, D = 2048 embedding size.

Keras' own model is rebuilt layer by layer: layers without a fixed name or a seed get both, and
two kinds of layers are replaced by ones that extend them for training.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from job.config.model import Precision, XceptionConfig
from job.models.recomputation import RecomputedModel
from job.models.seeds import derive_seed
from job.models.side_batch_norm import SideBatchNorm
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
# Layers whose output is all that the rest of the model reads.
_BLOCK_ENDS = ("block1_conv2_act", *_NAMES["add"])


@keras.saving.register_keras_serializable("siamese_job")
class PointwiseProduct(keras.layers.SeparableConv2D):  # type: ignore[misc]  # Keras has no types
    """Keras' separable convolution without bias, with its 1x1 convolution as a matrix product.

    It is the same sum. oneDNN reorders the weights of a convolution in each call, which takes a
    third of the time where maps are small. In bfloat16 its gradient of the weights is several
    times slower than that of a product.
    """

    def call(self, inputs: Any) -> Any:
        """From (N, H, W, C) to (N, H, W, `filters`)."""
        maps = ops.depthwise_conv(inputs, self.depthwise_kernel, padding=self.padding)
        *shape, channels = maps.shape
        product = ops.matmul(
            ops.reshape(maps, (-1, channels)),
            ops.reshape(self.pointwise_kernel, (channels, self.filters)),
        )
        return ops.reshape(product, (-1, *shape[1:], self.filters))


_REPLACED: dict[Any, Any] = {
    keras.layers.BatchNormalization: SideBatchNorm,
    keras.layers.SeparableConv2D: PointwiseProduct,
}


def build_xception(
    section: XceptionConfig, *, item: ItemInput, seed: int, precision: Precision
) -> keras.Model:
    """Xception with random weights, without its classifier, and with global pooling.

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

    def rebuilt(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        name = config["name"] = names[layer.name]
        if name != "scale":
            config["dtype"] = precision
        kind: Any = _REPLACED.get(type(layer), type(layer))
        return kind.from_config(_seeded(config, name=name, seed=seed))

    body = keras.models.clone_model(template, clone_function=rebuilt)
    pooling = _POOLINGS[section.pooling](dtype="float32", name=section.pooling)
    ends = (body.inputs[0], pooling(body.outputs[0]))
    if not section.gradient_checkpointing:
        return keras.Model(*ends, name="encoder")
    encoder = RecomputedModel(*ends, name="encoder")
    encoder.split_after(_BLOCK_ENDS)
    return encoder


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
