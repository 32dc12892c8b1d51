"""The pair model: one encoder for both items, and every variable under a lasting name."""

import functools

import keras
import numpy as np
import pytest

from job.config.callbacks import ReduceLearningRateConfig
from job.config.model import ModelConfig
from job.config.training import RmspropConfig, TrainingConfig
from job.models.encoders.build_encoder import build_encoder
from job.models.siamese import AVERAGE, Siamese, build_siamese
from tests.models.encoder_cases import CASES, TEXT, VOCABULARY_SIZE, some_items

SLOW = [pytest.param("xception", marks=pytest.mark.slow)]
NAMES = [*(name for name in CASES if name != "xception"), *SLOW]


def siamese(name="text", *, precision="float32", **encoder_options) -> Siamese:
    section, item = CASES[name]
    model = ModelConfig(encoder=section.model_copy(update=encoder_options), precision=precision)
    return build_siamese(model, training=TrainingConfig(), item=item, seed=3)


@functools.cache
def shared(name):
    """A model that no test changes."""
    return siamese(name)


@pytest.mark.parametrize("name", NAMES)
def test_both_towers_are_literally_the_same_encoder(name):
    built = shared(name)
    towers = [layer for layer in built.scorer.layers if isinstance(layer, keras.Model)]
    assert [layer for layer in towers if layer is not built.head] == [built.encoder]
    assert sum(layer is built.encoder for layer in towers) == 1
    assert len(built.encoder._inbound_nodes) == 2  # one object, called for two inputs
    parts = built.encoder.count_params() + built.head.count_params()
    assert built.scorer.count_params() == parts


def test_score_is_symmetric_to_the_last_bit():
    built = siamese(bidirectional=True)
    rng = np.random.default_rng(1)
    left, right = (rng.integers(1, VOCABULARY_SIZE, (50, 6)).astype(np.int32) for _ in "lr")
    forth = built.scorer([left, right]).numpy()
    back = built.scorer([right, left]).numpy()
    assert np.array_equal(forth, back)
    assert np.ptp(forth) > 0


