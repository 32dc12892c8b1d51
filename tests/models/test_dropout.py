"""What is dropped: by the seed, by the feature, and alike on any number of replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.distribution.strategy import open_strategy
from job.models.dropout import PairDropout
from job.models.sides import LEFT, RIGHT, encoding, micro_batch
from tests.forked import run_forked


def layer(rate=0.25, *, seed=3, dtype="float32"):
    return PairDropout(rate, seed=seed, name="dropout", dtype=dtype)


def test_a_share_is_dropped_and_the_rest_is_scaled_up():
    kept = layer()(np.ones((2000, 50), np.float32), training=True).numpy()
    assert set(np.unique(kept)) == {np.float32(0.0), np.float32(1 / 0.75)}
    # 100,000 draws: a standard deviation of 0.0014.
    assert np.mean(kept == 0) == pytest.approx(0.25, abs=0.006)
    assert kept.mean() == pytest.approx(1.0, abs=0.01)
    # Neither items nor features are dropped together.
    for axis in (0, 1):
        assert np.mean(kept == 0, axis=axis).std() < 0.1


@pytest.mark.parametrize("num_items", [1, 5, 6])
def test_an_item_loses_the_same_features_at_every_step(num_items):
    kept = layer(0.5)(np.ones((num_items, 7, 40), np.float32), training=True).numpy()
    assert kept.shape == (num_items, 7, 40)
    assert (kept == kept[:, :1]).all()
    assert len(np.unique(kept[:, 0], axis=0)) == num_items


def test_each_call_draws_new_numbers_from_the_seed():
    ones = np.ones((4, 30), np.float32)
    first, second, other = layer(), layer(), layer(seed=4)
    once = first(ones, training=True).numpy()
    assert np.array_equal(once, second(ones, training=True))
    assert not np.array_equal(once, first(ones, training=True))
    assert not np.array_equal(once, other(ones, training=True))


def test_without_training_nothing_is_dropped_nor_drawn():
    one = layer()
    before = one.seed_generator.state.numpy()
    numbers = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert np.array_equal(one(numbers), numbers)
    assert np.array_equal(one.seed_generator.state.numpy(), before)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_few_bits_stay_few_bits_and_drop_the_same(dtype):
    ones = np.ones((4, 30), np.float32)
    kept = layer(dtype=dtype)(ones, training=True)
    assert keras.backend.standardize_dtype(kept.dtype) == dtype.removeprefix("mixed_")
    exact = layer()(ones, training=True).numpy()
    assert np.array_equal(kept.numpy().astype(np.float32) == 0, exact == 0)


def test_a_layer_is_made_again_from_its_configuration():
    one = layer()
    again = PairDropout.from_config(one.get_config())
    ones = np.ones((4, 30), np.float32)
    assert np.array_equal(one(ones, training=True), again(ones, training=True))


def drop_sides(one, ones, *, merged):
    """Drops features of the same items on either side, in one call or two."""
    if merged:
        return one(tf.concat([ones, ones], axis=0), training=True)
    with encoding(LEFT):
        left = one(ones, training=True)
    with encoding(RIGHT):
        right = one(ones, training=True)
    return tf.concat([left, right], axis=0)


def test_each_side_in_a_call_of_its_own_loses_what_it_loses_in_one_call():
    together, apart = layer(0.5), layer(0.5)
    ones = tf.ones((3, 40))
    kept = [drop_sides(together, ones, merged=True).numpy() for _ in range(2)]
    assert not np.array_equal(kept[0][:3], kept[0][3:])
    assert not np.array_equal(kept[0], kept[1])
    for both in kept:
        assert np.array_equal(drop_sides(apart, ones, merged=False), both)
    states = [one.seed_generator.state.numpy() for one in (together, apart)]
    assert np.array_equal(*states)


def test_micro_batches_drop_what_the_undivided_batch_drops():
    ones = np.ones((2 * 6, 20), np.float32)
    whole, divided = layer(0.5), layer(0.5)
    for _ in range(2):
        expected = np.split(whole(ones, training=True).numpy(), 2)
        for part in (2, 0, 1, 2):  # in any order, and as often as needed
            with micro_batch(part, count=3):
                sides = np.split(divided(ones[:4], training=True).numpy(), 2)
                with encoding(LEFT):
                    left = divided(ones[:2], training=True).numpy()
            rows = slice(2 * part, 2 * part + 2)
            assert np.array_equal(sides, [side[rows] for side in expected])
            assert np.array_equal(left, sides[0])
        divided.next_step()
    assert np.array_equal(divided.seed_generator.state, whole.seed_generator.state)


def test_the_draws_are_those_of_tensorflow():
    expected = layer(0.5)(tf.ones((8, 50)), training=True).numpy()
    seed, shape = tf.constant([3, 0], tf.int64), (2, 1, 4, 50)
    draws = np.reshape(tf.random.stateless_uniform(shape, seed=seed), (8, 50))
    assert np.array_equal(expected == 0, draws < 0.5)


def drop_on_replicas(replicas, merged, path):
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{replicas}"), seed=0)
    with strategy.scope():
        one = layer(0.5)

    @tf.function
    def run():
        # 12 pairs over all replicas: left items, then right ones.
        ones = tf.ones((12 // replicas, 5, 16))
        return strategy.run(lambda: drop_sides(one, ones, merged=merged))

    sides = []
    for _ in range(2):
        kept = strategy.experimental_local_results(run())
        assert len(kept) == replicas
        halves = [np.split(replica.numpy(), 2) for replica in kept]
        sides.append([np.concatenate(side) for side in zip(*halves, strict=True)])
    np.save(path, np.array(sides))


@pytest.mark.slow
def test_replicas_drop_what_a_single_replica_drops(tmp_path):
    found = []
    for number, merged in ((1, True), (2, True), (3, True), (1, False), (3, False)):
        path = tmp_path / f"{number}-{merged}.npy"
        run_forked(drop_on_replicas, number, merged, path)
        found.append(np.load(path))
    assert found[0].shape == (2, 2, 12, 5, 16)
    assert 0 < found[0].mean() < 2
    for other in found[1:]:
        assert np.array_equal(other, found[0])
