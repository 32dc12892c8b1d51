import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from job.config.losses import LOSSES as SECTIONS
from job.config.losses import (
    BinaryCrossentropyConfig,
    CircleConfig,
    ContrastiveConfig,
    Loss,
    MultipleNegativesConfig,
    OnlineContrastiveConfig,
    TripletConfig,
)
from job.config.model import HEADS, Head
from job.models.heads import build_head
from job.models.losses.build_loss import LOSSES, build_loss
from job.models.losses.pair_batch import PairBatch, no_gather
from tests.models.losses import reference_losses as reference

# One option of each is not its default, so that a swapped argument shows.
CASES = {
    "online_contrastive, cosine": (
        OnlineContrastiveConfig(margin=0.7),
        "cosine",
        lambda batch: reference.online_contrastive(batch, kind="cosine", margin=0.7),
    ),
    "online_contrastive, euclidean": (
        OnlineContrastiveConfig(margin=3.0),
        "euclidean",
        lambda batch: reference.online_contrastive(batch, kind="euclidean", margin=3.0),
    ),
    "batch-hard, cosine": (
        TripletConfig(margin=0.3, mining="batch_hard"),
        "cosine",
        lambda batch: reference.triplet(batch, kind="cosine", margin=0.3, mining="batch_hard"),
    ),
    "batch-hard, euclidean": (
        TripletConfig(margin=0.5, mining="batch_hard"),
        "euclidean",
        lambda batch: reference.triplet(
            batch, kind="euclidean", margin=0.5, mining="batch_hard"
        ),
    ),
    "semi-hard, cosine": (
        TripletConfig(margin=0.3),
        "cosine",
        lambda batch: reference.triplet(batch, kind="cosine", margin=0.3, mining="semi_hard"),
    ),
    "semi-hard, euclidean": (
        TripletConfig(margin=0.5),
        "euclidean",
        lambda batch: reference.triplet(
            batch, kind="euclidean", margin=0.5, mining="semi_hard"
        ),
    ),
    "multiple negatives, cosine": (
        MultipleNegativesConfig(temperature=0.1),
        "cosine",
        lambda batch: reference.multiple_negatives(
            batch, kind="cosine", temperature=0.1, symmetric=False
        ),
    ),
    "multiple negatives, euclidean, both ways": (
        MultipleNegativesConfig(temperature=0.5, symmetric=True),
        "euclidean",
        lambda batch: reference.multiple_negatives(
            batch, kind="euclidean", temperature=0.5, symmetric=True
        ),
    ),
    "circle": (
        CircleConfig(margin=0.3, gamma=8.0),
        "cosine",
        lambda batch: reference.circle(batch, margin=0.3, gamma=8.0),
    ),
}
EVERY_LOSS = {
    "binary_crossentropy": (BinaryCrossentropyConfig(), "abs_diff_product"),
    "contrastive, cosine": (ContrastiveConfig(), "cosine"),
    "contrastive, euclidean": (ContrastiveConfig(), "euclidean"),
    **{name: case[:2] for name, case in CASES.items()},
}
every_loss = pytest.mark.parametrize("name", EVERY_LOSS)


def pair_batch(left, right, *, label, items=None, classes=None) -> PairBatch:
    """Items default to all different, classes to unknown; both are (left, right)."""
    size = len(label)
    items = items or (range(size), range(size, 2 * size))
    classes = classes or ([-1] * size, [-1] * size)
    numbers = [np.array(side, np.int64) for side in (*items, *classes)]
    return PairBatch(
        np.float32(label),
        np.zeros(size, np.float32),
        np.float32(left),
        np.float32(right),
        *numbers,
    )


def random_batch(seed, *, size=12, num_items=14, num_classes=4, repeats=True) -> PairBatch:
    """Items come several times, with one embedding each; some classes are unknown.

    A pair that comes twice has one label: two distances that differ by a rounding error only
    would make either of them the hard one.
    """
    rng = np.random.default_rng(seed)
    embedding = rng.normal(0, 1, (num_items, 5)).astype(np.float32)
    class_ = rng.integers(-1, num_classes, num_items)
    left, right = rng.integers(0, num_items, (2, size))
    if not repeats:
        left, right = rng.permutation(num_items)[: 2 * size].reshape(2, size)
    return pair_batch(
        embedding[left],
        embedding[right],
        label=(left + right) % 2,
        items=(left, right),
        classes=(class_[left], class_[right]),
    )


def losses(name, batch):
    section, head = EVERY_LOSS[name]
    return build_loss(section, head=head).of(as_tensors(batch), gather=no_gather).numpy()


def as_tensors(batch):
    return PairBatch(*(tf.constant(value) for value in vars(batch).values()))


