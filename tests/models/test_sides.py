"""Both sides of some pairs in one encoder call or two, on any number of replicas."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.config.model import LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.distribution.strategy import open_strategy
from job.models.siamese import build_siamese
from job.models.sides import BOTH, LEFT, RIGHT, encoding, sides_in_call
from tests.forked import run_forked
from tests.models.encoder_cases import TEXT, some_items

PAIRS = 8
SECTION = LstmConfig(units=4, embedding_size=3, dropout=0.3)


def siamese():
    model = ModelConfig(encoder=SECTION)
    return build_siamese(model, training=TrainingConfig(), item=TEXT, seed=3)


def sides():
    return [some_items(TEXT, PAIRS, length=length, seed=length) for length in (4, 7)]


def padded(ids, length=7):
    return np.pad(ids, [(0, 0), (0, length - ids.shape[1])])


def test_a_call_holds_both_sides_unless_said_otherwise():
    assert sides_in_call() == BOTH
    with encoding(LEFT):
        assert sides_in_call() == (LEFT,)
        with pytest.raises(ZeroDivisionError), encoding(RIGHT):
            raise ZeroDivisionError
        assert sides_in_call() == (LEFT,)
    assert sides_in_call() == BOTH


@pytest.mark.parametrize("training", [False, True])
def test_sides_have_their_own_lengths_and_embed_as_in_one_call(training):
    left, right = sides()
    together, apart = siamese(), siamese()
    for _ in range(2):
        both = np.concatenate([padded(left), right])
        expected = together.embed_both(both, training=training)
        found = apart.embed_sides(left, right, training=training)
        for one, other in zip(found, expected, strict=True):
            assert np.ptp(other) > 1e-3
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    for key, variable in together.variables().items():
        assert np.array_equal(variable.numpy(), apart.variables()[key].numpy()), key


def gradients_on_replicas(replicas, path):
    """Saves the gradients of a step, summed over the replicas, merged and not."""
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{replicas}"), seed=0)
    with strategy.scope():
        model = siamese()
    left, right = (tf.constant(padded(ids)) for ids in sides())
    variables = model.scorer.trainable_variables
    rows = PAIRS // replicas

    def replica_step(merged):
        context = tf.distribute.get_replica_context()
        start = context.replica_id_in_sync_group * rows
        own = [ids[start : start + rows] for ids in (left, right)]
        with tf.GradientTape() as tape:
            if merged:
                u, v = model.embed_both(tf.concat(own, axis=0), training=True)
            else:
                u, v = model.embed_sides(own[0][:, :4], own[1], training=True)
            loss = tf.reduce_sum(tf.square(model.head([u, v]))) / PAIRS
        found = tape.gradient(loss, [variable.value for variable in variables])
        return context.all_reduce("sum", [tf.convert_to_tensor(one) for one in found])

    @partial(tf.function, autograph=False)
    def step(merged):
        return strategy.run(replica_step, args=(merged,))

    state = {key: variable.numpy() for key, variable in model.variables().items()}
    found = {}
    for merged in (True, False):
        for number in range(2):
            for one, variable in zip(step(merged), variables, strict=True):
                key = f"{merged} {number} {variable.path}"
                found[key] = strategy.experimental_local_results(one)[0].numpy()
        for key, variable in model.variables().items():
            variable.assign(state[key])
    np.savez(path, **found)


@pytest.mark.slow
def test_gradients_of_sides_do_not_depend_on_calls_nor_on_replicas(tmp_path):
    found = []
    for replicas in (1, 2):
        path = tmp_path / f"{replicas}.npz"
        run_forked(gradients_on_replicas, replicas, path)
        found.append(dict(np.load(path)))
    expected = {key: value for key, value in found[0].items() if key.startswith("True")}
    assert len(expected) > 10
    for key, value in expected.items():
        first, second = key, key.replace(" 0 ", " 1 ")
        if first != second and "bias" in key:  # other features are dropped in the next step
            assert not np.allclose(expected[first], expected[second], rtol=1e-3)
        for other in found:
            for name in (key, key.replace("True", "False")):
                gap = np.abs(other[name] - value).max() / np.abs(value).max()
                assert gap < 1e-5, name
