import warnings

import keras
import numpy as np
import pytest

from job.config.model import ConcatConfig, CosineConfig, LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.models.activation_probe import ActivationProbe, ActivationStatistics, statistics_of
from job.models.heads import build_head
from job.models.losses.build_loss import build_loss
from job.models.optimizers import build_optimizer
from job.models.siamese import Siamese, build_siamese
from job.types import ItemInput

TEXT = ItemInput("text", "int32", (None,), vocabulary_size=9)
PICTURE = ItemInput("image", "float32", (8, 8, 3))
LEFT, RIGHT = np.array([[2, 3, 4, 0]], np.int32), np.array([[5, 6]], np.int32)


def text_model(head=None, **options) -> Siamese:
    encoder = LstmConfig(units=4, embedding_size=3, **options)
    model = ModelConfig(encoder=encoder, head=head or ConcatConfig())
    return build_siamese(model, training=TrainingConfig(), item=TEXT, seed=3)


def around(encoder: keras.Model, item: ItemInput = PICTURE) -> Siamese:
    """A whole model with an encoder that no configuration can name."""
    head = build_head(ConcatConfig(), embedding_size=encoder.output_shape[-1], seed=1)
    left, right = (keras.Input(item.shape, dtype=item.dtype) for _ in "lr")
    scorer = keras.Model([left, right], head([encoder(left), encoder(right)]))
    training = TrainingConfig()
    optimizer = build_optimizer(training.optimizer)
    optimizer.build(scorer.trainable_variables)
    loss = build_loss(training.loss, head="concat")
    return Siamese(item, encoder, head, scorer, loss, optimizer)


def conv_layers(dtype="float32"):
    return [
        keras.layers.Rescaling(1 / 255, name="scale"),
        keras.layers.Conv2D(4, 3, activation="relu", dtype=dtype, name="conv"),
        keras.layers.BatchNormalization(dtype=dtype, name="norm"),
        keras.layers.Dropout(0.5, seed=1, dtype=dtype, name="dropout"),
        keras.layers.GlobalAveragePooling2D(dtype="float32", name="mean"),
    ]


def chained(layers, item: ItemInput = PICTURE) -> keras.Model:
    x = given = keras.Input(item.shape, dtype=item.dtype, name="item")
    for layer in layers:
        x = layer(x)
    return keras.Model(given, x, name="encoder")


def images():
    return np.random.default_rng(0).uniform(0, 255, (2, 1, 8, 8, 3)).astype(np.float32)


def test_every_layer_and_operation_is_there_in_the_order_of_computation():
    probe = ActivationProbe(text_model(bidirectional=True))
    assert probe.layers == (
        "encoder/ids",
        "encoder/embedding",
        *("encoder/reshape", "encoder/take"),  # the second direction's steps
        *("encoder/forward", "encoder/backward"),
        *("encoder/reshape_1", "encoder/reshape_2"),
        *("encoder/take_1", "encoder/take_2"),  # their last states
        *("encoder/where", "encoder/where_1"),
        "encoder/lstm",
        "head/left_embedding",
        "head/right_embedding",
        "head/concatenate",
        "head/logit",
        "score",
    )
    shapes = {name: values.shape for name, values in probe(LEFT, RIGHT).items()}
    assert shapes == {
        "encoder/ids/left": (1, 4),
        "encoder/ids/right": (1, 2),
        **of_sides("embedding", "take", left=(1, 4, 3), right=(1, 2, 3)),
        **of_sides("reshape", left=(4, 3), right=(2, 3)),
        **of_sides("forward", "backward", left=(1, 4, 4), right=(1, 2, 4)),
        **of_sides("reshape_1", "reshape_2", left=(4, 4), right=(2, 4)),
        **of_sides(*("take_1", "take_2", "where", "where_1"), left=(1, 4), right=(1, 4)),
        "encoder/lstm/left": (1, 8),
        "encoder/lstm/right": (1, 8),
        "head/left_embedding": (1, 8),
        "head/right_embedding": (1, 8),
        "head/concatenate": (1, 16),
        "head/logit": (1, 1),
        "score": (1, 1),
    }


def of_sides(*names, left, right):
    sides = {"left": left, "right": right}
    return {f"encoder/{name}/{side}": sides[side] for name in names for side in sides}


def test_activations_are_what_the_layers_compute():
    siamese = text_model()
    found = ActivationProbe(siamese)(LEFT, RIGHT)
    table = siamese.encoder.get_layer("embedding").embeddings.numpy()
    np.testing.assert_array_equal(found["encoder/embedding/left"], table[LEFT])
    # The states of LEFT after its three steps, of RIGHT after both.
    u, v = found["encoder/forward/left"][:, 2], found["encoder/forward/right"][:, 1]
    np.testing.assert_array_equal(found["head/left_embedding"], u)
    np.testing.assert_array_equal(found["head/concatenate"], np.concatenate([u, v], axis=1))
    kernel, bias = (w.numpy() for w in siamese.head.get_layer("logit").weights)
    logit = np.concatenate([u, v], axis=1) @ kernel + bias
    np.testing.assert_allclose(found["head/logit"], logit, rtol=1e-6)
    np.testing.assert_allclose(found["score"], 1 / (1 + np.exp(-logit)), rtol=1e-6)


