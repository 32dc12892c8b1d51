"""The recurrent encoder: padding, pooling, options and the book's own model."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.config.model import LstmConfig
from job.models.dropout import PairDropout
from job.models.encoders.build_encoder import build_encoder
from job.models.encoders.lstm import prepared_encoders, standardised
from job.types import ItemInput
from tests.models.encoder_cases import FEATURES, SEQUENCE, TEXT, VOCABULARY_SIZE, some_items

ITEMS = {"text": TEXT, "sequence": SEQUENCE}
OPTIONS = [
    {"bidirectional": bidirectional, "layers": layers, "pooling": pooling}
    for bidirectional, layers, pooling in itertools.product(
        (False, True), (1, 2), ("last", "mean", "max")
    )
]
WAYS = [
    pytest.param(kind, options, id=f"{kind}-{'-'.join(map(str, options.values()))}")
    for kind in ITEMS
    for options in OPTIONS
]
DEEP_WAYS = [way for way in WAYS if "-2-" in way.id]


@functools.cache
def encoder(kind, **options):
    section = LstmConfig(units=4, embedding_size=3 if kind == "text" else 32, **options)
    return build_encoder(section, item=ITEMS[kind], seed=3)


def padding_of(kind):
    return 0 if kind == "text" else np.nan


def padded(items, steps, *, kind):
    widths = [(0, 0), (0, steps), *[(0, 0)] * (items.ndim - 2)]
    return np.pad(items, widths, constant_values=padding_of(kind))


def same(one, other, *, pooling):
    if pooling == "mean":  # zeros that are added may be grouped in another way
        return np.allclose(one, other, rtol=0, atol=1e-6)
    return np.array_equal(one, other)


@pytest.mark.parametrize(("kind", "options"), WAYS)
def test_padding_never_changes_an_embedding(kind, options):
    model = encoder(kind, **options)
    items = some_items(ITEMS[kind], 6)
    expected = model(items).numpy()
    assert np.ptp(expected, axis=0).min() > 1e-4
    for steps in (1, 9):
        found = model(padded(items, steps, kind=kind)).numpy()
        assert same(found, expected, pooling=options["pooling"])


@pytest.mark.parametrize(("kind", "options"), DEEP_WAYS)
def test_an_embedding_does_not_depend_on_its_batch(kind, options):
    model = encoder(kind, **options)
    item = some_items(ITEMS[kind], 1, length=3)
    found = []
    for place, seed in ((0, 1), (2, 2), (5, 3)):
        batch = some_items(ITEMS[kind], 6, length=9, seed=seed)
        batch[place] = padded(item, 6, kind=kind)[0]
        found.append(model(batch).numpy()[place])
    assert all(same(found[0], other, pooling=options["pooling"]) for other in found[1:])
    # One row is multiplied by another routine than six.
    np.testing.assert_allclose(model(item).numpy()[0], found[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "options"), WAYS)
def test_one_step_is_enough_and_none_embeds_as_zero(kind, options):
    model = encoder(kind, **options)
    assert model(some_items(ITEMS[kind], 2, length=1)).numpy().all()
    nothing = padded(some_items(ITEMS[kind], 2, length=1)[:, :0], 4, kind=kind)
    assert not model(nothing).numpy().any()


@pytest.mark.parametrize(("kind", "options"), DEEP_WAYS)
def test_gradients_are_finite_and_do_not_know_of_padding(kind, options):
    model = encoder(kind, **options)
    items = some_items(ITEMS[kind], 3)
    # A fourth item without a single step.
    nothing = padded(items[:1, :0], 7, kind=kind)
    items = np.concatenate([items, nothing])

    def gradients(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(batch, training=True)))
        found = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
        return [tf.convert_to_tensor(gradient).numpy() for gradient in found]

    for expected, found in zip(
        gradients(items), gradients(padded(items, 5, kind=kind)), strict=True
    ):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_steps_of_zeros_are_not_padding():
    model = encoder("sequence")
    steps = some_items(SEQUENCE, 1, length=4)
    steps[0, 2:] = 0.0
    assert not np.allclose(model(steps), model(steps[:, :2]), atol=1e-3)


def test_steps_at_the_mean_are_not_padding():
    model = encoder("sequence", pooling="mean")
    steps = some_items(SEQUENCE, 1, length=4)
    steps[0, 2:] = SEQUENCE.mean
    assert not np.allclose(model(steps), model(steps[:, :2]), atol=1e-4)


def test_a_partly_nan_step_is_not_padding():
    steps = some_items(SEQUENCE, 2, length=4)
    steps[1, 3, 0] = np.nan
    embedding = encoder("sequence")(steps).numpy()
    assert np.isfinite(embedding[0]).all()
    assert np.isnan(embedding[1]).all()


def test_features_of_any_size_count_alike():
    # 1e-12 is below what Keras' own Normalization tells from 0.
    units = np.float32([1e-12, 1.0, 1e9])
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(4, 5, FEATURES)).astype(np.float32)
    section = LstmConfig(units=4)

    def embed(steps, *, mean, std):
        item = ItemInput("sequence", "float32", (None, FEATURES), mean=mean, std=std)
        return build_encoder(section, item=item, seed=3)(steps).numpy()

    expected = embed(plain, mean=(0.0,) * 3, std=(1.0,) * 3)
    found = embed(
        (plain + 2.0) * units, mean=tuple((2.0 * units).tolist()), std=tuple(units.tolist())
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_pooling_equals_a_slow_reference(pooling):
    model = encoder("text", pooling=pooling)
    lengths = (5, 2, 7)
    ids = some_items(TEXT, 3)
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    table, kernel, recurrent, bias = (weight.numpy() for weight in model.weights[:4])
    for row, length in enumerate(lengths):
        states = slow_lstm(table[ids[row, :length]], kernel, recurrent, bias)
        expected = {"last": states[-1], "mean": states.mean(0), "max": states.max(0)}[pooling]
        np.testing.assert_allclose(model(ids)[row], expected, atol=1e-6)


def slow_lstm(vectors, kernel, recurrent, bias):
    """Every state of an LSTM, step by step; gates i, f, c, o as Keras orders them."""

    def sigmoid(x):
        return 1.0 / (1.0 + np.exp(-x))

    hidden = cell = np.zeros(len(recurrent))
    states = []
    for vector in vectors.astype(float):
        i, f, c, o = np.split(vector @ kernel + hidden @ recurrent + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize(("bidirectional", "size"), [(False, 4), (True, 8)])
def test_embedding_size_follows_units_and_directions(bidirectional, size, pooling):
    model = encoder("text", bidirectional=bidirectional, pooling=pooling)
    assert model.output_shape == (None, size)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_second_direction_reads_from_the_end(pooling):
    model = encoder("text", bidirectional=True, pooling=pooling)
    forward, backward = (
        [weight.numpy() for weight in layer.weights if "lstm_cell" in weight.path]
        for layer in (model.get_layer("forward"), model.get_layer("backward"))
    )
    # Each row has a different length, so that its end is not that of the batch.
    ids = some_items(TEXT, 2)
    ids[0, 4:] = 0
    table = model.get_layer("embedding").get_weights()[0]
    for row, length in enumerate((4, 7)):
        vectors = table[ids[row, :length]]
        there = slow_lstm(vectors, *forward)
        back = slow_lstm(vectors[::-1], *backward)
        pooled = {
            "last": (there[-1], back[-1]),
            "mean": (there.mean(0), back.mean(0)),
            "max": (there.max(0), back.max(0)),
        }[pooling]
        np.testing.assert_allclose(model(ids)[row], np.concatenate(pooled), atol=1e-6)


def test_each_layer_drops_by_itself():
    model = encoder("sequence", bidirectional=True, layers=2, dropout=0.3)
    dropouts = [layer for layer in model.layers if isinstance(layer, PairDropout)]
    assert [layer.name for layer in dropouts] == ["dropout", "dropout_2"]
    assert len({layer.seed for layer in dropouts}) == 2


def test_the_book_s_encoder_is_one_lstm_over_vectors_and_its_last_state():
    item = ItemInput("sequence", "float32", (None, 128), mean=(0.0,) * 128, std=(1.0,) * 128)
    model = build_encoder(LstmConfig(), item=item, seed=1)
    assert model.output_shape == (None, 32)
    own = [layer for layer in model.layers if not isinstance(layer, keras.layers.Identity)]
    assert [type(layer) for layer in own] == [keras.layers.InputLayer, keras.layers.LSTM]
    steps = np.random.default_rng(0).normal(size=(2, 6, 128)).astype(np.float32)
    book = keras.layers.LSTM(32)
    book.build(steps.shape)
    book.set_weights(model.get_weights())
    np.testing.assert_allclose(model(steps), book(steps), atol=1e-6)


def test_float16_takes_features_whose_zero_is_far_from_their_mean():
    # The mean of a feature in deviations is here 3e7, float16 ends at 65,504.
    section = LstmConfig(units=4, pooling="mean")
    model = build_encoder(section, item=SEQUENCE, seed=3, precision="mixed_float16")
    steps = padded(some_items(SEQUENCE, 2), 3, kind="sequence")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(steps, training=True))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_the_vocabulary_is_the_table_s_size():
    assert encoder("text").get_layer("embedding").get_weights()[0].shape == (VOCABULARY_SIZE, 3)


@pytest.mark.parametrize("steps", [3, 64, 65])  # a loop takes more than 64
def test_a_last_state_without_padding_is_that_of_the_encoder(steps):
    section = LstmConfig(units=4)
    model = build_encoder(section, item=SEQUENCE, seed=3)
    vectors = np.random.default_rng(0).normal(size=(5, steps, FEATURES)).astype(np.float32)
    prepared = prepared_encoders(model, section=section, has_gpu=False)
    take = tf.function(prepared.whole)
    found = take(standardised(vectors, item=SEQUENCE))
    np.testing.assert_allclose(found, model(vectors), rtol=0, atol=1e-6)
    operations = {
        node.op
        for node in take.get_concrete_function(tf.TensorSpec(vectors.shape))
        .graph.as_graph_def()
        .node
    }
    assert ("While" in " ".join(operations)) == (steps > 64)
