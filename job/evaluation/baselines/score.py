"""Scores that need no learning, to see what a trained model adds. P pairs.

A model that does not beat the best of them is not worth serving::

    for name, scores in baseline_scores(
        items, pairs=pairs, statistics=statistics, pixels=feed.batch
    ).items():
        roc_auc(pairs.label, scores)

All are symmetric. They are the strongest simple ones that were found on the examples' data,
ROC-AUC on pairs of test items:

    text      ngram_cosine          typos: 0.82, verses in two languages: 0.50
              edit_similarity       typos: 0.88, verses in two languages: 0.51
    image     centred_pixel_cosine  emoji: 0.85 (and 0.75 where the mean is not taken off)
    sequence  resampled_cosine      watch exercises: 0.70, spoken digits: 0.78
              mean_similarity       watch exercises: 0.78, spoken digits: 0.63
              deviation_similarity  watch exercises: 0.91, spoken digits: 0.66
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable, PairTable, Statistics
from job.evaluation.baselines.text import edit_similarity, ngram_cosine
from job.evaluation.baselines.vector import (
    NUM_STEPS,
    PICTURE_SIZE,
    Pixels,
    Vectors,
    cosine,
    mean_pixels,
    nearness,
    pixel_vectors,
    resampled_steps,
    slices,
    step_deviations,
    step_means,
)
from job.preprocessing.feature_stats import FeatureStats

Scores = NDArray[np.float64]

TEXT_BASELINES: Mapping[str, Callable[[Sequence[str], Sequence[str]], Scores]] = (
    MappingProxyType({"ngram_cosine": ngram_cosine, "edit_similarity": edit_similarity})
)

# Pairs whose texts are in memory at a time.
_TEXT_PAIRS = 1 << 12
# Sequences that are made vectors of at a time.
_SEQUENCES = 1 << 10
# Numbers of the vectors that are in memory at a time, 4 bytes each.
_CELLS = 1 << 25


def baseline_scores(
    items: ItemTable,
    *,
    pairs: PairTable,
    statistics: Statistics,
    pixels: Pixels,
    check_stop: Callable[[], None] = lambda: None,
) -> Mapping[str, Scores]:
    """What every baseline for these items says about some pairs.

    Memory stays below some hundred MB, however many pairs there are.

    Args:
        items: The items.
        pairs: P pairs of them.
        statistics: What was counted over the training items; for sequences their moments.
        pixels: Gives pictures by row number, int64 (R,), as (R, S, S, 3) whole numbers from 0
            to 255; is not called for other items.
        check_stop: Called every few seconds; raises to stop the work, for example on SIGTERM.

    Returns:
        float64 (P,) by name, large for similar items.

    Raises:
        ValueError: `statistics` are not those of sequences, and the items are.
    """
    if items.kind == "text":
        return _text_scores(items, pairs, check_stop=check_stop)
    if items.kind == "image":
        return _picture_scores(pairs, pixels, check_stop=check_stop)
    if not isinstance(statistics, FeatureStats):
        raise ValueError(
            f"sequences need the moments of the training items, got {statistics!r}"
        )
    return _sequence_scores(items, pairs, moments=statistics, check_stop=check_stop)


def _text_scores(
    items: ItemTable, pairs: PairTable, *, check_stop: Callable[[], None]
) -> Mapping[str, Scores]:
    scores = {name: np.empty(len(pairs)) for name in TEXT_BASELINES}
    for some in slices(len(pairs), _TEXT_PAIRS):
        check_stop()
        left, right = items.texts(pairs.left[some]), items.texts(pairs.right[some])
        for name, baseline in TEXT_BASELINES.items():
            scores[name][some] = baseline(left, right)
    return scores


def _picture_scores(
    pairs: PairTable, pixels: Pixels, *, check_stop: Callable[[], None]
) -> Mapping[str, Scores]:
    def polled(rows: NDArray[np.int64]) -> NDArray[np.generic]:
        check_stop()
        return pixels(rows)

    mean = mean_pixels(polled, pairs.items())

    def centred(rows: NDArray[np.int64]) -> Vectors:
        return pixel_vectors(polled, rows) - mean

    width = 3 * PICTURE_SIZE**2
    return {"centred_pixel_cosine": _scores(pairs, centred, width=width, compare=cosine)}


def _sequence_scores(
    items: ItemTable, pairs: PairTable, *, moments: FeatureStats, check_stop: Callable[[], None]
) -> Mapping[str, Scores]:
    features = len(moments.mean)
    vectors = (
        ("resampled_cosine", resampled_steps, features * NUM_STEPS, cosine),
        ("mean_similarity", step_means, features, nearness),
        ("deviation_similarity", step_deviations, features, nearness),
    )
    scores: dict[str, Scores] = {}
    for name, make, width, compare in vectors:
        of_items = partial(make, items.values, moments=moments)
        polled = partial(_some_at_a_time, of_items, width=width, check_stop=check_stop)
        scores[name] = _scores(pairs, polled, width=width, compare=compare)
    return scores


def _some_at_a_time(
    vectors: Callable[[NDArray[np.int64]], Vectors],
    rows: NDArray[np.int64],
    *,
    width: int,
    check_stop: Callable[[], None],
) -> Vectors:
    """The vectors of items, float32 (M, width), with a look whether to go on in between."""
    made = np.empty((len(rows), width), np.float32)
    for some in slices(len(rows), _SEQUENCES):
        check_stop()
        made[some] = vectors(rows[some])
    return made


def _scores(
    pairs: PairTable,
    vectors: Callable[[NDArray[np.int64]], Vectors],
    *,
    width: int,
    compare: Callable[[Vectors, NDArray[np.int64], NDArray[np.int64]], Scores],
) -> Scores:
    """Compares the vectors of pairs; of as many pairs at a time as the budget allows.

    Args:
        pairs: P pairs.
        vectors: Gives the vectors, float32 (M, width), of items by row number, int64 (M,).
        width: How many numbers a vector has.
        compare: The score of pairs of rows of such vectors.
    """
    fits = len(pairs.items()) * width <= _CELLS
    at_a_time = len(pairs) if fits else _CELLS // (2 * width)
    scores = np.empty(len(pairs))
    for some in slices(len(pairs), max(1, at_a_time)):
        left, right = pairs.left[some], pairs.right[some]
        # Each item's vector is made once, however many of these pairs hold it.
        rows = np.unique(np.concatenate([left, right]))
        scores[some] = compare(
            vectors(rows), np.searchsorted(rows, left), np.searchsorted(rows, right)
        )
    return scores
