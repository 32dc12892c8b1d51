import numpy as np
import pytest
import tensorflow as tf

from job.export.serving import serving_module
from tests.export import tiny_models as tiny

TEXTS = (["a", "don't a", "\u4e2d a,"], ["b", "", "don't\u3000x"])


def scored(siamese, statistics, golden, *, threshold=0.5):
    module = serving_module(siamese, statistics=statistics, threshold=threshold)
    arguments = {name: tf.constant(value) for name, value in golden.arguments().items()}
    return {name: value.numpy() for name, value in module.score(**arguments).items()}


@pytest.mark.parametrize("vocabulary", [tiny.LETTERS, tiny.WORDS], ids=lambda v: v.kind)
def test_texts_score_as_their_token_ids_do(vocabulary):
    siamese = tiny.text_model(vocabulary)
    golden = tiny.golden_texts(siamese, vocabulary, *TEXTS)
    assert np.ptp(golden.score) > 1e-4
    score = scored(siamese, vocabulary, golden)["score"]
    np.testing.assert_allclose(score, golden.score, rtol=0, atol=1e-6)


def test_sequences_score_as_those_padded_with_nan_do():
    siamese = tiny.sequence_model()
    golden = tiny.golden_sequences(siamese, [5, 1, 3], [2, 6, 6])
    assert np.ptp(golden.score) > 1e-3
    score = scored(siamese, tiny.MOMENTS, golden)["score"]
    np.testing.assert_allclose(score, golden.score, rtol=0, atol=1e-6)


def test_images_score_as_their_numbers_do():
    siamese = tiny.image_model()
    golden = tiny.golden_images(siamese, 3)
    assert np.ptp(golden.score) > 1e-4
    score = scored(siamese, None, golden)["score"]
    np.testing.assert_allclose(score, golden.score, rtol=0, atol=1e-6)


def test_a_pair_matches_from_the_threshold_on():
    siamese = tiny.image_model()
    golden = tiny.golden_images(siamese, 5)
    score = scored(siamese, None, golden)["score"]
    threshold = float(np.sort(score)[2])
    answer = scored(siamese, None, golden, threshold=threshold)
    assert answer["match"].tolist() == (score >= np.float32(threshold)).tolist()
    assert answer["match"].sum() == 3


def test_embeddings_are_the_encoders():
    siamese = tiny.text_model(tiny.WORDS)
    module = serving_module(siamese, statistics=tiny.WORDS, threshold=0.5)
    embedding = module.embed(item=tf.constant(["a don't", "?"]))["embedding"]
    expected = siamese.encoder(np.array([[3, 2], [1, 0]], np.int32))
    np.testing.assert_allclose(embedding, expected, rtol=0, atol=1e-6)

    module = serving_module(tiny.image_model(), statistics=None, threshold=0.5)
    assert module.embed(item=tf.zeros((2, 8, 8, 3), tf.uint8))["embedding"].shape == (2, 3)


def sequences(fill):
    values = np.full((2, 4, 2), fill, np.float32)
    values[0, :4] = values[1, :2] = 0.5
    return tf.constant(values)


def test_steps_behind_the_end_are_not_read():
    module = serving_module(tiny.sequence_model(), statistics=tiny.MOMENTS, threshold=0.5)
    length = tf.constant([4, 2], tf.int64)
    expected = module.embed(item=sequences(0.0), item_length=length)["embedding"].numpy()
    assert np.isfinite(expected).all()
    for fill in (7.0, np.inf, np.nan):
        embedding = module.embed(item=sequences(fill), item_length=length)["embedding"]
        assert np.array_equal(embedding, expected)


@pytest.mark.parametrize("length", [[4, 0], [5, 2], [4, -1]])
def test_impossible_lengths_are_rejected(length):
    module = serving_module(tiny.sequence_model(), statistics=tiny.MOMENTS, threshold=0.5)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        module.embed(item=sequences(0.0), item_length=tf.constant(length, tf.int64))
    assert "item_length must be from 1 to the number of steps of item" in str(caught.value)


@pytest.mark.parametrize("fill", [np.nan, np.inf])
def test_non_finite_steps_are_rejected(fill):
    module = serving_module(tiny.sequence_model(), statistics=tiny.MOMENTS, threshold=0.5)
    sound, length = sequences(0.0), tf.constant([4, 3], tf.int64)
    module.score(left=sound, left_length=length, right=sound, right_length=length)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        module.score(left=sound, left_length=length, right=sequences(fill), right_length=length)
    assert "right must be finite up to right_length" in str(caught.value)


def test_texts_need_a_vocabulary():
    with pytest.raises(KeyError, match="text"):
        serving_module(tiny.text_model(tiny.WORDS), statistics=None, threshold=0.5)