@pytest.mark.parametrize("name", NAMES)
def test_sides_embed_as_the_encoder_embeds_them(name):
    built = shared(name)
    left, right = (some_items(CASES[name][1], 3, seed=seed) for seed in (1, 2))
    u, v = built.embed_both(np.concatenate([left, right]), training=False)
    np.testing.assert_allclose(u, built.encoder(left), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(v, built.encoder(right), rtol=1e-5, atol=1e-6)
    assert not np.allclose(u, v)


@pytest.mark.parametrize("name", ["text", "sequence", "cnn"])
def test_where_nothing_depends_on_the_batch_one_call_encodes_both_sides(name):
    built = siamese(name, dropout=0.0)
    left, right = (some_items(CASES[name][1], 3, seed=seed) for seed in (1, 2))
    both = np.concatenate([left, right])
    u, v = built.embed_both(both, training=True)
    assert np.array_equal(np.concatenate([u, v]), built.encoder(both, training=True))


@pytest.mark.slow
def test_batch_statistics_are_those_of_a_side_as_in_the_book():
    built = siamese("xception")
    section, item = CASES["xception"]
    # Two towers of Keras' own layers.
    towers = build_encoder(section, item=item, seed=3, exported=True)
    left, right = (some_items(item, 2, seed=seed) for seed in (1, 2))
    found = built.embed_both(np.concatenate([left, right]), training=True)
    expected = [towers(side, training=True) for side in (left, right)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * np.ptp(other))
    for one, other in zip(built.encoder.weights, towers.weights, strict=True):
        assert one.path == other.path
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    together = towers(np.concatenate([left, right]), training=True).numpy()
    assert not np.allclose(together[:2], expected[0], atol=1e-3)


def test_the_paths_of_the_default_model_stay():
    # They are the keys of checkpoints: a change makes every stored run unreadable.
    assert [key for key in siamese().variables() if key.startswith("model|")] == [
        "model|embedding/embeddings",
        "model|forward/lstm_cell/kernel",
        "model|forward/lstm_cell/recurrent_kernel",
        "model|forward/lstm_cell/bias",
        "model|seed_generator_0/seed_generator_state",
        "model|logit/kernel",
        "model|logit/bias",
    ]


@pytest.mark.parametrize(
    ("bidirectional", "expected"),
    [(False, [0.5025583505, 0.5006003975]), (True, [0.5007703304, 0.4999365508])],
)
def test_the_first_scores_of_a_text_model_stay(bidirectional, expected):
    # A stored run resumes only with the numbers it began with. These are of release 0.1.
    left, right = (some_items(TEXT, 2, seed=seed) for seed in (1, 2))
    scores = siamese(bidirectional=bidirectional).scorer([left, right])
    np.testing.assert_allclose(scores[:, 0], expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "precision", ["float32", pytest.param("mixed_float16", marks=pytest.mark.prove)]
)
def test_variable_names_do_not_depend_on_what_was_built_before(name, precision):
    first = shared(name) if precision == "float32" else siamese(name, precision=precision)
    keras.layers.Dropout(0.5)
    second = siamese(name, precision=precision)
    assert list(first.variables()) == list(second.variables())
    assert len(first.variables()) == len(first.scorer.variables) + len(
        first.optimizer.variables
    )


def test_variables_name_weights_optimizer_and_random_state():
    keys = set(siamese(dropout=0.1).variables())
    assert "optimizer|adam/iteration" in keys
    assert "optimizer|adam/learning_rate" in keys
    assert any(key.startswith("model|") and "seed" in key for key in keys)
    assert any(key.startswith("model|") and key.endswith("kernel") for key in keys)


@pytest.mark.parametrize(
    ("name", "options", "generators"),
    [
        # Keras' LSTMs have one each, too, which they do not use.
        ("text", {"dropout": 0.2}, 2),
        ("sequence", {"dropout": 0.2, "layers": 3, "bidirectional": True}, 9),
        ("cnn", {"dropout": 0.2}, 1),
        ("cnn", {"dropout": 0.0}, 0),
    ],
)
def test_each_dropout_layer_has_its_own_random_state(name, options, generators):
    variables = siamese(name, **options).variables()
    states = [value.numpy() for key, value in variables.items() if "seed_generator" in key]
    assert len({state.tobytes() for state in states}) == len(states) == generators


@pytest.mark.slow
def test_moving_statistics_are_among_the_variables():
    keys = shared("xception").variables()
    for statistic in ("moving_mean", "moving_variance"):
        assert sum(key.endswith(f"/{statistic}") for key in keys) == 40


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_knows_which_encoder_has_batch_statistics(name):
    kind = keras.layers.BatchNormalization
    has_any = any(isinstance(layer, kind) for layer in shared(name).encoder.layers)
    assert has_any == CASES[name][0].has_batch_statistics


def test_averages_of_weights_are_among_the_variables_and_evaluation_uses_them():
    built = build_siamese(
        ModelConfig(encoder=CASES["text"][0]),
        training=TrainingConfig(ema_momentum=0.9),
        item=TEXT,
        seed=3,
    )
    variables = built.variables()
    averages = {key for key in variables if key.startswith(AVERAGE)}
    trained = built.scorer.trainable_variables
    assert averages == {f"{AVERAGE}{weight.path}" for weight in trained}
    assert not averages & set(built.weights())
    variables[f"{AVERAGE}logit/bias"].assign([7.0])
    with built.as_evaluated():
        assert variables["model|logit/bias"].numpy() == [7.0]
    assert variables["model|logit/bias"].numpy() == [0.0]
    with siamese().as_evaluated():
        pass
    assert not any(key.startswith(AVERAGE) for key in siamese().variables())


def test_the_loss_scale_and_its_counter_are_among_the_variables():
    keys = [key for key in siamese(precision="mixed_float16").variables() if "optim" in key]
    assert "optimizer|loss_scale/dynamic_scale" in keys
    assert "optimizer|loss_scale/step_counter" in keys
    plain = [key for key in siamese().variables() if "optim" in key]
    assert [key for key in keys if "loss_scale" not in key] == plain


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_callbacks_find_and_cut_the_learning_rate_in_any_precision(precision):
    section = ReduceLearningRateConfig()
    training = TrainingConfig(optimizer=RmspropConfig(learning_rate=0.5))
    built = build_siamese(
        ModelConfig(encoder=CASES["text"][0], precision=precision),
        training=training,
        item=TEXT,
        seed=3,
    )
    plateau = keras.callbacks.ReduceLROnPlateau(
        section.monitor, mode="min", patience=1, factor=section.factor
    )
    plateau.set_model(built.scorer)
    plateau.on_train_begin()
    for epoch in range(3):
        plateau.on_epoch_end(epoch, {section.monitor: 1.0})
    assert built.scorer.optimizer is built.optimizer
    assert float(built.scorer.optimizer.learning_rate.value.numpy()) == pytest.approx(0.005)
    rate = built.variables()["optimizer|rmsprop/learning_rate"]
    assert float(rate.value.numpy()) == pytest.approx(0.005)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_saved_pair_model_opens_again_whatever_its_precision(precision, tmp_path):
    built = siamese("sequence", precision=precision)
    sides = [some_items(CASES["sequence"][1], 3, seed=seed) for seed in (1, 2)]
    built.scorer.save(tmp_path / "pair.keras")
    loaded = keras.models.load_model(tmp_path / "pair.keras")
    assert np.array_equal(loaded(sides), built.scorer(sides))


def test_describe_is_one_line_with_sizes():
    line = siamese(bidirectional=True).describe()
    assert "\n" not in line
    assert "8-d embedding" in line
