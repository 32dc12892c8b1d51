"""Fast paths of the step against the plain one, which takes its items from the batches."""

from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from job.config.model import LstmConfig, ModelConfig
from job.config.training import SgdConfig, TrainingConfig
from job.data.pipeline.batches import PairArrays
from job.models.siamese import Siamese, build_siamese
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.training.item_tensors import StoredItems
from job.training.state import read_variables, write_variables
from job.training.step import ItemAccess, TrainStep
from job.types import ItemInput
from tests.proving import examples

BATCH, ITEMS, BLOCK, LENGTH = 8, 24, 4, 6
STEPS = ItemInput("sequence", "float32", (None, 5), mean=(0.5,) * 5, std=(2.0,) * 5)
TEXT = ItemInput("text", "int32", (None,), vocabulary_size=30)


def some(item, *, lengths):
    rng = np.random.default_rng(0)
    offsets = offsets_of(lengths)
    if item is TEXT:
        return RaggedArray(rng.integers(2, 30, offsets[-1]).astype(np.uint16), offsets)
    return RaggedArray(rng.normal(size=(offsets[-1], 5)).astype(np.float32), offsets)


@dataclass
class Path:
    """A model that takes steps in one way."""

    siamese: Siamese
    step: TrainStep
    items: RaggedArray
    in_batch: bool

    def take(self, first, count):
        """Steps `first` to `first + count` of a fixed order of pairs."""
        batches = [self.batch(number) for number in range(first, first + count)]
        return self.step(self.step.prepare(batches))

    def batch(self, number):
        rng = np.random.default_rng(100 + number)
        left, right = rng.integers(0, ITEMS, (2, BATCH))
        label = (left % 3 == right % 3).astype(np.float32)
        items = self.items.take(np.concatenate([left, right])) if self.in_batch else None
        unknown = np.full(BATCH, -1)
        return PairArrays(items, label, left, right, unknown, unknown)

    @property
    def state(self):
        return read_variables(self.siamese.variables())

    @state.setter
    def state(self, values):
        write_variables(self.siamese.variables(), values)


def path(item, items, *, stored=True, length=None, merged=True, compiled=False, **encoder):
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        siamese = build_siamese(
            ModelConfig(encoder=LstmConfig(units=6, embedding_size=4, **encoder)),
            training=TrainingConfig(optimizer=SgdConfig(learning_rate=0.03, momentum=0.9)),
            item=item,
            seed=4,
        )
    store = StoredItems(items, item=item, strategy=strategy) if stored else None
    step = TrainStep(
        siamese,
        strategy=strategy,
        global_batch_size=BATCH,
        access=ItemAccess(store, length, merged),
        compiled_steps=BLOCK if compiled else None,
    )
    return Path(siamese, step, items, in_batch=not stored)


def without_momentum(state):
    """The state with momenta of 0: after a step they are the gradient times a constant."""
    return {
        key: np.zeros_like(value) if key.endswith("_momentum") else value
        for key, value in state.items()
    }


class Gaps:
    """Largest difference and largest gradient of each variable so far."""

    def __init__(self):
        self.gap, self.gradient = {}, {}

    def add(self, found, expected):
        for key, value in expected.items():
            if key.endswith("_momentum"):
                gap, gradient = np.abs(found[key] - value).max(), np.abs(value).max()
                self.gap[key] = max(self.gap.get(key, 0.0), gap)
                self.gradient[key] = max(self.gradient.get(key, 0.0), gradient)

    @property
    def worst(self):
        assert len(self.gap) > 4
        return max(self.gap[key] / self.gradient[key] for key in self.gap)


LENGTHS = np.random.default_rng(5).integers(1, 9, ITEMS)
SAME = np.full(ITEMS, LENGTH)
ENCODERS = {
    "last": {},
    "both directions": {"bidirectional": True, "pooling": "mean", "dropout": 0.3},
}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("item", [TEXT, STEPS], ids=lambda item: item.kind)
def test_items_from_the_device_give_the_bits_of_items_from_batches(item, encoder):
    items = some(item, lengths=LENGTHS)
    plain = path(item, items, stored=False, **ENCODERS[encoder])
    fast = path(item, items, **ENCODERS[encoder])
    for first, count in ((0, 1), (1, 3)):
        expected, found = plain.take(first, count), fast.take(first, count)
        assert np.array_equal(found.loss, expected.loss)
    assert all(np.array_equal(value, fast.state[key]) for key, value in plain.state.items())
    assert fast.step.num_traces == plain.step.num_traces == 1


FAST = {
    "one length": {"length": LENGTH},
    "sides apart": {"merged": False},
    "compiled": {"length": LENGTH, "compiled": True},
    "compiled from batches": {"length": LENGTH, "compiled": True, "stored": False},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("one length", "both directions"),
        ("sides apart", "both directions"),
        ("compiled", "last"),
    ],
)
def test_a_step_from_each_of_many_states_is_that_of_the_plain_path(name, encoder):
    items = some(STEPS, lengths=SAME)
    options = ENCODERS[encoder]
    if FAST[name].get("compiled"):
        options = {**options, "dropout": 0.0}  # not compiled by a run, see `is_compiled`
    plain = path(STEPS, items, stored=False, **options)
    fast = path(STEPS, items, **FAST[name], **options)
    gaps = Gaps()
    for number in range(examples(20)):
        plain.state = fast.state = without_momentum(plain.state)
        expected, found = plain.take(number, 1), fast.take(number, 1)
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
        gaps.add(fast.state, plain.state)
    assert gaps.worst < 1e-5
    assert fast.step.num_traces == 1


@pytest.mark.parametrize("name", FAST)
def test_30_free_steps_stay_near_the_plain_path(name):
    items = some(STEPS, lengths=SAME)
    plain, fast = path(STEPS, items, stored=False), path(STEPS, items, **FAST[name])
    for first in range(0, 30, 3):
        expected, found = plain.take(first, 3), fast.take(first, 3)
        np.testing.assert_allclose(found.loss, expected.loss, atol=1e-4)
    for key, value in plain.state.items():
        np.testing.assert_allclose(fast.state[key], value, atol=1e-4, err_msg=key)


def test_the_bits_of_compiled_steps_do_not_depend_on_the_calls():
    items = some(STEPS, lengths=SAME)
    states = []
    for counts in ((4, 4), (1, 3, 2, 2)):
        fast = path(STEPS, items, **FAST["compiled"])
        first = 0
        for count in counts:
            assert len(fast.take(first, count).loss) == count
            first += count
        states.append(fast.state)
    for state in states[1:]:
        assert all(np.array_equal(value, state[key]) for key, value in states[0].items())
