"""Which operating points meet a target with the wanted confidence.

A threshold whose precision on validation is just 0.99 has a lower one on new pairs about half
of the time: it was chosen where chance was kind. A point meets a target here only if an upper
bound of its error rate does, one that lies above the true rate in `confidence` of all draws of
identities (Clopper-Pearson for the effective number of pairs). Points are K + 1 decisions from
accepting no pair to accepting all::

    limits = ErrorLimits.of(points, target=target, pairs=pairs, ...)
    limits.meets(points.true_positives, points.false_positives)  # bool (K + 1,)

False accepts and misses are monotone in the threshold, so one bound at a time is enough (Bates
et al. 2021, theorem 1). Precision nearly is; a simulation in the tests holds its claim, too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.config.targets import Target
from job.evaluation.identities import Identities
from job.evaluation.intervals import MIN_IDENTITIES
from job.evaluation.operating_points import OperatingPoints

Values = NDArray[np.float64]

# Points at which the dependence of errors is measured; between them it is interpolated.
_NUM_MEASURED = 32
# Fewer errors than this do not show their dependence: it is that of the point which has as
# many.
_MIN_ERRORS = 100
_NUM_BISECTIONS = 40
# Points at which the bound is inverted; between them the result is interpolated.
_NUM_INVERTED = 400


def false_accept_limit(target: Target, *, match_share: float, recall: float = 1.0) -> float:
    """The largest share of accepted non-matches with which a target is met.

    Args:
        target: `precision` or `false_accepts`.
        match_share: The share of pairs that match.
        recall: The share of accepted matches.
    """
    if target.name == "false_accepts":
        return target.value
    odds = match_share / (1.0 - match_share)
    return odds * recall * (1.0 - target.value) / target.value


@dataclass(frozen=True, eq=False)
class ErrorLimits:
    """The rate of errors at each point up to which a target is met.

    Attributes:
        target: The target.
        share: float64 (K + 1,), the largest share of errors among the pairs counted: accepted
            non-matches, or missed matches; below 0 where not even none would do. For a
            precision it is that for the recall of the points, and grows with the recall.
        recall: float64 (K + 1,), the recall of the points.
        num_matches: Of all pairs.
    """

    target: Target
    share: Values
    recall: Values
    num_matches: int

    @classmethod
    def of(
        cls,
        points: OperatingPoints,
        *,
        target: Target,
        pairs: "ScoredPairs",
        match_share: float | None,
        confidence: float,
    ) -> "ErrorLimits":
        """Finds the limits.

        Args:
            points: The decisions.
            target: What is wanted.
            pairs: The pairs that the points are of.
            match_share: Share of matches that precision is for; None for that of the pairs.
            confidence: That the target holds for new pairs.
        """
        matches, others = int(points.true_positives[-1]), int(points.false_positives[-1])
        recall = points.true_positives / matches
        if target.name == "recall":
            wanted, count = np.full(len(recall), 1.0 - target.value), matches
        else:
            share = matches / (matches + others) if match_share is None else match_share
            wanted = np.array(
                [
                    false_accept_limit(target, match_share=share, recall=found)
                    for found in (recall if target.name == "precision" else np.ones(1))
                ]
            )
            wanted, count = np.broadcast_to(wanted, recall.shape), others
        effective = count / _design_effects(points, pairs, target=target, confidence=confidence)
        limit = largest_share(wanted, effective, confidence=confidence)
        return cls(target, limit, recall, matches)

    def meets(self, true_positives: Values, false_positives: Values) -> NDArray[np.bool_]:
        """Which points meet the target with confidence, bool (..., K + 1).

        Args:
            true_positives: (..., K + 1), accepted matches, weighted or not; the last entry
                counts all.
            false_positives: (..., K + 1), accepted non-matches.
        """
        recall = true_positives / true_positives[..., -1:]
        if self.target.name == "recall":
            met: NDArray[np.bool_] = 1.0 - recall <= self.share
            return met
        limit = self.share
        if self.target.name == "precision":
            limit = limit * recall / np.maximum(self.recall, 1.0 / self.num_matches)
        met = false_positives / false_positives[..., -1:] <= limit
        # Accepting nothing has no precision.
        return met & (recall > 0.0) if self.target.name == "precision" else met


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """P pairs: label, score and identities.

    Attributes:
        is_match: bool (P,).
        score: float64 (P,).
        identities: The identities.
    """

    is_match: NDArray[np.bool_]
    score: Values
    identities: Identities


def _design_effects(
    points: OperatingPoints, pairs: ScoredPairs, *, target: Target, confidence: float
) -> Values:
    """How many pairs tell as much as one independent pair, float64 (K + 1,), >= 1."""
    from scipy.stats import norm, t

    counted = pairs.is_match if target.name == "recall" else ~pairs.is_match
    count = pairs.identities.effective_count(counted)
    lost = 1 if target.name == "recall" else 4
    if count < MIN_IDENTITIES:  # no number of pairs of so few identities proves anything
        return np.full(len(points.true_positives), 1e9)
    # As in `intervals`: deviations are too small, and their variance is an estimate.
    level = max(confidence, 0.6)
    factor = count / (count - lost) * float(t.ppf(level, count - 1) / norm.ppf(level)) ** 2
    variance = variance_of_mean(pairs.identities)
    errors = points.false_positives
    if target.name == "recall":
        errors = points.true_positives[-1] - points.true_positives
    measured = np.unique(np.linspace(1, len(points.score), _NUM_MEASURED).round().astype(int))
    enough = measured[errors[measured] >= _MIN_ERRORS]
    if not len(enough):
        enough = measured[[int(np.argmax(errors[measured]))]]
    effect = [
        _design_effect(pairs, float(points.score[point - 1]), variance, target=target)
        for point in enough
    ]
    every = np.arange(len(points.true_positives))
    return np.maximum(np.interp(every, enough, effect) * factor, 1.0)


def _design_effect(
    pairs: ScoredPairs,
    threshold: float,
    variance: Callable[[Values], float],
    *,
    target: Target,
) -> float:
    """The variance of the error rate at a threshold over that of independent pairs."""
    accepted = pairs.score >= threshold
    missed = (pairs.is_match & ~accepted).astype(np.float64)
    false = (~pairs.is_match & accepted).astype(np.float64)
    counted, error = (
        (pairs.is_match, missed) if target.name == "recall" else (~pairs.is_match, false)
    )
    count, rate = float(counted.sum()), float(error.sum() / counted.sum())
    independent = rate * (1.0 - rate) / count
    if independent <= 0.0:
        return 1.0
    influence = (error - rate * counted) / count
    if target.name == "precision":
        # The precision depends on the ratio of the rates of accepted non-matches and matches.
        recall = float(accepted[pairs.is_match].mean())
        right = (accepted & pairs.is_match).astype(np.float64)
        matches = float(pairs.is_match.sum())
        if recall > 0.0:
            influence -= rate / recall * (right - recall * pairs.is_match) / matches
    return variance(influence) / independent


def variance_of_mean(identities: Identities) -> Callable[[Values], float]:
    """The variance of a mean of P pairs over draws of identities.

    An error rate over P independent pairs is as certain as a share of P coin tosses. Pairs that
    share an identity err together. Each two pairs that share an identity, or two, count with
    the product of their influences once.

    Returns:
        From the influence, float64 (P,), by how much each pair moves the mean, of the sum 0.

    Source: Aronow, Samii, Assenova 2015, eq. 4. At least a third of the variance of a
        bootstrap over identities is left, as in `intervals`.
    """
    left, right, count = identities.left, identities.right, identities.count
    is_between = left != right
    dyad = np.unique(identities.dyads()[is_between], return_inverse=True)[1]

    def variance(influence: Values) -> float:
        between = influence * is_between
        of_each = np.bincount(left, influence, count) + np.bincount(right, between, count)
        twice = np.bincount(dyad, influence[is_between])
        shared, doubled = float(np.square(of_each).sum()), float(np.square(twice).sum())
        return max(shared - doubled, (shared + doubled) / 3)

    return variance


def largest_share(wanted: Values, pairs: Values, *, confidence: float) -> Values:
    """The share of errors whose upper bound is just the wanted rate; -1 if there is none.

    Args:
        wanted: float64 (N,), the rate.
        pairs: float64 (N,), effective number of pairs.
        confidence: Of the bound.

    Source: Clopper, Pearson 1934.
    """
    rate = np.clip(wanted, 0.0, 1.0)
    every = np.arange(len(rate))
    steps = np.geomspace(1, len(rate), _NUM_INVERTED), np.linspace(1, len(rate), _NUM_INVERTED)
    some = np.unique(np.concatenate(steps).astype(np.int64)) - 1
    # Relative to the rate the share changes little from point to point.
    inverted = _inverted(rate[some], pairs[some], confidence=confidence)
    relative = np.interp(every, some, inverted / np.maximum(rate[some], 1e-300))
    with np.errstate(divide="ignore"):
        supported = pairs * np.log1p(-rate) <= np.log1p(-confidence)
    share: Values = np.where(rate >= 1.0, 1.0, np.where(supported, relative * rate, -1.0))
    return share


def _inverted(rate: Values, pairs: Values, *, confidence: float) -> Values:
    """By bisection, the share of errors whose upper bound is the rate, or 0."""
    from scipy.special import betainc

    low, high = np.zeros_like(rate), pairs * rate
    for _ in range(_NUM_BISECTIONS):
        middle = (low + high) / 2
        # The bound of `middle` errors is at most the rate.
        proved = betainc(middle + 1.0, np.maximum(pairs - middle, 1e-9), rate) >= confidence
        low, high = np.where(proved, middle, low), np.where(proved, high, middle)
    return low / pairs
