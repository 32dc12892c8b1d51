import numpy as np
import tensorflow as tf

from job.config.model import AbsDiffProductConfig
from job.models.heads import build_head


def head():
    return build_head(AbsDiffProductConfig(), embedding_size=2, seed=0)


def test_abs_diff_product_equals_a_hand_computed_logit():
    model = head()
    kernel = np.float32([[1.0], [2.0], [3.0], [4.0]])
    model.get_layer("logit").set_weights([kernel, np.float32([0.5])])
    u, v = np.float32([[1.0, 2.0]]), np.float32([[4.0, -1.0]])
    # |u - v| = (3, 3), u * v = (4, -2): 3 + 6 + 12 - 8 + 0.5
    np.testing.assert_array_equal(model([u, v]), [[13.5]])


def test_gradient_is_finite_for_equal_embeddings():
    model = head()
    u = tf.ones((3, 2))
    with tf.GradientTape() as tape:
        tape.watch(u)
        logit = model([u, u])
    assert np.isfinite(tape.gradient(logit, u).numpy()).all()
