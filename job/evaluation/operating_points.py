"""The decisions that a set of scores allows, as counts of true and false positives.

The equal error rate and the choice of a threshold are functions of these counts::

    points = operating_points(label, score)
    best = points.threshold(3)  # accepts the pairs with the three highest distinct scores

A deployed model compares float32 scores, which are 1.0 for every logit from 17 on. Pairs of
equal score are accepted together, whatever their logits: no threshold separates them. How far
apart two neighbouring scores are is measured on their logits, since scores near 0 and 1 are all
close.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from job.errors import DataError


@dataclass(frozen=True)
class OperatingPoints:
    """Every decision that scores allow, from accepting no pair to accepting all.

    Point k accepts the pairs with the k highest distinct scores.

    Attributes:
        score: float64 (K,), the distinct scores, descending.
        true_positives: int64 (K + 1,), accepted pairs that match; the last entry counts all.
        false_positives: int64 (K + 1,), accepted pairs that do not match.
        lowest: float64 (K,), the lowest logit of each score; the score itself without logits.
        highest: float64 (K,), the highest one.
        has_logits: Whether `score` is the sigmoid of logits.
    """

    score: NDArray[np.float64]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    has_logits: bool = False

    @property
    def gap(self) -> NDArray[np.float64]:
        """float64 (K + 1,), between the lowest accepted and the highest rejected logit.

        0 where no pair is accepted, or all are.
        """
        inner = np.maximum(self.lowest[:-1] - self.highest[1:], 0.0)
        return np.concatenate(([0.0], inner, [0.0]))

    @property
    def position(self) -> NDArray[np.float64]:
        """float64 (K + 1,), the logit of the threshold of each point."""
        middle = self.lowest[:-1] / 2.0 + self.highest[1:] / 2.0
        return np.concatenate(([self.highest[0]], middle, [self.lowest[-1]]))

    def threshold(self, point: int) -> float:
        """A threshold that makes the decision of one point.

        It is the score of the midpoint between the lowest accepted and the highest rejected
        logit, or without logits the midpoint of their scores. It is a float32 value whenever
        the scores are, so that an exported graph decides identically.

        Args:
            point: 0 (accepts no pair) to K (accepts all pairs).
        """
        if point == 0:
            return _next_above(float(self.score[0]))
        accepted = float(self.score[point - 1])
        if point == len(self.score):
            return accepted
        rejected = float(self.score[point])
        middle = float(self.position[point])
        middle = _single(_sigmoid(middle) if self.has_logits else middle)
        # Rounding can reach either neighbour; `accepted` itself always decides correctly.
        return middle if rejected < middle <= accepted else accepted


def operating_points(
    label: ArrayLike, score: ArrayLike, *, logit: ArrayLike | None = None
) -> OperatingPoints:
    """Counts the accepted pairs at every distinct score.

    Args:
        label: (P,) of any numeric type or bool; 1 = match, 0 = non-match.
        score: (P,), large = similar, finite.
        logit: (P,), finite; `score` is their sigmoid. None if the scores are no such.

    Returns:
        The K + 1 points that K distinct scores allow.

    Raises:
        DataError: No pairs, only one class, a label other than 0 and 1, a score that is
            not finite.
        ValueError: The two arrays are not both (P,).
    """
    matches, scores = require_both(label, score)
    distinct, group = np.unique(scores, return_inverse=True)
    matched = np.bincount(group[matches], minlength=len(distinct))
    others = np.bincount(group, minlength=len(distinct)) - matched
    at = scores if logit is None else checked_pairs(label, logit)[1]
    lowest, highest = np.full(len(distinct), np.inf), np.full(len(distinct), -np.inf)
    np.minimum.at(lowest, group, at)
    np.maximum.at(highest, group, at)
    return OperatingPoints(
        lowest=lowest[::-1],
        highest=highest[::-1],
        has_logits=logit is not None,
        score=distinct[::-1],
        true_positives=np.concatenate(([0], np.cumsum(matched[::-1]))),
        false_positives=np.concatenate(([0], np.cumsum(others[::-1]))),
    )


def require_both(
    label: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """As `checked_pairs`, for metrics that compare matches with non-matches.

    Raises:
        DataError: As `checked_pairs`, or the pairs are of one class only.
    """
    matches, scores = checked_pairs(label, score)
    if matches.all() or not matches.any():
        only = "match (label 1)" if matches.all() else "do not match (label 0)"
        raise DataError(
            f"label: all {len(matches)} pairs {only}. Ranking metrics and thresholds compare "
            "matches with non-matches: provide pairs of both kinds."
        )
    return matches, scores


def checked_pairs(
    label: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels as bool and scores as float64; an error names the first invalid pair.

    Raises:
        DataError: No pairs, a label other than 0 and 1, a score that is not finite.
        ValueError: The two arrays are not both (P,).
    """
    labels = np.asarray(label)
    scores = np.asarray(score, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(
            f"label {labels.shape} and score {scores.shape} must both be (P,): one label and "
            "one score a pair."
        )
    if not len(labels):
        raise DataError(
            "score: there are no pairs to measure. Provide at least one pair of each class."
        )
    invalid = np.flatnonzero((labels != 0) & (labels != 1))
    if len(invalid):
        raise DataError(
            f"label: got {labels[invalid[0]]} at pair {invalid[0]}. A label is 1 (match) or 0 "
            "(non-match): correct the pair."
        )
    not_finite = np.flatnonzero(~np.isfinite(scores))
    if len(not_finite):
        raise DataError(
            f"score: {len(not_finite)} of {len(scores)} are not finite, the first "
            f"({scores[not_finite[0]]}) at pair {not_finite[0]}. Scores must be finite: the "
            "model has diverged, lower training.optimizer.learning_rate."
        )
    return labels == 1, scores


def _sigmoid(logit: float) -> float:
    return math.exp(min(logit, 0.0)) / (1.0 + math.exp(-abs(logit)))


def _single(value: float) -> float:
    """The nearest float32; infinite beyond the float32 range."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _next_above(score: float) -> float:
    """The next float32 above a score; beyond the float32 range the next float64."""
    above = _single(score)
    if above <= score:
        with np.errstate(over="ignore"):
            above = float(np.nextafter(np.float32(above), np.float32(np.inf)))
    return above if math.isfinite(above) else math.nextafter(score, math.inf)
