"""Xception: the layers of Keras with fixed names and seeds."""

import re

import keras
import numpy as np
import pytest

from job.config.model import XceptionConfig
from job.models.encoders.build_encoder import build_encoder
from job.models.encoders.xception import _names
from job.models.sides import LEFT, encoding
from tests.models.encoder_cases import LARGE_IMAGE, some_items

pytestmark = pytest.mark.slow

BLOCKS = range(2, 14)
RESIDUALS = (2, 3, 4, 13)


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(XceptionConfig(), item=LARGE_IMAGE, seed=3)


@pytest.mark.parametrize(("pooling", "theirs"), [("mean", "avg"), ("max", "max")])
def test_it_is_keras_xception_with_the_scaling_inside(pooling, theirs):
    model = build_encoder(XceptionConfig(pooling=pooling), item=LARGE_IMAGE, seed=3)
    reference = keras.applications.Xception(
        weights=None, include_top=False, input_shape=LARGE_IMAGE.shape, pooling=theirs
    )
    reference.set_weights(model.get_weights())
    images = some_items(LARGE_IMAGE, 2)
    scaled = keras.applications.xception.preprocess_input(images.copy())
    expected = reference(scaled, training=True).numpy()
    assert model.output_shape == (None, 2048)
    with encoding(LEFT):  # otherwise each half of the images has its own statistics
        found = model(images, training=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_every_layer_of_it_is_a_layer_of_the_encoder_under_a_lasting_name(encoder):
    names = [layer.name for layer in encoder.layers]
    assert len(names) == 134
    rest = [name for name in names if not re.fullmatch(r"block\d+_\w+", name)]
    assert rest == ["image", "scale", "mean"]
    named = {name for name in names if name.endswith(("_add", "_residual", "_residual_bn"))}
    assert named == {
        *(f"block{block}_add" for block in BLOCKS),
        *(f"block{block}_residual" for block in RESIDUALS),
        *(f"block{block}_residual_bn" for block in RESIDUALS),
    }


def test_a_block_s_own_layers_carry_its_number(encoder):
    for block in BLOCKS:
        parts = [
            tensor._keras_history.operation.name
            for tensor in encoder.get_layer(f"block{block}_add").input
        ]
        last = f"block{block}_pool" if block in RESIDUALS else f"block{block}_sepconv3_bn"
        neighbour = (
            f"block{block}_residual_bn" if block in RESIDUALS else f"block{block - 1}_add"
        )
        assert parts == [last, neighbour]


def test_names_do_not_depend_on_how_far_keras_has_counted():
    def given(first):
        numbers = ["" if n == 0 else f"_{n}" for n in range(first, first + 12)]
        adds = [f"add{number}" for number in numbers]
        rest = [
            f"{kind}{number}"
            for kind in ("conv2d", "batch_normalization")
            for number in numbers[:4]
        ]
        return [*adds, *rest, "block1_conv1"]

    for first in (0, 7, 95):
        names = _names(given(first))
        assert [names[name] for name in given(first)[:12]] == [f"block{b}_add" for b in BLOCKS]
        assert [names[name] for name in given(first)[12:16]] == [
            f"block{b}_residual" for b in RESIDUALS
        ]
        assert names["block1_conv1"] == "block1_conv1"


def test_a_single_replica_does_not_synchronise_statistics(encoder):
    # Keras on JAX or PyTorch refuses to open a layer that would.
    kind = keras.layers.BatchNormalization
    normalisations = [layer for layer in encoder.layers if isinstance(layer, kind)]
    assert len(normalisations) == 40
    assert not any(layer.synchronized for layer in normalisations)