def gradients(name, batch):
    section, head = EVERY_LOSS[name]
    tensors = as_tensors(batch)
    sources = [tensors.left_BD, tensors.right_BD, tensors.logit_B]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        loss = tf.reduce_sum(build_loss(section, head=head).of(tensors, gather=no_gather))
    zero = tf.UnconnectedGradients.ZERO
    return [
        gradient.numpy()
        for gradient in tape.gradient(loss, sources, unconnected_gradients=zero)
    ]


def test_these_tests_know_every_loss():
    assert {section.kind for section, _ in EVERY_LOSS.values()} == set(LOSSES)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(8))
def test_a_loss_equals_its_slow_reference(name, seed):
    batch = random_batch(seed)
    expected = CASES[name][2](batch)
    assert max(expected) > 0
    np.testing.assert_allclose(losses(name, batch), expected, rtol=2e-5, atol=2e-6)


# Circle's weights pass no gradient by definition, so its differences say nothing.
@pytest.mark.parametrize("name", sorted(set(CASES) - {"circle"}))
def test_a_gradient_equals_finite_differences(name):
    # Only one copy of a repeated item would be moved.
    batch, step = random_batch(3, num_items=24, repeats=False), 1e-6
    (gradient, _, _) = gradients(name, batch)
    for row, column in [(0, 0), (3, 2), (7, 4), (11, 1)]:
        sides = []
        for sign in (1, -1):
            left = batch.left_BD.astype(np.float64)
            left[row, column] += sign * step
            moved = dataclasses.replace(batch, left_BD=left)
            sides.append(sum(CASES[name][2](moved)))
        slope = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(gradient[row, column], slope, rtol=1e-4, atol=1e-5)


@every_loss
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("label", [[0, 0, 0], [1, 1, 1], [0, 1, 1]])
def test_loss_and_gradient_are_finite_when_all_embeddings_are_equal(name, value, label):
    same = np.full((3, 4), value)
    batch = pair_batch(same, same, label=label, classes=([0, 1, 2], [0, 1, 0]))
    assert np.isfinite(losses(name, batch)).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients(name, batch))


@every_loss
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("classes", [([0], [0]), ([0], [1]), ([-1], [-1])])
def test_one_pair_gives_a_finite_loss_and_gradient(name, label, classes):
    batch = pair_batch([[1.0, 2.0]], [[2.0, -1.0]], label=[label], classes=classes)
    got = losses(name, batch)
    assert got.shape == (1,)
    assert got.dtype == np.float32
    assert got[0] >= 0
    assert all(np.isfinite(gradient).all() for gradient in gradients(name, batch))


@pytest.mark.parametrize("name", [name for name in CASES if "hard" in name or name == "circle"])
def test_a_batch_of_one_class_has_nothing_to_tell_apart(name):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 6, 3))
    batch = pair_batch(left, right, label=[1] * 6, classes=([2] * 6, [2] * 6))
    assert losses(name, batch).tolist() == [0.0] * 6
    assert not any(gradient.any() for gradient in gradients(name, batch))


