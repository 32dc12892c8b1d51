"""The small convolutional encoder."""

import numpy as np
import pytest

from job.config.model import CnnConfig
from job.models.encoders.build_encoder import build_encoder
from job.types import ItemInput
from tests.models.encoder_cases import IMAGE, some_items


def encoder(**options):
    section = CnnConfig(**{"filters": [4, 6], "embedding_size": 5, **options})
    return build_encoder(section, item=IMAGE, seed=3)


def test_it_equals_a_slow_reference():
    model = encoder()
    images = some_items(IMAGE, 2)
    kernels = {weight.path: weight.numpy().astype(float) for weight in model.weights}
    for image, embedding in zip(images, model(images).numpy(), strict=True):
        maps = image / 127.5 - 1.0
        for name in ("conv_1", "conv_2"):
            maps = slow_convolution(maps, kernels[f"{name}/kernel"], kernels[f"{name}/bias"])
            maps = maps.reshape(len(maps) // 2, 2, len(maps) // 2, 2, -1).max((1, 3))
        expected = maps.mean((0, 1)) @ kernels["embedding/kernel"] + kernels["embedding/bias"]
        np.testing.assert_allclose(embedding, expected, atol=1e-5)


def slow_convolution(maps, kernel, bias):
    """A 3x3 convolution with zeros around the image, and relu."""
    around = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
    size = len(maps)
    parts = [
        around[y : y + size, x : x + size] @ kernel[y, x] for y in range(3) for x in range(3)
    ]
    return np.maximum(sum(parts) + bias, 0.0)


@pytest.mark.parametrize("training", [False, True])
def test_an_embedding_does_not_depend_on_its_batch(training):
    model = encoder()
    image = some_items(IMAGE, 1)[0]
    found = []
    for place, seed in ((0, 1), (2, 2), (5, 3)):
        batch = some_items(IMAGE, 6, seed=seed)
        batch[place] = image
        found.append(model(batch, training=training).numpy()[place])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize(("size", "num_filters"), [(8, 3), (9, 3), (64, 6), (13, 1)])
def test_the_smallest_images_that_the_configuration_lets_through_are_enough(size, num_filters):
    item = ItemInput("image", "float32", (size, size, 3))
    section = CnnConfig(filters=[2] * num_filters, embedding_size=5)
    model = build_encoder(section, item=item, seed=3)
    assert model(some_items(item, 2)).shape == (2, 5)
