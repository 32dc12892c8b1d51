"""What is dropped: by the seed, by the feature, and alike on any number of replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.config.distribution import DistributionConfig
from job.distribution.strategy import open_strategy
from job.models.dropout import PairDropout
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


def drop_on_replicas(replicas, path):
    strategy = open_strategy(DistributionConfig(devices=f"cpu:{replicas}"), seed=0)
    with strategy.scope():
        one = layer(0.5)

    @tf.function
    def run():
        # 12 pairs over all replicas: left items, then right ones.
        ones = tf.ones((2 * 12 // replicas, 5, 16))
        return strategy.run(lambda: one(ones, training=True))

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
    for number in (1, 2, 3):
        path = tmp_path / f"{number}.npy"
        run_forked(drop_on_replicas, number, path)
        found.append(np.load(path))
    assert found[0].shape == (2, 2, 12, 5, 16)
    assert 0 < found[0].mean() < 2
    for other in found[1:]:
        assert np.array_equal(other, found[0])
