"""Untrained baselines: similarities that a trained model has to beat. M items, P pairs.

A model that does not beat the best of them is not worth serving::

    for name, scores in baseline_scores(
        items, pairs=pairs, statistics=statistics, pixels=collator.batch
    ).items():
        roc_auc(pairs.label, scores)

All are symmetric. ROC-AUC on the test pairs of the examples:

    text      ngram_cosine          typos: 0.82
              edit_similarity       typos: 0.88
    image     centred_pixel_cosine  emoji: 0.85 (0.75 without centring)
    sequence  resampled_cosine      watch exercises: 0.70, spoken digits: 0.78
              deviation_similarity  watch exercises: 0.91, spoken digits: 0.66

The vectors of items are public because `data inspect` classifies them, too. scikit-learn and
rapidfuzz are imported by the functions that use them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable, PairTable, Statistics
from job.preprocessing.decode_image import fit_pixels
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray

Scores: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]
# One row an item: float32 (M, D), or a sparse matrix for texts.
Vectors: TypeAlias = Any
# Returns images by row number, int64 (R,), as (R, S, S, 3) from 0 to 255.
Pixels: TypeAlias = Callable[[Rows], NDArray[np.generic]]

# Images are compared at this size and sequences at this many steps.
IMAGE_SIZE = 16
NUM_STEPS = 32
# Only the beginning of a text is compared: the time of an edit distance grows with the product
# of both lengths.
MAX_CHARACTERS = 512

# Largest magnitude in a vector: the sum of millions of its squares is finite in float32.
_MAX_VALUE = 1e15
# Items turned into vectors, and texts compared, between two calls of `check_stop`.
_ITEMS_AT_A_TIME = 1 << 10
# Images are requested a few at a time: their pixels are large, their vectors are not.
_IMAGES_AT_A_TIME = 16
# Buckets of n-grams; few of the n-grams of a pair of texts share one.
_NUM_HASHES = 1 << 17
# Values of the vectors in memory at a time, 4 bytes each, and of the pairs being compared.
_MAX_VECTOR_VALUES = 1 << 25
_MAX_PAIR_VALUES = 1 << 22


@dataclass(frozen=True)
class _Baseline:
    """A similarity of vectors.

    Attributes:
        vectors: Batches of row numbers, int64 -> the vectors of these items.
        width: Values per vector.
        compare: Vectors of P left and P right items -> float64 (P,).
        is_centred: Whether the mean vector is subtracted first.
    """

    vectors: Callable[[Iterable[Rows]], Vectors]
    width: int
    compare: Callable[[Vectors, Vectors], Scores]
    is_centred: bool = False


def baseline_scores(
    items: ItemTable,
    *,
    pairs: PairTable,
    statistics: Statistics,
    pixels: Pixels,
    check_stop: Callable[[], None] = lambda: None,
) -> Mapping[str, Scores]:
    """Scores pairs with every baseline for this kind of item.

    Memory stays below some hundred MB, however many pairs there are.

    Args:
        items: The items.
        pairs: P pairs of them.
        statistics: Statistics of the training items; for sequences `FeatureStats`.
        pixels: Returns images; not called for other items.
        check_stop: Called every few seconds; raises to stop the work, for example on SIGTERM.

    Returns:
        float64 (P,) by name, large for similar items.

    Raises:
        ValueError: The items are sequences and `statistics` are of another kind.
    """
    baselines = {
        name: _score(pairs, baseline, check_stop=check_stop)
        for name, baseline in _vector_baselines(items, statistics, pixels).items()
    }
    if items.kind == "text":
        baselines["edit_similarity"] = _edit_similarity(items, pairs, check_stop=check_stop)
    return baselines


def ngram_vectors(texts: Iterable[str]) -> Vectors:
    """Hashed counts of the character 1-, 2- and 3-grams of each word, as sparse unit vectors.

    A text of white space only has no n-grams: its vector is zero.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(1, 3),
        lowercase=False,
        alternate_sign=False,
        n_features=_NUM_HASHES,
    )
    return hashing.transform(text[:MAX_CHARACTERS] for text in texts)


def pixel_vectors(pixels: Pixels, rows: Rows) -> Vectors:
    """Images resized to 16 x 16, float32 (M, 768) from 0 to 255."""
    vectors = [
        fit_pixels(image.astype(np.uint8), size=IMAGE_SIZE, resize="stretch").reshape(-1)
        for part in slices(len(rows), _IMAGES_AT_A_TIME)
        for image in pixels(rows[part])
    ]
    return np.array(vectors, np.float32).reshape(-1, 3 * IMAGE_SIZE**2)


