"""How well scores tell matching pairs from others.

Pure NumPy on two arrays; where the scores come from is the caller's business. Equal scores
are one decision, so no result depends on the order of the pairs, and counts stay integers
until the last division::

    roc_auc(label, score)
    accuracy(label, score, threshold=0.5)

The decision everywhere is `score >= threshold`, taken in float64.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from job.evaluation.operating_points import checked_pairs, operating_points


@dataclass(frozen=True)
class EqualError:
    """Where as many matches are refused as others are accepted.

    Attributes:
        rate: The equal error rate, in [0, 1]; 0 is perfect, 0.5 is chance.
        threshold: The decision threshold that comes closest to it.
    """

    rate: float
    threshold: float


@dataclass(frozen=True)
class Confusion:
    """Counts of right and wrong decisions at one threshold."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def accuracy(self) -> float:
        """Share of right decisions, in [0, 1]."""
        right = self.true_positives + self.true_negatives
        return right / (right + self.false_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]; 0 when nothing was found."""
        found = 2 * self.true_positives
        wrong = self.false_positives + self.false_negatives
        return found / (found + wrong) if found else 0.0

    @property
    def mcc(self) -> float:
        """Matthews correlation of decision and label, in [-1, 1]; 0 when either is constant.

        Source: Matthews 1975; the value for a constant decision is the usual convention.
        """
        tp, fp = self.true_positives, self.false_positives
        fn, tn = self.false_negatives, self.true_negatives
        # Python integers: the product of four large counts does not fit in 64 bits.
        product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return (tp * tn - fp * fn) / math.sqrt(product) if product else 0.0


def roc_auc(label: ArrayLike, score: ArrayLike) -> float:
    """Chance that a match scores above a pair that does not match; ties count one half.

    Args:
        label: (P,), 1 = match, 0 = no match.
        score: (P,), large = similar.

    Returns:
        The area under the ROC curve, in [0, 1], exact up to one division.

    Raises:
        DataError: As `operating_points`.

    Source: Hanley and McNeil 1982 (the Mann-Whitney statistic).
    """
    points = operating_points(label, score)
    hits, alarms = points.true_positives, points.false_positives
    # Twice the area under the curve of counts: trapezoids, so that ties weigh one half.
    twice_area = int(np.sum(np.diff(alarms) * (hits[1:] + hits[:-1])))
    return twice_area / (2 * int(hits[-1]) * int(alarms[-1]))


def average_precision(label: ArrayLike, score: ArrayLike) -> float:
    """Precision, averaged over the matches from the highest score down.

    Equal scores are accepted together, so all of them have the precision after the last.

    Args:
        label: (P,), 1 = match, 0 = no match.
        score: (P,), large = similar.

    Returns:
        The sum over distinct scores of precision times the gain in recall, in (0, 1].

    Raises:
        DataError: As `operating_points`.
    """
    points = operating_points(label, score)
    hits, alarms = points.true_positives[1:], points.false_positives[1:]
    gain = np.diff(points.true_positives)
    return math.fsum(gain * hits / (hits + alarms)) / int(hits[-1])


def equal_error_rate(label: ArrayLike, score: ArrayLike) -> EqualError:
    """The error rate where false accepts and false rejects are equally frequent.

    From one distinct score to the next, false rejects fall or false accepts rise, so their
    difference falls strictly and passes zero once. Between two points the rate is read off
    the straight line that joins them (the ROC curve's segment, crossed with the line of
    equal errors). A threshold cannot lie between two points, so it is that of the point with
    the smaller difference; of two equally near the one with fewer false accepts.

    Args:
        label: (P,), 1 = match, 0 = no match.
        score: (P,), large = similar.

    Returns:
        The interpolated rate and a threshold near it.

    Raises:
        DataError: As `operating_points`.
    """
    points = operating_points(label, score)
    num_positives, num_negatives = (
        int(points.true_positives[-1]),
        int(points.false_positives[-1]),
    )
    rejects = (num_positives - points.true_positives) * num_negatives
    accepts = points.false_positives * num_positives
    # Integers in units of 1 / (positives * negatives): a rate of exactly zero is found.
    difference = rejects - accepts
    after = int(np.argmax(difference <= 0))
    before = after - 1
    fall = int(difference[before] - difference[after])
    step = int(difference[before]) / fall
    per_pair = num_positives * num_negatives
    rate = (accepts[before] + step * (accepts[after] - accepts[before])) / per_pair
    nearest = before if difference[before] <= -difference[after] else after
    return EqualError(rate=float(rate), threshold=points.threshold(nearest))


def confusion(label: ArrayLike, score: ArrayLike, *, threshold: float) -> Confusion:
    """Counts decisions at a threshold; pairs of one class only are allowed here.

    Args:
        label: (P,), 1 = match, 0 = no match.
        score: (P,), large = similar.
        threshold: A pair is taken for a match when its score is at least this.

    Returns:
        The four counts; they sum to P.

    Raises:
        DataError: No pairs, a label other than 0 and 1, a score that is not finite.
        ValueError: The two arrays are not both (P,), or the threshold is NaN.
    """
    if math.isnan(threshold):
        raise ValueError("threshold: got nan. Give a number; infinity accepts no pair.")
    matches, scores = checked_pairs(label, score)
    accepted = scores >= threshold
    return Confusion(
        true_positives=int(np.sum(accepted & matches)),
        false_positives=int(np.sum(accepted & ~matches)),
        false_negatives=int(np.sum(~accepted & matches)),
        true_negatives=int(np.sum(~accepted & ~matches)),
    )


def accuracy(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Share of right decisions at a threshold, in [0, 1]; see `confusion`."""
    return confusion(label, score, threshold=threshold).accuracy


def f1(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """F1 of the decisions at a threshold, in [0, 1]; see `confusion`."""
    return confusion(label, score, threshold=threshold).f1


def mcc(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Matthews correlation of the decisions at a threshold, in [-1, 1]; see `confusion`."""
    return confusion(label, score, threshold=threshold).mcc
