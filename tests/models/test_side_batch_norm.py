"""Statistics of each side in one call: the numbers of two towers, on any number of replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.distribution.strategy import open_strategy
from job.models.side_batch_norm import SideBatchNorm
from job.models.sides import BOTH, LEFT, RIGHT, encoding
from tests.forked import run_forked

PAIRS, SIZE = 8, 5
STOCK = keras.layers.BatchNormalization


def stack(kind, *, dtype="float32"):
    """Two convolutions with a normalisation each, as Xception has them."""
    maps = images = keras.Input((SIZE, SIZE, 3))
    for number, filters in enumerate((4, 6)):
        initializer = keras.initializers.GlorotUniform(seed=number)
        maps = keras.layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=False,  # a normalisation takes it out again
            kernel_initializer=initializer,
            name=f"conv{number}",
        )(maps)
        # Gradients of later layers do not depend on gamma and beta of 1 and 0.
        maps = kind(
            gamma_initializer=keras.initializers.RandomUniform(0.5, 2.0, seed=number),
            beta_initializer=keras.initializers.RandomUniform(-1.0, 1.0, seed=number),
            dtype=dtype,
            name=f"norm{number}",
        )(maps)
        maps = keras.layers.Activation("relu", name=f"relu{number}")(maps)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D(name="mean")(maps))


def sides():
    """Images whose means are large, and differ between the sides and along the batch."""
    rng = np.random.default_rng(0)
    shape = (2, PAIRS, SIZE, SIZE, 3)
    level = np.linspace(100.0, 130.0, 2 * PAIRS).reshape(2, PAIRS, 1, 1, 1)
    return (level + rng.normal(size=shape) * [1.0, 2.0, 3.0]).astype(np.float32)


def together(model, left, right):
    with encoding(*BOTH):
        return tf.split(model(tf.concat([left, right], 0), training=True), 2)


def apart(model, left, right):
    with encoding(LEFT):
        u_BD = model(left, training=True)
    with encoding(RIGHT):
        return u_BD, model(right, training=True)


def two_towers(model, left, right):
    return model(left, training=True), model(right, training=True)


def taught(model, embed, left, right, weight=None):
    """Embeddings of both sides and the gradients of a loss that weighs pairs differently."""
    weight_B1 = (
        np.arange(1.0, PAIRS + 1, dtype=np.float32)[:, None] if weight is None else weight
    )
    with tf.GradientTape() as tape:
        u_BD, v_BD = embed(model, left, right)
        loss = tf.reduce_sum(weight_B1 * tf.square(u_BD - 2.0 * v_BD))
    return [u_BD, v_BD, *tape.gradient(loss, [v.value for v in model.trainable_variables])]


def largest_gap(found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("embed", [together, apart])
def test_one_call_has_the_numbers_of_two_towers(embed, dtype):
    reference, model = stack(STOCK, dtype=dtype), stack(SideBatchNorm, dtype=dtype)
    tolerance = {"float32": 1e-5, "mixed_bfloat16": 1e-2, "mixed_float16": 1e-3}[dtype]
    for _ in range(2):
        expected = taught(reference, two_towers, *sides())
        found = taught(model, embed, *sides())
        for one, other in zip(found, expected, strict=True):
            assert largest_gap(one, other) < tolerance
    for one, other in zip(model.weights, reference.weights, strict=True):
        assert one.path == other.path
        assert largest_gap(one, other) < tolerance
    assert largest_gap(model(sides()[0]), reference(sides()[0])) < tolerance


def test_the_sides_do_not_share_statistics():
    model, (left, right) = stack(SideBatchNorm), sides()
    u_BD, _ = together(model, left, right)
    np.testing.assert_allclose(together(model, left, right + 9.0)[0], u_BD, rtol=1e-5)
    with encoding(LEFT):
        both = model(np.concatenate([left, right]), training=True)
    assert not np.allclose(both[:PAIRS], u_BD, rtol=0.1)


def test_a_layer_that_does_not_train_normalises_as_in_inference():
    model, (left, _) = stack(SideBatchNorm), sides()
    expected = model(left)
    for layer in model.layers:
        layer.trainable = False
    assert np.array_equal(model(left, training=True), expected)


def on_replicas(replicas, path):
    """Saves what `taught` finds, and how often replicas add something up meanwhile."""
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{replicas}"), seed=0)
    with strategy.scope():
        model = stack(SideBatchNorm)
    kind, sums = tf.distribute.ReplicaContext, []
    all_reduce = kind.all_reduce
    kind.all_reduce = lambda *args: sums.append(args[-1].shape) or all_reduce(*args)
    left, right = map(tf.constant, sides())
    weight = tf.range(1.0, PAIRS + 1)[:, None]

    def replica_step():
        context = tf.distribute.get_replica_context()
        rows = PAIRS // replicas
        start = context.replica_id_in_sync_group * rows
        own = [part[start : start + rows] for part in (left, right, weight)]
        u_BD, v_BD, *gradients = taught(model, together, *own)
        total = all_reduce(context, "sum", gradients)
        return [*(context.all_gather(side, axis=0) for side in (u_BD, v_BD)), *total]

    results = tf.function(lambda: strategy.run(replica_step))()
    results += [variable.value for variable in model.weights]
    copies = [strategy.experimental_local_results(result) for result in results]
    assert all(np.array_equal(copy, first) for first, *rest in copies for copy in rest)
    np.savez(path, *(copy[0] for copy in copies), sums=len(sums))


@pytest.mark.slow
def test_replicas_share_the_statistics_and_add_up_once_each_way(tmp_path):
    found = []
    for replicas in (1, 2, 4):
        run_forked(on_replicas, replicas, tmp_path / f"{replicas}.npz")
        found.append(dict(np.load(tmp_path / f"{replicas}.npz")))
    layers = 2
    assert [int(results.pop("sums")) for results in found] == [
        0,
        2 * 2 * layers,
        4 * 2 * layers,
    ]
    for results in found[1:]:
        for key, value in results.items():
            assert largest_gap(value, found[0][key]) < 1e-5, key
