import math

import numpy as np
import pytest
import tensorflow as tf

from job.models.losses import binary_crossentropy


@pytest.mark.parametrize(
    ("label", "logit", "loss"),
    [
        (1.0, 0.0, math.log(2)),
        (0.0, 0.0, math.log(2)),
        (1.0, 2.0, math.log(1 + math.exp(-2))),
        (0.0, 2.0, 2 + math.log(1 + math.exp(-2))),
        (1.0, -200.0, 200.0),
        (0.0, 200.0, 200.0),
        (1.0, 200.0, 0.0),
    ],
)
def test_binary_crossentropy_equals_the_hand_derived_value(label, logit, loss):
    got = binary_crossentropy(np.float32([label]), np.float32([logit]))
    np.testing.assert_allclose(got, [loss], rtol=1e-6, atol=1e-7)


def test_binary_crossentropy_equals_the_textbook_form():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 100).astype(np.float32)
    logit = rng.normal(0, 3, 100).astype(np.float32)
    score = 1 / (1 + np.exp(-logit.astype(np.float64)))
    reference = -(label * np.log(score) + (1 - label) * np.log(1 - score))
    np.testing.assert_allclose(binary_crossentropy(label, logit), reference, rtol=1e-5)


@pytest.mark.parametrize("logit", [-1e4, -1.0, 0.5, 1e4])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_gradient_is_score_minus_label(label, logit):
    x = tf.constant([logit])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = binary_crossentropy(tf.constant([label]), x)
    score = 1 / (1 + math.exp(-max(min(logit, 500), -500)))
    np.testing.assert_allclose(tape.gradient(loss, x), [score - label], atol=1e-6)
