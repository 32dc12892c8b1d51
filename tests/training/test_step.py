"""What an optimizer step does with gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.training.gradients import _dense


def test_the_gradient_of_a_row_looked_up_twice_is_one_sum():
    table = keras.Variable(np.zeros((4, 2), np.float32))
    rows = tf.IndexedSlices(
        tf.constant([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]]),
        tf.constant([3, 1, 3]),
        tf.constant([4, 2]),
    )
    plain, unused = tf.constant([5.0]), keras.Variable(np.ones((3,), np.float32))
    dense = _dense([rows, plain, None], [table, plain, unused])
    assert dense[0].numpy().tolist() == [[0, 0], [10, 20], [0, 0], [101, 202]]
    assert dense[1] is plain
    assert dense[2].numpy().tolist() == [0, 0, 0]


def test_adam_squares_the_sum_of_the_gradients_of_a_token(toy):
    fresh = toy()
    fresh.step(fresh.first_call())
    state = fresh.weights()
    momentum = state["optimizer|adam/embedding_embeddings_momentum"] / 0.1
    velocity = state["optimizer|adam/embedding_embeddings_velocity"] / 0.001
    assert np.abs(momentum).max() > 0
    np.testing.assert_allclose(velocity, np.square(momentum), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(("bias", "is_match"), [(0.25, True), (0.0, True), (-0.25, False)])
def test_a_pair_counts_as_right_on_the_right_side_of_score_one_half(toy, bias, is_match):
    fresh = toy()
    call = fresh.first_call()
    variables = fresh.siamese.variables()
    kernel, constant = variables["model|logit/kernel"], variables["model|logit/bias"]
    kernel.assign(np.zeros(kernel.shape))
    constant.assign([bias])  # every logit is this, every score sigmoid(bias)
    results = fresh.step(call)
    (label_B,) = call.arrays_KB[0].numpy()
    assert 0 < label_B.sum() < len(label_B)
    assert results.correct.tolist() == [float(np.sum((label_B == 1.0) == is_match))]