def points(*degrees):
    return [[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees]


def on_a_line(*places):
    return [[float(place), 0.0] for place in places]


def of(section, head, batch):
    return build_loss(section, head=head).of(as_tensors(batch), gather=no_gather).numpy()


@pytest.mark.parametrize(
    ("right", "label", "expected"),
    [
        # Distances 1, 3 (matches), 2, 5 (others): hard are the match at 3 and the other at 2.
        ((1, 3, 2, 5), (1, 1, 0, 0), (0, 9, 4, 0)),
        # Told apart already: nothing is hard.
        ((1, 2, 3, 5), (1, 1, 0, 0), (0, 0, 0, 0)),
        # One class: every pair counts.
        ((1, 3, 2, 5), (1, 1, 1, 1), (1, 9, 4, 25)),
        ((1, 3, 2, 5), (0, 0, 0, 0), (9, 1, 4, 0)),
    ],
)
def test_online_contrastive_by_hand(right, label, expected):
    batch = pair_batch(on_a_line(0, 0, 0, 0), on_a_line(*right), label=label)
    got = of(OnlineContrastiveConfig(margin=4.0), "euclidean", batch)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


# Places on a line: left 0 and 10, right 3 and 4; classes left A, B, right A, A.
TRIPLETS = {
    # 0 (A): positives at 3, 4; the negative at 10: 4 - 10 + 5 < 0. 3 (A): 0 and 4, hardest 3;
    # 10 is 7 away: 3 - 7 + 5 = 1. 4 (A): hardest 4; 10 is 6 away: 4 - 6 + 5 = 3. 10 (B): none.
    "batch_hard": (0.5, 1.5),
    # 0: 3 - 10, 4 - 10 -> 0. 3: pairs 3 and 1, negative 7: 1 and 0 -> 0.5. 4: pairs 4 and 1,
    # negative 6: 3 and 0 -> 1.5.
    "semi_hard": (0.25, 0.75),
}


@pytest.mark.parametrize("mining", TRIPLETS)
def test_triplets_by_hand(mining):
    batch = pair_batch(
        on_a_line(0, 10), on_a_line(3, 4), label=[1, 0], classes=([0, 1], [0, 0])
    )
    got = of(TripletConfig(margin=5.0, mining=mining), "euclidean", batch)
    np.testing.assert_allclose(got, TRIPLETS[mining], rtol=1e-5)


def test_semi_hard_takes_the_nearest_negative_beyond_the_pair_else_the_furthest():
    # Anchor 0, its class at 2; others at 1, 3 and 4: the one at 3. From 2 (its class at 0, 2
    # away): others at 1, 1 and 2 away; none is beyond 2: the furthest, 2 away.
    batch = pair_batch(
        on_a_line(0, 1, 3), on_a_line(2, 4, 4), label=[1, 0, 0], classes=([0, 1, 2], [0, 3, 3])
    )
    got = of(TripletConfig(margin=5.0), "euclidean", batch)
    # Pair 0: ((2 - 3 + 5) + (2 - 2 + 5)) / 2; pairs 1 and 2 each hold one item at 4 (class 3),
    # 0 away from the other; its nearest negative beyond 0 is at 3: 0 - 1 + 5 = 4, halved.
    np.testing.assert_allclose(got, [4.5, 2.0, 2.0], rtol=1e-5)


def test_a_negative_as_far_as_the_positive_is_not_beyond_it():
    # Anchor 0: its class at 1; others at -1, as far, and at 3: that one, 1 - 3 + 5 = 3. From 1:
    # others 2 away, 1 - 2 + 5 = 4. From -1 and 3, 4 apart: the furthest, 2 and 3 away, 7 and 6.
    batch = pair_batch(
        on_a_line(0, -1), on_a_line(1, 3), label=[1, 1], classes=([0, 1], [0, 1])
    )
    got = of(TripletConfig(margin=5.0), "euclidean", batch)
    np.testing.assert_allclose(got, [3.5, 6.5], rtol=1e-5)


def test_a_repeated_item_is_not_its_own_positive_and_unknown_classes_are_ignored():
    batch = pair_batch(
        on_a_line(0, 1),
        on_a_line(0, 2),
        label=[1, 0],
        items=([7, 8], [7, 9]),
        classes=([0, 1], [0, -1]),
    )
    for mining in TRIPLETS:
        assert of(TripletConfig(mining=mining), "euclidean", batch).tolist() == [0.0, 0.0]
    assert of(CircleConfig(), "cosine", batch).tolist() == [0.0, 0.0]


def test_multiple_negatives_by_hand():
    # cos(left 0, right 0) = 1, cos(left 0, right 1) = 0; temperature 1/2: grades e^2 and 1.
    batch = pair_batch(points(0, 60), points(0, 90), label=[1, 0])
    section = MultipleNegativesConfig(temperature=0.5)
    expected = [math.log(1 + math.exp(-2)), 0.0]
    np.testing.assert_allclose(of(section, "cosine", batch), expected, rtol=1e-5, atol=1e-7)
    # The other way: right 0 sees left 0 (grade e^2) and left 1 at 60 degrees (grade e^1).
    both = MultipleNegativesConfig(temperature=0.5, symmetric=True)
    expected = [0.5 * (expected[0] + math.log(1 + math.exp(-1))), 0.0]
    np.testing.assert_allclose(of(both, "cosine", batch), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("change", "num_wrong"),
    [
        ({}, 2),
        # The right item of pair 1 is that of pair 0.
        ({"items": ([0, 1, 2], [3, 3, 5])}, 1),
        # The right item of pair 1 is the left item of pair 0.
        ({"items": ([0, 1, 2], [3, 0, 5])}, 1),
        # It has the class of the left item of pair 0; an unknown class says nothing.
        ({"classes": ([4, -1, -1], [4, 4, 5])}, 1),
        ({"classes": ([-1, -1, -1], [-1, -1, -1])}, 2),
        # Pair 2 says that items 0 and 4 match, in either order; item 4 is right in pair 1.
        ({"items": ([0, 1, 0], [3, 4, 4])}, 0),
        ({"items": ([0, 1, 4], [3, 4, 0])}, 0),
        ({"items": ([0, 1, 0], [3, 4, 4]), "label": [1, 1, 0]}, 2),
    ],
)
def test_matching_items_are_not_negatives(change, num_wrong):
    batch = pair_batch(points(0, 0, 0), points(0, 0, 0), **{"label": [1, 1, 1], **change})
    # All alike, so the loss is the logarithm of the number of candidates.
    got = of(MultipleNegativesConfig(), "cosine", batch)
    np.testing.assert_allclose(got[0], math.log(1 + num_wrong), rtol=1e-5, atol=1e-6)


def test_circle_by_hand():
    # Anchor left at 0 degrees, its class at 60 (cos 1/2), another class at 90 (cos 0);
    # m = 1/4, gamma = 1: alpha_p = 3/4, alpha_n = 1/4.
    batch = pair_batch(points(0, 90), points(60, 90), label=[1, 0], classes=([0, 1], [0, -1]))
    got = of(CircleConfig(margin=0.25, gamma=1.0), "cosine", batch)
    left = math.log(1 + math.exp(0.75 * 0.25) * math.exp(-0.25 * 0.25))
    # The item at 60: its class at cos 1/2, the other class at cos(30 degrees).
    s = math.cos(math.radians(30))
    right = math.log(1 + math.exp(0.75 * 0.25) * math.exp((s + 0.25) * (s - 0.25)))
    np.testing.assert_allclose(got, [(left + right) / 2, 0.0], rtol=1e-5)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_circle_weights_pass_no_gradient():
    batch = pair_batch(points(0, 90), points(60, 90), label=[1, 0], classes=([0, 1], [0, -1]))
    section = CircleConfig(margin=0.25, gamma=1.0)
    tensors = as_tensors(batch)
    with tf.GradientTape() as tape:
        tape.watch(tensors.right_BD)
        loss = build_loss(section, head="cosine").of(tensors, gather=no_gather)[0]
    slope = tape.gradient(loss, tensors.right_BD).numpy()[0]
    # d cos / d angle of the item at 60: -sin(60) to the anchor at 0, sin(30) to that at 90.
    s = math.cos(math.radians(30))
    at_left = sigmoid(0.75 * 0.25 - 0.0625) * -0.75 * -math.sin(math.radians(60))
    weight = sigmoid(0.75 * 0.25 + (s + 0.25) * (s - 0.25))
    at_right = weight * (0.75 * math.sin(math.radians(60)) + (s + 0.25) * 0.5)
    along = np.array([-math.sin(math.radians(60)), math.cos(math.radians(60))])
    np.testing.assert_allclose(slope @ along, (at_left + at_right) / 2, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_two_replicas_that_gather_see_the_loss_of_one(name):
    batch = random_batch(1)
    section, head = EVERY_LOSS[name]
    loss = build_loss(section, head=head)
    assert loss.is_in_batch
    halves = [
        PairBatch(*(tf.constant(value[part]) for value in vars(batch).values()))
        for part in (slice(0, 6), slice(6, 12))
    ]
    parts = []
    for number, own in enumerate(halves):
        # Replays on the other replica what this one asks for, in the same order.
        asked = []
        loss.of(halves[1 - number], gather=lambda rows, asked=asked: asked.append(rows) or rows)
        others = iter(asked)

        def gather(rows, others=others, number=number):
            return tf.concat([rows, next(others)][:: 1 - 2 * number], axis=0)

        parts.append(loss.of(own, gather=gather).numpy())
    np.testing.assert_allclose(np.concatenate(parts), losses(name, batch), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "kind"),
    [(head, loss) for head in HEADS for loss in SECTIONS if SECTIONS[loss].trains(head)],
    ids="-".join,
)
def test_nan_embeddings_never_look_like_a_good_model(head, kind):
    """Else a run that diverged ends as finished, and its best epoch is the one that did."""
    head_model = build_head(_section(Head, head), embedding_size=3, seed=1)
    loss = build_loss(_section(Loss, kind), head=head)
    label = tf.constant([1.0, 0.0, 1.0, 0.0])
    nan = tf.fill((4, 3), math.nan)
    numbers = tf.constant([0, 1, 2, 3], tf.int64), tf.constant([4, 5, 6, 7], tf.int64)
    classes = tf.constant([0, 1, 0, 1], tf.int64), tf.constant([0, 0, 0, 0], tf.int64)
    logit = head_model([nan, nan])[:, 0]
    assert np.isnan(logit).all()
    values = loss.of(PairBatch(label, logit, nan, nan, *numbers, *classes), gather=no_gather)
    assert not np.isfinite(tf.reduce_sum(values).numpy())


def _section(union, kind):
    return TypeAdapter(union).validate_python({"kind": kind})
