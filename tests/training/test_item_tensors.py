"""Items padded in the graph are those that a collator pads, wherever they come from."""

import numpy as np
import pytest
import tensorflow as tf

from job.data.pipeline.collators import padded
from job.models.encoders.lstm import standardised
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.training.item_tensors import (
    ItemTensors,
    StoredItems,
    prepared_values,
    stored_items,
)
from job.types import ItemInput
from tests.feeds import one_length

TEXT = ItemInput("text", "int32", (None,), vocabulary_size=300)
STEPS = ItemInput("sequence", "float32", (None, 2), mean=(1.0, -2.0), std=(0.5, 3.0))
IMAGE = ItemInput("image", "float32", (3, 3, 3))
ROWS = np.array([2, 0, 2, 3])


def ragged(values):
    return RaggedArray(values, offsets_of(np.array([2, 4, 1, 5])))


def items_of(kind):
    rng = np.random.default_rng(3)
    if kind == "text":
        return TEXT, ragged(rng.integers(1, 300, 12).astype(np.uint16))
    if kind == "sequence":
        return STEPS, ragged(rng.normal(size=(12, 2)).astype(np.float32))
    return IMAGE, one_length(rng.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8))


def passed(items, item, rows):
    """Tensors of a batch that contains its items."""
    own = items.take(rows)
    values = prepared_values(tf.constant(own.values), item=item)
    return ItemTensors(values, tf.constant(own.offsets[:-1]), tf.constant(own.lengths))


def stored(items, item, rows, length=None):
    """Tensors of a batch whose items are on the device."""
    store = StoredItems(items, item=item, strategy=tf.distribute.OneDeviceStrategy("CPU:0"))
    return stored_items(store.per_replica, tf.constant(rows), length=length)


@pytest.mark.parametrize("source", [passed, stored])
@pytest.mark.parametrize("kind", ["text", "image"])
def test_items_are_padded_and_cast_as_a_collator_does(kind, source):
    item, items = items_of(kind)
    found = source(items, item, ROWS).padded(item)
    expected = padded(items.take(ROWS), item=item)
    assert found.dtype == item.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("source", [passed, stored])
def test_sequences_are_standardised_and_say_where_their_steps_are(source):
    item, items = items_of("sequence")
    vectors, is_step = source(items, item, ROWS).padded(item)
    expected = padded(items.take(ROWS), item=item)
    assert np.array_equal(is_step, ~np.isnan(expected).any(axis=-1))
    steps = is_step.numpy()
    assert np.array_equal(vectors.numpy()[steps], standardised(expected, item=item)[steps])
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("source", [passed, stored])
def test_sequences_of_one_length_need_no_mask(source):
    items = one_length(np.random.default_rng(1).normal(size=(4, 3, 2)).astype(np.float32))
    tensors = source(items, STEPS, ROWS)
    whole = ItemTensors(tensors.values_V, tensors.start_N, tensors.length_N, length=3)
    vectors, is_step = whole.padded(STEPS)
    assert is_step is None
    assert np.array_equal(vectors, tensors.padded(STEPS).vectors_NTF)


def test_parts_of_items_are_taken_and_joined():
    item, items = items_of("text")
    tensors = stored(items, item, ROWS)
    joined = tensors.take(2, 2).joined(tensors.take(0, 1)).padded(item)
    assert np.array_equal(joined, padded(items.take(ROWS[[2, 3, 0]]), item=item))
