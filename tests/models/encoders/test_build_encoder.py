"""What holds for every encoder."""

import functools
import json
import zipfile

import keras
import numpy as np
import pytest

from job.config.keys import find, kinds_of
from job.models.encoders.build_encoder import ENCODERS, build_encoder
from job.models.seeds import derive_seed
from tests.models.encoder_cases import CASES, some_items

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("xception",)]
NAMES = [*(name for name in CASES if name != "xception"), *SLOW]


def encoder(name, *, seed=3, **options):
    section, item = CASES[name]
    return build_encoder(section, item=item, seed=seed, **options)


@functools.cache
def shared(name):
    """An encoder that no test changes."""
    return encoder(name)


def weights_of(model):
    return {variable.path: variable.numpy() for variable in model.weights}


def test_every_kind_has_a_builder():
    assert list(ENCODERS) == list(kinds_of(find(("model", "encoder")).sections))
    assert {section.kind for section, _ in CASES.values()} == set(ENCODERS)


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_depend_on_the_seed_alone_not_on_what_was_built_before(name):
    first = weights_of(shared(name))
    keras.layers.Conv2D(3, 3).build((None, 8, 8, 1))
    keras.layers.BatchNormalization(name=None)
    keras.utils.set_random_seed(99)
    second, other = weights_of(encoder(name)), weights_of(encoder(name, seed=4))
    assert list(first) == list(second) == list(other)
    assert all(np.array_equal(first[path], second[path]) for path in first)
    drawn = [path for path in first if "kernel" in path or "embeddings" in path]
    assert drawn
    assert not any(np.array_equal(first[path], other[path]) for path in drawn)


@pytest.mark.parametrize("name", NAMES)
def test_no_two_weights_are_drawn_alike(name):
    drawn = [
        value
        for path, value in weights_of(shared(name)).items()
        if "kernel" in path or "embeddings" in path
    ]
    starts = {value.ravel()[:8].tobytes() for value in drawn}
    assert len(starts) == len(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_an_encoder_is_one_flat_model_of_keras_own_layers(name, tmp_path):
    section, item = CASES[name]
    model = build_encoder(section.for_inference(), item=item, seed=3, exported=True)
    assert isinstance(model, keras.Model)
    assert model.name == "encoder"
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)
    items = some_items(CASES[name][1], 3)
    expected = model(items).numpy()
    model.save(tmp_path / "encoder.keras")
    with zipfile.ZipFile(tmp_path / "encoder.keras") as archive:
        nodes = list(mappings_in(json.loads(archive.read("config.json"))))
    modules = {node["module"] for node in nodes if node.get("module")}
    assert modules
    assert all(module.split(".")[0] in ("keras", "builtins") for module in modules)
    loaded = keras.models.load_model(tmp_path / "encoder.keras", safe_mode=True)
    assert np.array_equal(loaded(items).numpy(), expected)
    # It takes the weights of the one that was trained, by path or in order.
    trained = shared(name)
    assert list(weights_of(model)) == list(weights_of(trained))
    assert all(map(np.array_equal, model.get_weights(), trained.get_weights()))
    np.testing.assert_allclose(expected, trained(items), rtol=1e-5, atol=1e-5)


def mappings_in(node):
    if isinstance(node, dict):
        yield node
    for below in node.values() if isinstance(node, dict) else node:
        if isinstance(below, (dict, list)):
            yield from mappings_in(below)


@pytest.mark.parametrize("name", NAMES)
def test_layers_have_names_of_their_own_that_no_other_model_changes(name):
    first, second = shared(name), encoder(name)
    names = [layer.name for layer in first.layers]
    assert names == [layer.name for layer in second.layers]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", NAMES)
def test_precision_is_that_of_the_computation_not_of_weights_or_embeddings(name, precision):
    before = keras.config.dtype_policy()
    model = encoder(name, precision=precision)
    assert keras.config.dtype_policy() == before
    assert {str(variable.dtype) for variable in model.weights} == {"float32"}
    computed = {
        keras.backend.standardize_dtype(layer.compute_dtype)
        for layer in model.layers
        if layer.weights and layer.name != "embedding"
    }
    assert computed == {precision.removeprefix("mixed_")}
    items = some_items(CASES[name][1], 3)
    embedding = model(items)
    assert keras.backend.standardize_dtype(embedding.dtype) == "float32"
    exact = shared(name)(items).numpy()
    # bfloat16 keeps 8 bits and float16 11; a handful of layers loses a few of them.
    np.testing.assert_allclose(embedding, exact, rtol=0, atol=0.03 * np.abs(exact).max())
    assert np.array_equal(embedding, exact) == (precision == "float32")


@pytest.mark.parametrize("name", ["text", "sequence", "cnn"])
def test_dropout_depends_on_the_seed_alone(name):
    section, item = CASES[name]
    items = some_items(item, 3)
    dropping = section.model_copy(update={"dropout": 0.5})
    first, second, other = (build_encoder(dropping, item=item, seed=seed) for seed in (3, 3, 4))
    other.set_weights(first.get_weights())
    assert np.array_equal(first(items, training=True), second(items, training=True))
    assert not np.array_equal(first(items, training=True), other(items, training=True))
    assert not np.array_equal(first(items, training=True), first(items, training=True))


def test_derived_seeds_differ_by_name_and_by_run():
    seeds = {derive_seed(s, name=n) for s in (0, 1) for n in ("encoder/a", "encoder/b")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)