def sequence_vectors(
    sequences: RaggedArray,
    rows: Rows,
    *,
    stats: FeatureStats,
    to_vector: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Vectors:
    """A vector of each sequence, float32 (M, D), clipped to magnitudes that can be squared.

    Args:
        sequences: float32 (V, F) values.
        rows: int64 (M,), the sequences.
        stats: Standardises the features.
        to_vector: Standardised steps, float64 (T, F) -> D values of any shape.
    """
    mean, std = np.asarray(stats.mean), np.asarray(stats.std)
    vectors = [to_vector((sequences.row(row) - mean) / std).ravel() for row in rows.tolist()]
    return np.clip(vectors, -_MAX_VALUE, _MAX_VALUE).astype(np.float32)


def resample(steps: NDArray[np.float64], *, num_steps: int) -> NDArray[np.float64]:
    """Means over equal shares of the time, (T, F) -> (num_steps, F)."""
    # The integral up to each edge: the whole steps before it, and a part of the step it cuts.
    whole, part = np.divmod(np.linspace(0.0, 1.0, num_steps + 1) * len(steps), 1.0)
    before = whole.astype(np.int64)
    summed = np.concatenate([np.zeros_like(steps[:1]), np.cumsum(steps, axis=0)])
    integral = summed[before] + part[:, None] * steps[np.minimum(before, len(steps) - 1)]
    means: NDArray[np.float64] = np.diff(integral, axis=0) * (num_steps / len(steps))
    return means


def slices(count: int, at_a_time: int) -> Iterator[slice]:
    """Cuts `count` elements into slices of `at_a_time`, the last one shorter."""
    return (slice(start, min(start + at_a_time, count)) for start in range(0, count, at_a_time))


def _vector_baselines(
    items: ItemTable, statistics: Statistics, pixels: Pixels
) -> Mapping[str, _Baseline]:
    if items.kind == "text":
        # An n-gram of each size starts at each character.
        width = 3 * min(MAX_CHARACTERS, 1 + len(items.values.values) // max(len(items), 1))

        def of_texts(batches: Iterable[Rows]) -> Vectors:
            return ngram_vectors(chain.from_iterable(map(items.texts, batches)))

        return {"ngram_cosine": _Baseline(of_texts, width, _sparse_cosine)}

    def stacked(make: Callable[[Rows], Vectors], batches: Iterable[Rows]) -> Vectors:
        return np.concatenate([make(rows) for rows in batches])

    if items.kind == "image":
        make = partial(stacked, partial(pixel_vectors, pixels))
        return {
            "centred_pixel_cosine": _Baseline(make, 3 * IMAGE_SIZE**2, _cosine, is_centred=True)
        }
    if not isinstance(statistics, FeatureStats):
        raise ValueError(
            f"sequences need the FeatureStats of the training items, got {statistics!r}"
        )
    features = len(statistics.mean)
    of = partial(sequence_vectors, items.values, stats=statistics)
    resampled = partial(stacked, partial(of, to_vector=partial(resample, num_steps=NUM_STEPS)))
    deviations = partial(stacked, partial(of, to_vector=partial(np.std, axis=0)))
    return {
        "resampled_cosine": _Baseline(resampled, features * NUM_STEPS, _cosine),
        "deviation_similarity": _Baseline(deviations, features, _nearness),
    }


def _score(pairs: PairTable, baseline: _Baseline, *, check_stop: Callable[[], None]) -> Scores:
    """Compares as many pairs at a time as the memory budget allows."""
    fits = len(pairs.items()) * baseline.width <= _MAX_VECTOR_VALUES
    at_a_time = len(pairs) if fits else _MAX_VECTOR_VALUES // (2 * baseline.width)
    scores = np.empty(len(pairs))
    for part in slices(len(pairs), max(1, at_a_time)):
        sides = np.stack([pairs.left[part], pairs.right[part]])
        # Each item's vector is made once, however many of these pairs hold it.
        rows, place = np.unique(sides, return_inverse=True)
        left, right = place.reshape(sides.shape)
        vectors = baseline.vectors(_batches(rows, check_stop=check_stop))
        if baseline.is_centred:
            vectors -= vectors.mean(axis=0)
        for few in slices(len(left), max(1, _MAX_PAIR_VALUES // baseline.width)):
            compared = baseline.compare(vectors[left[few]], vectors[right[few]])
            scores[part][few] = compared
    return scores


def _batches(rows: Rows, *, check_stop: Callable[[], None]) -> Iterator[Rows]:
    for part in slices(len(rows), _ITEMS_AT_A_TIME):
        check_stop()
        yield rows[part]


def _edit_similarity(
    items: ItemTable, pairs: PairTable, *, check_stop: Callable[[], None]
) -> Scores:
    """One minus the Levenshtein distance divided by the longer length."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cpdist

    scores = np.empty(len(pairs))
    for part in slices(len(pairs), _ITEMS_AT_A_TIME):
        check_stop()
        left, right = (
            [text[:MAX_CHARACTERS] for text in items.texts(rows[part])]
            for rows in (pairs.left, pairs.right)
        )
        scorer = Levenshtein.normalized_similarity
        scores[part] = cpdist(left, right, scorer=scorer, dtype=np.float64)
    return scores


def _sparse_cosine(left: Vectors, right: Vectors) -> Scores:
    return np.asarray(left.multiply(right).sum(axis=1), np.float64).ravel()


def _cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> Scores:
    """Cosine of dense vectors; 0 where one is zero."""
    length = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    product = (left * right).sum(axis=1, dtype=np.float64)
    scores: Scores = np.divide(product, length, out=np.zeros_like(product), where=length > 0.0)
    return scores


def _nearness(left: NDArray[np.float32], right: NDArray[np.float32]) -> Scores:
    """Minus the Euclidean distance of dense vectors."""
    squared: Scores = np.square(left - right).sum(axis=1, dtype=np.float64)
    return -np.sqrt(squared)
