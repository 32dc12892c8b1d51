import keras
import numpy as np
import pytest

from job.config.model import LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.models.encoders import build_encoder
from job.models.seeds import derive_seed
from job.models.siamese import build_siamese
from job.types import ItemInput

VOCABULARY_SIZE = 9
ITEM = ItemInput("text", "int32", (None,), vocabulary_size=VOCABULARY_SIZE)


def encoder(**options):
    section = LstmConfig(units=4, embedding_size=3, **options)
    return build_encoder(section, item=ITEM, seed=3)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("padding", [1, 5, 24])
def test_padding_never_changes_an_embedding(bidirectional, padding):
    model = encoder(bidirectional=bidirectional)
    ids = np.random.default_rng(0).integers(1, VOCABULARY_SIZE, (6, 7)).astype(np.int32)
    padded = np.pad(ids, ((0, 0), (0, padding)))
    assert np.array_equal(model(ids).numpy(), model(padded).numpy())


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_item_embeds_alike_alone_and_among_longer_ones(bidirectional):
    model = encoder(bidirectional=bidirectional)
    item = np.array([[2, 3, 4]], np.int32)
    batch = np.array([[2, 3, 4, 0, 0, 0], [5, 6, 7, 8, 2, 3]], np.int32)
    np.testing.assert_allclose(model(item)[0], model(batch)[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("bidirectional", "size"), [(False, 4), (True, 8)])
def test_embedding_size_follows_units_and_directions(bidirectional, size):
    assert encoder(bidirectional=bidirectional).output_shape == (None, size)


def test_both_directions_start_from_different_weights():
    weights = {w.path: w.numpy() for w in encoder(bidirectional=True).weights}
    forward = next(v for k, v in weights.items() if "forward" in k and k.endswith("/kernel"))
    backward = next(v for k, v in weights.items() if "backward" in k and k.endswith("/kernel"))
    assert not np.array_equal(forward, backward)


def test_initial_weights_depend_on_the_seed_alone_not_on_earlier_models():
    first = [w.numpy() for w in encoder(bidirectional=True).weights]
    keras.layers.Dense(3).build((None, 2))
    second = [w.numpy() for w in encoder(bidirectional=True).weights]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_derived_seeds_differ_by_name_and_by_run():
    seeds = {derive_seed(s, name=n) for s in (0, 1) for n in ("encoder/a", "encoder/b")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def siamese(**encoder_options):
    model = ModelConfig(encoder=LstmConfig(units=4, embedding_size=3, **encoder_options))
    return build_siamese(model, training=TrainingConfig(), item=ITEM, seed=3)


def test_both_towers_are_literally_the_same_encoder():
    built = siamese()
    towers = [layer for layer in built.scorer.layers if isinstance(layer, keras.Model)]
    assert towers.count(built.encoder) == 1
    assert sum(layer is built.encoder for layer in towers) == 1
    assert len(built.encoder._inbound_nodes) == 2  # one object, called for two inputs


def test_score_is_symmetric_to_the_last_bit():
    built = siamese(bidirectional=True)
    rng = np.random.default_rng(1)
    left, right = (rng.integers(1, VOCABULARY_SIZE, (50, 6)).astype(np.int32) for _ in "lr")
    forth = built.scorer([left, right]).numpy()
    back = built.scorer([right, left]).numpy()
    assert np.array_equal(forth, back)
    assert np.ptp(forth) > 0


def test_variables_name_weights_optimizer_and_random_state():
    keys = set(siamese(dropout=0.1).variables())
    assert "optimizer|adam/iteration" in keys
    assert "optimizer|adam/learning_rate" in keys
    assert any(key.startswith("model|") and "seed" in key for key in keys)
    assert any(key.startswith("model|") and key.endswith("kernel") for key in keys)


def test_variable_names_do_not_depend_on_what_was_built_before():
    assert set(siamese().variables()) == set(siamese().variables())


def test_describe_is_one_line_with_sizes():
    line = siamese(bidirectional=True).describe()
    assert "\n" not in line
    assert "8-d embedding" in line


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
