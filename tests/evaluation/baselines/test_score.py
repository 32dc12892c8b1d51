import numpy as np
import pytest

from job.data.dataset import ItemTable, PairTable
from job.errors import PreemptedError
from job.evaluation.baselines import score
from job.evaluation.baselines.score import baseline_scores
from job.evaluation.baselines.text import edit_similarity, ngram_cosine
from job.evaluation.baselines.vector import resampled_steps
from job.evaluation.metrics import roc_auc
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import CharacterVocabulary

COUNT = 12
LEFT, RIGHT = np.random.default_rng(0).integers(0, COUNT, (2, 50))
PAIRS = PairTable(LEFT, RIGHT, (LEFT % 3 == RIGHT % 3).astype(np.uint8))
MOMENTS = FeatureStats((0.5, 0.5), (2.0, 2.0))


def texts():
    rows = ["abc", "abd", "", "xyz" * 9, "\u00e9\u4e2d"] + [f"text {i}" for i in range(7)]
    return rows, ItemTable("text", RaggedArray.from_bytes([text.encode() for text in rows]))


def sequences():
    random = np.random.default_rng(1)
    lengths = random.integers(1, 90, COUNT)
    values = random.normal(size=(lengths.sum(), 2)).astype(np.float32)
    return ItemTable("sequence", RaggedArray(values, offsets_of(lengths)))


def pictures(form="decoded"):
    pixels = np.random.default_rng(2).integers(0, 256, (COUNT, 20, 20, 3), np.uint8)
    values = RaggedArray(pixels.reshape(-1, 20, 3), np.arange(COUNT + 1) * 20)
    if form == "encoded":
        values = RaggedArray.from_bytes([b"file"] * COUNT)
    return pixels, ItemTable(form, values)


def not_called(rows):
    raise AssertionError("only pictures have pixels")


def scores_of(kind, pairs=PAIRS, *, check_stop=lambda: None):
    statistics, pixels = None, not_called
    if kind == "text":
        statistics, items = CharacterVocabulary("ab"), texts()[1]
    elif kind == "sequence":
        statistics, items = MOMENTS, sequences()
    else:
        pictures_, items = pictures()
        pixels = pictures_.__getitem__
    return baseline_scores(
        items, pairs=pairs, statistics=statistics, pixels=pixels, check_stop=check_stop
    )


KINDS = ["text", "sequence", "image"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("text", {"ngram_cosine", "edit_similarity"}),
        ("sequence", {"resampled_cosine", "mean_similarity", "deviation_similarity"}),
        ("image", {"centred_pixel_cosine"}),
    ],
)
def test_every_kind_of_item_has_its_baselines(kind, names):
    scores = scores_of(kind)
    assert set(scores) == names
    for found in scores.values():
        assert found.dtype == np.float64
        assert found.shape == (50,)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", KINDS)
def test_baselines_are_symmetric(kind):
    scores, mirrored = (
        scores_of(kind, pairs) for pairs in (PAIRS, PairTable(RIGHT, LEFT, PAIRS.label))
    )
    for name, found in scores.items():
        assert np.array_equal(found, mirrored[name])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [1, 2000, 4000])
def test_baselines_do_not_depend_on_how_many_pairs_are_compared_at_a_time(
    kind, budget, monkeypatch
):
    whole = scores_of(kind)
    monkeypatch.setattr(score, "_CELLS", budget)
    monkeypatch.setattr(score, "_TEXT_PAIRS", max(1, budget // 250))
    for name, found in scores_of(kind).items():
        assert np.array_equal(found, whole[name])


@pytest.mark.parametrize("kind", ["text", "sequence"])
def test_no_pairs_have_no_scores(kind):
    nothing = PAIRS.where(np.zeros(50, np.bool_))
    for found in scores_of(kind, nothing).values():
        assert found.shape == (0,)


@pytest.mark.parametrize(
    ("budget", "at_most", "calls"),
    # 12 vectors of 64 numbers fit into 768; else 2 vectors for each pair, 300 // 128 pairs.
    [(768, 12, 1), (767, 10, 10), (300, 4, 25), (1, 2, 50)],
)
def test_no_more_vectors_are_made_at_a_time_than_the_budget_allows(
    budget, at_most, calls, monkeypatch
):
    asked = []

    def counted(values, rows, *, moments):
        asked.append(len(rows))
        return resampled_steps(values, rows, moments=moments)

    monkeypatch.setattr(score, "_CELLS", budget)
    monkeypatch.setattr(score, "resampled_steps", counted)
    scores_of("sequence")
    assert len(asked) == calls
    assert max(asked) <= at_most


def test_texts_are_scored_by_their_characters():
    rows, _ = texts()
    left, right = [rows[row] for row in LEFT], [rows[row] for row in RIGHT]
    scores = scores_of("text")
    assert np.array_equal(scores["ngram_cosine"], ngram_cosine(left, right))
    assert np.array_equal(scores["edit_similarity"], edit_similarity(left, right))


def test_files_of_pictures_are_not_looked_at_here():
    pixels, items = pictures("encoded")
    scores = baseline_scores(items, pairs=PAIRS, statistics=None, pixels=pixels.__getitem__)
    assert np.array_equal(*(s["centred_pixel_cosine"] for s in (scores, scores_of("image"))))


def test_what_all_pictures_share_makes_no_two_alike():
    # One motif in half of the pictures, another in the rest, on a bright background.
    random = np.random.default_rng(3)
    motif = random.integers(0, 60, (2, 16, 16, 3))
    pixels = 170 + motif[np.arange(40) % 2] + random.integers(-20, 20, (40, 16, 16, 3))
    left, right = random.integers(0, 40, (2, 300))
    pairs = PairTable(left, right, (left % 2 == right % 2).astype(np.uint8))
    items = ItemTable(
        "decoded", RaggedArray(np.zeros((640, 16, 3), np.uint8), np.arange(41) * 16)
    )
    scores = baseline_scores(
        items, pairs=pairs, statistics=None, pixels=pixels.astype(np.uint8).__getitem__
    )["centred_pixel_cosine"]
    assert scores[pairs.label == 1].min() > 0.3
    assert scores[pairs.label == 0].max() < -0.3


def test_sequences_of_one_shape_or_one_spread_are_alike():
    random = np.random.default_rng(4)
    time = np.linspace(0, 6, 200)[:, None] + np.zeros(2)
    kinds = [np.sin(time), 3 * np.cos(5 * time)]
    rows = [kinds[i % 2][:: 1 + i % 3] + random.normal(0, 0.1, (1, 2)) for i in range(20)]
    lengths = np.array([len(row) for row in rows])
    values = RaggedArray(np.concatenate(rows).astype(np.float32), offsets_of(lengths))
    left, right = random.integers(0, 20, (2, 200))
    pairs = PairTable(left, right, (left % 2 == right % 2).astype(np.uint8))
    scores = baseline_scores(
        ItemTable("sequence", values), pairs=pairs, statistics=MOMENTS, pixels=not_called
    )
    for name in ("resampled_cosine", "deviation_similarity"):
        assert roc_auc(pairs.label, scores[name]) == 1.0
    assert (scores["mean_similarity"] <= 0).all()


@pytest.mark.parametrize("kind", ["text", "sequence", "image"])
def test_a_stop_ends_the_work(kind):
    def stop():
        raise PreemptedError("now")

    with pytest.raises(PreemptedError):
        scores_of(kind, check_stop=stop)


def test_sequences_without_moments_are_refused():
    with pytest.raises(ValueError, match="sequences need the moments of the training items"):
        baseline_scores(sequences(), pairs=PAIRS, statistics=None, pixels=not_called)
