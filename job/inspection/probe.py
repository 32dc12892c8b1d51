"""Asks whether the label can be guessed from one side of the pair alone.

It should not be: a model then learns the side, not the similarity. A naive Bayes classifier
learns from marks of the items on one side of the training pairs, and is judged on pairs it has
not seen; about 0.5 is what honest data give. What a mark is depends on the kind of item, see
`marks`.

Source: the idea of a one-sided ("hypothesis-only") baseline is Poliak et al., "Hypothesis Only
Baselines in Natural Language Inference", *SEM 2018.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import PairTable
from job.inspection.chunking import Parts, some

_MAX_PAIRS = 50_000

# Row numbers int64 (R,) -> (mark int64 (T,), place in the row numbers int64 (T,)).
MarksOf = Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True, eq=False)
class Marks:
    """What the probe sees of items.

    Attributes:
        num_marks: How many different ones there are.
        of: The marks of some items, repeats allowed.
        in_parts: Cuts row numbers, int64 (R,), into parts that `of` can be asked for.
        max_items: Items that may be looked at in reasonable time.
    """

    num_marks: int
    of: MarksOf
    in_parts: Parts
    max_items: int


@dataclass(frozen=True)
class OneSided:
    """How well one side alone tells the label; None where that cannot be asked.

    Attributes:
        left: ROC-AUC on validation of guessing from the left item.
        right: The same from the right item.
        deviation: Standard deviation of either if there is nothing to guess from.
    """

    left: float | None = None
    right: float | None = None
    deviation: float | None = None


def one_sided(marks: Marks, *, train: PairTable, held_out: PairTable) -> OneSided:
    """Guesses held-out labels from the left, and from the right item alone.

    Args:
        marks: Of the items.
        train: Pairs to learn from.
        held_out: Pairs to judge on.

    Returns:
        What came out; nothing where one of the two tables lacks a class.
    """
    limit = min(_MAX_PAIRS, max(marks.max_items // 4, 1))
    train, held_out = (table.take(some(len(table), limit)) for table in (train, held_out))
    if not all(table.num_positive and table.num_negative for table in (train, held_out)):
        return OneSided()
    log_odds = _learned(marks, train)
    items = held_out.items()
    scores = np.empty((2, len(items)))
    done = 0
    for part in marks.in_parts(items):
        mark, owner = marks.of(part)
        count = np.maximum(np.bincount(owner, minlength=len(part)), 1)
        for side in (0, 1):
            total = np.bincount(owner, log_odds[side][mark], len(part))
            scores[side, done : done + len(part)] = total / count
        done += len(part)
    left, right = (
        roc_auc(scores[side][np.searchsorted(items, rows)], held_out.label)
        for side, rows in ((0, held_out.left), (1, held_out.right))
    )
    return OneSided(left, right, null_deviation(held_out))


def roc_auc(score: NDArray[np.float64], label: NDArray[np.uint8]) -> float:
    """Chance that a match scores higher than a non-match, equal scores counting half.

    Args:
        score: float64 (P,).
        label: uint8 (P,), both classes present.
    """
    _, rank_of, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2.0
    positive = label == 1
    num_positive = int(positive.sum())
    num_negative = len(label) - num_positive
    above = rank[rank_of][positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def null_deviation(pairs: PairTable) -> float:
    """Standard deviation of the ROC-AUC of scores that have nothing to do with the label.

    Source: Mann and Whitney 1947, the variance of U, over (positives * negatives)**2.
    """
    product = pairs.num_positive * pairs.num_negative
    return float(np.sqrt((len(pairs) + 1) / (12.0 * product)))


def _learned(marks: Marks, pairs: PairTable) -> NDArray[np.float64]:
    """Log-odds of a match for every mark on either side, float64 (2, num_marks)."""
    items = pairs.items()
    times = np.empty((2, 2, len(items)))
    for side, rows in enumerate((pairs.left, pairs.right)):
        places = np.searchsorted(items, rows)
        for label in (0, 1):
            chosen = places[pairs.label == label]
            times[side, label] = np.bincount(chosen, minlength=len(items))
    counts = np.ones((2, 2, marks.num_marks))  # Laplace
    done = 0
    for part in marks.in_parts(items):
        mark, owner = marks.of(part)
        here = times[:, :, done : done + len(part)]
        for side in (0, 1):
            for label in (0, 1):
                weight = here[side, label][owner]
                counts[side, label] += np.bincount(mark, weight, marks.num_marks)
        done += len(part)
    log_share = np.log(counts / counts.sum(axis=2, keepdims=True))
    log_odds: NDArray[np.float64] = log_share[:, 1] - log_share[:, 0]
    return log_odds