def test_scores_equal_those_of_the_model():
    siamese = text_model(head=CosineConfig(), bidirectional=True)
    padded = np.array([[5, 6, 0, 0]], np.int32)
    expected = siamese.scorer([LEFT, padded]).numpy()
    found = ActivationProbe(siamese)(LEFT, RIGHT)
    np.testing.assert_allclose(found["score"], expected, rtol=1e-6)


def test_a_convolutional_model_shows_every_layer():
    layers = conv_layers()
    left, right = images()
    found = ActivationProbe(around(chained(layers)))(left, right)
    for side, x in (("left", left), ("right", right)):
        np.testing.assert_array_equal(found[f"encoder/item/{side}"], x)
        for layer in layers:
            x = layer(x)
            np.testing.assert_allclose(
                found[f"encoder/{layer.name}/{side}"], x.numpy(), rtol=1e-5, atol=1e-6
            )
    assert statistics_of(found, "encoder/conv").zero_ratio > 0


def test_looking_changes_no_variable_and_draws_no_random_number():
    siamese = text_model(dropout=0.5)
    before = {key: np.array(x.numpy()) for key, x in siamese.variables().items()}
    assert any("seed" in key for key in before)
    probe = ActivationProbe(siamese)
    first, second = probe(LEFT, RIGHT), probe(LEFT, RIGHT)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    after = {key: x.numpy() for key, x in siamese.variables().items()}
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_the_weights_of_the_moment_are_used():
    siamese = text_model()
    probe = ActivationProbe(siamese)
    probe(LEFT, RIGHT)
    logit = siamese.head.get_layer("logit")
    logit.set_weights([np.zeros((8, 1)), np.full(1, 2.0)])
    assert probe(LEFT, RIGHT)["head/logit"].item() == 2.0


@pytest.mark.parametrize("head", [ConcatConfig(), CosineConfig()])
def test_names_do_not_depend_on_what_was_built_before(head):
    first, second = ActivationProbe(text_model(head)), ActivationProbe(text_model(head))
    assert first.layers == second.layers
    assert len(set(first.layers)) == len(first.layers)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_activations_are_float32_whatever_the_layers_compute_in(precision):
    siamese = around(chained(conv_layers(precision)))
    assert siamese.encoder.get_layer("conv").output.dtype in ("float16", "bfloat16")
    found = ActivationProbe(siamese)(*images())
    assert {values.dtype.name for values in found.values()} == {"float32"}


def test_each_output_of_a_layer_with_several_has_a_number():
    item = ItemInput("sequence", "float32", (None, 2))
    steps = keras.Input(item.shape, name="steps")
    lstm = keras.layers.LSTM(3, return_state=True, return_sequences=True, name="lstm")
    _, state, _ = lstm(steps)
    encoder = keras.Model(steps, state, name="encoder")
    probe = ActivationProbe(around(encoder, item))
    found = probe(np.ones((1, 4, 2), np.float32), np.ones((1, 5, 2), np.float32))
    assert probe.layers[:4] == (
        "encoder/steps",
        "encoder/lstm.0",
        "encoder/lstm.1",
        "encoder/lstm.2",
    )
    assert found["encoder/lstm.0/right"].shape == (1, 5, 3)
    np.testing.assert_array_equal(
        found["encoder/lstm.0/left"][:, -1], found["encoder/lstm.1/left"]
    )


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_model_among_the_layers_shows_its_own_layers(kind):
    *layers, mean = conv_layers()
    if kind == "functional":
        inner = chained(layers)
    else:
        inner = keras.Sequential([keras.Input(PICTURE.shape), *layers])
    inner.name = "body"
    encoder = chained([inner, mean])
    probe = ActivationProbe(around(encoder))
    found = probe(*images())
    names = ("body", "body.scale", "body.conv", "body.norm", "body.dropout", "mean")
    assert {f"encoder/{name}" for name in names} <= set(probe.layers)
    np.testing.assert_array_equal(
        found["encoder/body.dropout/left"], found["encoder/body/left"]
    )
    assert found["encoder/body.conv/left"].shape == (1, 6, 6, 4)


def test_statistics_of_a_layer_cover_both_items():
    activations = {
        "encoder/a/left": np.array([[0, 3]], np.float32),
        "encoder/a/right": np.array([[-4, 0]], np.float32),
        "head/b": np.array([[2.0]], np.float32),
    }
    # The values 0, 3, -4, 0 have mean -1/4, mean square 25/4, so variance 25/4 - 1/16 = 99/16.
    assert statistics_of(activations, "encoder/a") == ActivationStatistics(
        mean=-0.25, std=pytest.approx(99**0.5 / 4), zero_ratio=0.5, norm=5.0
    )
    assert statistics_of(activations, "head/b") == ActivationStatistics(2.0, 0.0, 0.0, 2.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_statistics_of_a_diverged_layer_are_nan_without_warnings(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = statistics_of({"head/b": np.array([0, value], np.float32)}, "head/b")
    assert np.isnan(found.std)
    assert not np.isfinite([found.mean, found.norm]).any()
    assert found.zero_ratio == 0.5
