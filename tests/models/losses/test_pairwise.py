import math

import numpy as np
import pytest
import tensorflow as tf

from job.config.losses import BinaryCrossentropyConfig, ContrastiveConfig
from job.models.losses.build_loss import build_loss
from job.models.losses.pair_batch import no_gather
from job.models.losses.pairwise import binary_crossentropy, weighted_binary_crossentropy
from tests.models.losses.test_in_batch import as_tensors, pair_batch


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


@pytest.mark.parametrize(
    ("label", "weight", "smoothing", "loss"),
    [
        # At logit 0 every label costs log 2.
        (1.0, 3.0, 0.0, 3 * math.log(2)),
        (0.0, 3.0, 0.0, math.log(2)),
        (1.0, 3.0, 0.4, 3 * math.log(2)),
        (0.0, 0.5, 0.4, math.log(2)),
    ],
)
def test_a_matching_pair_has_its_weight(label, weight, smoothing, loss):
    got = weighted_binary_crossentropy(
        np.float32([label]),
        np.float32([0.0]),
        positive_weight=weight,
        label_smoothing=smoothing,
    )
    np.testing.assert_allclose(got, [loss], rtol=1e-6)


def test_smoothed_labels_are_the_likelihood_of_a_mixture():
    # s = 0.2: label 1 is 0.9, label 0 is 0.1.
    score = 1 / (1 + math.exp(-2.0))
    got = weighted_binary_crossentropy(
        np.float32([1.0, 0.0]), np.float32([2.0, 2.0]), positive_weight=1.0, label_smoothing=0.2
    )
    mixed = [-(y * math.log(score) + (1 - y) * math.log(1 - score)) for y in (0.9, 0.1)]
    np.testing.assert_allclose(got, mixed, rtol=1e-6)


def test_the_section_decides_weight_and_smoothing():
    batch = as_tensors(pair_batch(np.ones((2, 1)), np.ones((2, 1)), label=[1, 0]))
    section = BinaryCrossentropyConfig(positive_weight=2.0, label_smoothing=0.5)
    got = build_loss(section, head="concat").of(batch, gather=no_gather)
    np.testing.assert_allclose(got, [2 * math.log(2), math.log(2)], rtol=1e-6)
    assert not build_loss(section, head="concat").is_in_batch


@pytest.mark.parametrize(
    ("head", "left", "right", "label", "loss"),
    [
        # Euclidean distance 5; margin 1.5.
        ("euclidean", (0, 0), (3, 4), 1, 25.0),
        ("euclidean", (0, 0), (3, 4), 0, 0.0),
        ("euclidean", (0, 0), (0.5, 0), 0, 1.0),
        ("euclidean", (1, 1), (1, 1), 1, 0.0),
        ("euclidean", (1, 1), (1, 1), 0, 2.25),
        # 1 - cos: 0.04 for (3, 4) and (4, 3), 1 for a right angle, 2 for opposites.
        ("cosine", (3, 4), (4, 3), 1, 0.04**2),
        ("cosine", (1, 0), (0, 7), 0, 0.25),
        ("cosine", (1, 0), (-2, 0), 1, 4.0),
        ("cosine", (1, 0), (-2, 0), 0, 0.0),
    ],
)
def test_contrastive_loss_by_hand(head, left, right, label, loss):
    batch = as_tensors(pair_batch([left], [right], label=[label]))
    got = build_loss(ContrastiveConfig(margin=1.5), head=head).of(batch, gather=no_gather)
    np.testing.assert_allclose(got, [loss], rtol=1e-5, atol=1e-6)
