"""A model in parts: the bits of the whole, each activation computed twice."""

import keras
import numpy as np
import tensorflow as tf

from job.models.recomputation import RecomputedModel, is_recomputing
from tests.models.test_side_batch_norm import SideBatchNorm, sides, stack, taught, together


def in_parts():
    whole = stack(SideBatchNorm)
    model = RecomputedModel(whole.inputs[0], whole.outputs[0])
    model.split_after(["relu0"])
    return model


def graph_of(model):
    """A step in a graph, as the product takes it."""
    return tf.function(
        lambda left, right: taught(model, together, left, right), autograph=False
    )


def test_parts_train_with_the_bits_of_the_whole_model():
    whole, parts = stack(SideBatchNorm), in_parts()
    steps = [graph_of(model) for model in (whole, parts)]
    for _ in range(2):
        expected, found = (step(*sides()) for step in steps)
        assert len(found) == len(expected) == 2 + 6
        assert all(np.ptp(one) > 0 for one in expected)
        assert all(map(np.array_equal, found, expected))
    assert [weight.path for weight in parts.weights] == [
        weight.path for weight in whole.weights
    ]
    assert all(map(np.array_equal, parts.get_weights(), whole.get_weights()))
    assert np.array_equal(parts(sides()[0]), whole(sides()[0]))


def test_the_gradient_computes_activations_anew():
    def convolutions(model):
        graph = graph_of(model).get_concrete_function(*sides()).graph
        return sum(operation.type == "Conv2D" for operation in graph.get_operations())

    assert convolutions(stack(SideBatchNorm)) == 2
    assert convolutions(in_parts()) == 4


def test_only_the_gradient_recomputes():
    seen = []

    class Watching(keras.layers.Layer):
        def call(self, inputs):
            seen.append(is_recomputing())
            return inputs * 2.0

    images = keras.Input((3,))
    model = RecomputedModel(images, Watching(name="watching")(images))
    model.split_after([])
    seen.clear()
    ones = tf.ones((1, 3))
    with tf.GradientTape() as tape:
        tape.watch(ones)
        output = model(ones, training=True)
    tape.gradient(output, ones)
    model(ones)
    assert seen == [False, True, False]
