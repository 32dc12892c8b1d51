import keras
import numpy as np
import pytest
import tensorflow as tf

from job.config import model as config_model
from job.config.model import (
    AbsDiffConfig,
    AbsDiffProductConfig,
    ConcatConfig,
    CosineConfig,
    EuclideanConfig,
    MlpConfig,
    ProductConfig,
)
from job.models.distances import DISTANCES
from job.models.heads import HEADS, build_head

SECTIONS = {
    "concat": ConcatConfig(),
    "mlp": MlpConfig(units=8),
    "abs_diff": AbsDiffConfig(),
    "product": ProductConfig(),
    "abs_diff_product": AbsDiffProductConfig(),
    "cosine": CosineConfig(),
    "euclidean": EuclideanConfig(),
}
SYMMETRIC = [kind for kind, traits in config_model.HEADS.items() if traits.is_symmetric]
every_head = pytest.mark.parametrize("kind", SECTIONS)


def test_the_heads_with_a_distance_are_those_whose_distance_is_known():
    traits = config_model.HEADS
    assert {kind for kind in traits if traits[kind].has_distance} == set(DISTANCES)


def head(kind, *, size=2, seed=0):
    return build_head(SECTIONS[kind], embedding_size=size, seed=seed)


def embeddings(rows=200, size=5):
    return np.random.default_rng(0).normal(0, 2, (2, rows, size)).astype(np.float32)


def test_the_table_the_builders_and_these_tests_know_the_same_heads():
    assert list(HEADS) == list(config_model.HEADS) == list(SECTIONS)


@every_head
def test_a_head_returns_one_logit_per_pair(kind):
    model = head(kind)
    assert model.output_shape == (None, 1)
    assert model.name == "head"
    u, v = embeddings(size=2)
    assert model([u, v]).shape == (200, 1)
    assert np.ptp(model([u, v])) > 0


# Kernel (1, 2, ...), bias 0.5, u = (1, 2), v = (4, -1):
# [u, v] = (1, 2, 4, -1): 1 + 4 + 12 - 4; |u - v| = (3, 3): 3 + 6; u * v = (4, -2): 4 - 4.
@pytest.mark.parametrize(
    ("kind", "logit"),
    [("concat", 13.5), ("abs_diff", 9.5), ("product", 0.5), ("abs_diff_product", 13.5)],
)
def test_a_linear_head_equals_a_hand_computed_logit(kind, logit):
    model = head(kind)
    layer = model.get_layer("logit")
    size = layer.kernel.shape[0]
    kernel = np.arange(1, size + 1, dtype=np.float32)[:, None]
    layer.set_weights([kernel, np.float32([0.5])])
    u, v = np.float32([[1.0, 2.0]]), np.float32([[4.0, -1.0]])
    np.testing.assert_array_equal(model([u, v]), [[logit]])


def test_mlp_equals_a_hand_computed_logit():
    model = build_head(MlpConfig(units=2), embedding_size=1, seed=0)
    hidden = [np.float32([[1.0, -1.0], [1.0, 1.0]]), np.float32([0.0, 1.0])]
    model.get_layer("hidden").set_weights(hidden)
    model.get_layer("logit").set_weights([np.float32([[2.0], [3.0]]), np.float32([0.5])])
    # u = 3, v = -1: hidden (2, -3) -> relu (2, 0) -> 4.5; swapped: (2, 5) -> 19.5.
    u, v = np.float32([[3.0]]), np.float32([[-1.0]])
    np.testing.assert_array_equal(model([u, v]), [[4.5]])
    np.testing.assert_array_equal(model([v, u]), [[19.5]])


# cos((3, 4), (4, 3)) = 24 / 25; the distance of (1, 1) and (4, 5) is 5.
@pytest.mark.parametrize(
    ("kind", "u", "v", "logit"),
    [
        ("cosine", (3, 4), (4, 3), 8 * 0.96 - 4),
        ("cosine", (3, 4), (30, 40), 4),
        ("cosine", (3, 4), (-3, -4), -12),
        ("euclidean", (1, 1), (4, 5), 1 - 5),
        ("euclidean", (1, 1), (1, 1), 1),
    ],
)
def test_a_distance_head_starts_from_a_hand_computed_logit(kind, u, v, logit):
    got = head(kind)([np.float32([u]), np.float32([v])])
    np.testing.assert_allclose(got, [[logit]], rtol=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_scale_and_bias_are_learned_and_the_scale_stays_positive(kind):
    model = head(kind)
    u, v = map(tf.constant, embeddings(size=2))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sigmoid(model([u, v])))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert len(gradients) == 2
    assert all(float(tf.abs(gradient[0, 0])) > 0 for gradient in gradients)
    model.get_layer("log_scale").set_weights([np.float32([[-9.0]])])
    near, far = np.float32([[1.0, 0.0]]), np.float32([[0.0, 7.0]])
    assert model([near, near])[0, 0] > model([near, far])[0, 0]


@pytest.mark.parametrize("kind", SYMMETRIC)
def test_a_symmetric_head_is_so_to_the_last_bit(kind):
    model = head(kind, size=37)
    u, v = embeddings(rows=1000, size=37)
    assert np.array_equal(model([u, v]), model([v, u]))


@pytest.mark.parametrize("kind", sorted(set(SECTIONS) - set(SYMMETRIC)))
def test_the_other_heads_are_not(kind):
    u, v = embeddings()
    model = head(kind, size=5)
    assert not np.allclose(model([u, v]), model([v, u]), atol=0.1)


@every_head
def test_only_the_additive_head_cannot_express_similarity(kind):
    # g(u) + h(v) makes the two pairs of equals weigh as much as the two pairs of different.
    u, v = embeddings()
    model = head(kind, size=5)
    equals = model([u, u]) + model([v, v])
    different = model([u, v]) + model([v, u])
    is_additive = np.allclose(equals, different, atol=1e-4)
    assert is_additive is not config_model.HEADS[kind].expresses_similarity


@every_head
@pytest.mark.parametrize("value", [0.0, 1.0, 1e-30, 1e15])
def test_gradient_is_finite_for_equal_embeddings(kind, value):
    model = head(kind)
    u, v = tf.fill((3, 2), value), tf.fill((3, 2), value)
    with tf.GradientTape() as tape:
        tape.watch([u, v])
        logit = model([u, v])
    sources = [u, v, *model.trainable_variables]
    for gradient in tape.gradient(logit, sources):
        assert np.isfinite(gradient.numpy()).all()


@every_head
def test_initial_weights_depend_on_the_seed_alone(kind):
    def weights(seed):
        return [w.numpy() for w in head(kind, size=5, seed=seed).weights]

    first = weights(1)
    keras.layers.Dense(3).build((None, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, weights(1), strict=True))
    if kind not in ("cosine", "euclidean"):
        assert not np.array_equal(first[0], weights(2)[0])


@every_head
def test_a_saved_head_opens_without_this_program(kind, tmp_path):
    model, (u, v) = head(kind, size=5), embeddings()
    model.save(tmp_path / "head.keras")
    loaded = keras.models.load_model(tmp_path / "head.keras", compile=False)
    for layer in loaded.layers:
        assert type(layer).__module__.startswith("keras.")
    np.testing.assert_allclose(loaded([u, v]), model([u, v]), rtol=1e-6)
