"""Untrained baselines against slow references of a few lines each, and on planted likeness."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.data.dataset import ItemTable, PairTable
from job.errors import PreemptedError
from job.evaluation import baselines
from job.evaluation.baselines import baseline_scores, pixel_vectors, resample, sequence_vectors
from job.evaluation.metrics import roc_auc
from job.preprocessing.decode_image import fit_pixels
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import CharacterVocabulary

COUNT = 12
LEFT, RIGHT = np.random.default_rng(0).integers(0, COUNT, (2, 50))
PAIRS = PairTable(LEFT, RIGHT, (LEFT % 3 == RIGHT % 3).astype(np.uint8))
STATS = FeatureStats((0.5, 0.5), (2.0, 2.0))
PIXELS = np.random.default_rng(2).integers(0, 256, (COUNT, 20, 20, 3), np.uint8)


def text_items(rows) -> ItemTable:
    return ItemTable("text", RaggedArray.from_bytes([text.encode() for text in rows]))


def sequence_items(rows) -> ItemTable:
    lengths = np.array([len(row) for row in rows])
    return ItemTable(
        "sequence", RaggedArray(np.concatenate(rows).astype(np.float32), offsets_of(lengths))
    )


def image_items(pixels) -> ItemTable:
    count, size = pixels.shape[:2]
    rows = np.arange(count + 1) * size
    return ItemTable("decoded", RaggedArray(pixels.reshape(-1, size, 3), rows))


def random_sequences() -> ItemTable:
    random = np.random.default_rng(1)
    return sequence_items([random.normal(size=(random.integers(1, 90), 2)) for _ in range(12)])


def pixels_of(pixels):
    return lambda rows: pixels[rows].astype(np.float32)


def scores_of(kind, pairs=PAIRS, **options):
    if kind == "text":
        rows = [
            "abc",
            "abd",
            "   ",
            "xyz" * 9,
            "\u00e9\u4e2d",
            *(f"text {i}" for i in range(7)),
        ]
        items, statistics = text_items(rows), CharacterVocabulary("ab")
    elif kind == "sequence":
        items, statistics = random_sequences(), STATS
    else:
        items, statistics = image_items(PIXELS), None
    return baseline_scores(
        items, pairs=pairs, statistics=statistics, pixels=pixels_of(PIXELS), **options
    )


NAMES = {
    "text": {"ngram_cosine", "edit_similarity"},
    "sequence": {"resampled_cosine", "deviation_similarity"},
    "image": {"centred_pixel_cosine"},
}
KINDS = pytest.mark.parametrize("kind", NAMES)


@KINDS
def test_every_kind_of_item_has_its_symmetric_baselines(kind):
    scores = scores_of(kind)
    mirrored = scores_of(kind, PairTable(RIGHT, LEFT, PAIRS.label))
    assert set(scores) == NAMES[kind]
    for name, found in scores.items():
        assert (found.dtype, found.shape) == (np.float64, (50,))
        assert np.isfinite(found).all()
        assert np.array_equal(found, mirrored[name])


@pytest.mark.parametrize("kind", ["text", "sequence"])
@pytest.mark.parametrize("budget", [1, 300])
def test_scores_do_not_depend_on_how_many_pairs_are_compared_at_a_time(
    kind, budget, monkeypatch
):
    whole = scores_of(kind)
    monkeypatch.setattr(baselines, "_MAX_VECTOR_VALUES", budget)
    monkeypatch.setattr(baselines, "_MAX_PAIR_VALUES", budget)
    monkeypatch.setattr(baselines, "_ITEMS_AT_A_TIME", 3)
    for name, found in scores_of(kind).items():
        assert np.array_equal(found, whole[name])


def test_no_more_vectors_are_made_at_a_time_than_the_budget_allows(monkeypatch):
    asked = []

    def counted(pixels, rows):
        asked.append(len(rows))
        return pixel_vectors(pixels, rows)

    monkeypatch.setattr(baselines, "pixel_vectors", counted)
    scores_of("image")
    assert asked == [COUNT]
    asked.clear()
    monkeypatch.setattr(baselines, "_MAX_VECTOR_VALUES", 10 * 768)
    scores_of("image")
    assert len(asked) == 10
    assert max(asked) <= 10


@KINDS
def test_no_pairs_have_no_scores(kind):
    for found in scores_of(kind, PAIRS.where(np.zeros(50, np.bool_))).values():
        assert found.shape == (0,)


@KINDS
def test_a_stop_ends_the_work(kind):
    def stop():
        raise PreemptedError("now")

    with pytest.raises(PreemptedError):
        scores_of(kind, check_stop=stop)


def test_sequences_without_feature_stats_are_refused():
    with pytest.raises(ValueError, match="sequences need the FeatureStats of the training"):
        baseline_scores(
            random_sequences(), pairs=PAIRS, statistics=None, pixels=pixels_of(PIXELS)
        )


def scores_of_texts(left: str, right: str):
    items = text_items([left, right])
    pair = PairTable(np.array([0]), np.array([1]), np.array([1], np.uint8))
    scores = baseline_scores(
        items, pairs=pair, statistics=CharacterVocabulary("a"), pixels=pixels_of(PIXELS)
    )
    return scores["ngram_cosine"][0], scores["edit_similarity"][0]


def slow_cosine(left, right):
    def bag(text):
        grams = Counter()
        for word in text.split():
            padded = f" {word} "
            for size in (1, 2, 3):
                grams.update(padded[i : i + size] for i in range(len(padded) - size + 1))
        return grams

    a, b = bag(left), bag(right)
    squares = sum(c * c for c in a.values()) * sum(c * c for c in b.values())
    return sum(count * b[gram] for gram, count in a.items()) / math.sqrt(squares or 1)


def slow_edit_similarity(left, right):
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        following = [i]
        for j, b in enumerate(right, start=1):
            following.append(min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (a != b)))
        row = following
    return 1 - row[-1] / max(len(left), len(right), 1)


TEXT = st.text(st.sampled_from("aab \u00e9\u4e2d\U0001f600\x00"), max_size=9)


@settings(max_examples=40)
@given(TEXT, TEXT)
def test_texts_are_compared_by_n_grams_of_words_and_by_edits(left, right):
    cosine, edit = scores_of_texts(left, right)
    assert cosine == pytest.approx(slow_cosine(left, right), abs=1e-12)
    assert edit == pytest.approx(slow_edit_similarity(left, right), abs=1e-12)


def test_only_the_beginning_of_a_long_text_is_compared():
    same = "ab" * 256
    assert scores_of_texts(same + "x" * 10_000, same + "yz") == pytest.approx((1.0, 1.0))
    assert scores_of_texts("a" * 512, "a" * 511 + "b")[1] == 1 - 1 / 512


@pytest.mark.parametrize("length", [1, 2, 5, 31, 32, 33, 64, 100])
def test_a_resampled_sequence_holds_means_over_equal_times(length):
    steps = np.random.default_rng(length).normal(size=(length, 2))
    repeated = np.repeat(steps, 32, axis=0).reshape(32, length, 2)
    np.testing.assert_allclose(resample(steps, num_steps=32), repeated.mean(axis=1), atol=1e-12)


def test_vectors_of_sequences_are_made_from_standardised_steps():
    values = sequence_items([[[3, -200], [5, -100]], [[1, -250]]]).values
    stats = FeatureStats((1.0, -200.0), (2.0, 50.0))
    found = sequence_vectors(
        values, np.array([1, 0]), stats=stats, to_vector=lambda steps: steps.mean(axis=0)
    )
    # (3 - 1) / 2 = 1 and (5 - 1) / 2 = 2; 0 and 2.
    assert found.tolist() == [[0, -1], [1.5, 1]]
    assert found.dtype == np.float32


@pytest.mark.parametrize("large", [1e20, 9.97e36, -3e38])
def test_a_large_number_spoils_no_score(large):
    steps = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    steps[4, 0] = large
    items = sequence_items([steps[:3], steps[3:6], steps[6:]])
    pairs = PairTable(np.array([0, 1, 1]), np.array([2, 2, 1]), np.array([0, 1, 1], np.uint8))
    stats = FeatureStats((0.0, 0.0), (1e-3, 1.0))
    with np.errstate(all="raise"):
        scores = baseline_scores(items, pairs=pairs, statistics=stats, pixels=pixels_of(PIXELS))
    assert all(np.isfinite(found).all() for found in scores.values())


def test_an_image_is_compared_by_its_pixels_made_small():
    rows = np.array([8, 1, 1, 4, 0])
    expected = [fit_pixels(PIXELS[row], size=16, resize="stretch").ravel() for row in rows]
    assert np.array_equal(pixel_vectors(pixels_of(PIXELS), rows), expected)


def test_what_all_images_share_makes_no_two_alike():
    # One motif in half of the images, another in the rest, on a bright background.
    random = np.random.default_rng(3)
    motif = random.integers(0, 60, (2, 16, 16, 3))
    pixels = 170 + motif[np.arange(40) % 2] + random.integers(-20, 20, (40, 16, 16, 3))
    left, right = random.integers(0, 40, (2, 300))
    pairs = PairTable(left, right, (left % 2 == right % 2).astype(np.uint8))
    scores = baseline_scores(
        image_items(pixels.astype(np.uint8)),
        pairs=pairs,
        statistics=None,
        pixels=pixels_of(pixels),
    )["centred_pixel_cosine"]
    assert scores[pairs.label == 1].min() > 0.3
    assert scores[pairs.label == 0].max() < -0.3


def test_sequences_of_one_shape_or_one_spread_are_alike():
    random = np.random.default_rng(4)
    time = np.linspace(0, 6, 200)[:, None] + np.zeros(2)
    kinds = [np.sin(time), 3 * np.cos(5 * time)]
    rows = [kinds[i % 2][:: 1 + i % 3] + random.normal(0, 0.1, (1, 2)) for i in range(20)]
    left, right = random.integers(0, 20, (2, 200))
    pairs = PairTable(left, right, (left % 2 == right % 2).astype(np.uint8))
    scores = baseline_scores(
        sequence_items(rows), pairs=pairs, statistics=STATS, pixels=pixels_of(PIXELS)
    )
    for found in scores.values():
        assert roc_auc(pairs.label, found) == 1.0
