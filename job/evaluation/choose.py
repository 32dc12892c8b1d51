"""Chooses the threshold of a model, and says how far other pairs would move it. P pairs.

    choice = choose_for_goal(
        label, logit, score=score, identities=identities, goal=goal, terms=Terms(), seed=0
    )
    choice.threshold, choice.interval, choice.is_met

Which pairs a threshold can separate is decided by their float32 scores, since a deployed model
compares these. Where between two scores it lies is decided by the logits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.config.targets import Goal, Target
from job.evaluation.calibration import sigmoid
from job.evaluation.guarantees import ErrorLimits, ScoredPairs
from job.evaluation.identities import Identities
from job.evaluation.operating_points import OperatingPoints, operating_points
from job.evaluation.resampling import Draw, by_dyad, by_identity, kept_share, replicates
from job.evaluation.thresholds import (
    Choose,
    Decision,
    Terms,
    chooser,
    decide,
    marginless_chooser,
    target_chooser,
)

Values = NDArray[np.float64]

NUM_REPLICATES = 400
# Weights drawn for the interval, at most; more pairs get fewer replicates.
_MAX_WEIGHTS = 20_000_000
_MIN_REPLICATES = 40


@dataclass(frozen=True)
class Choice:
    """A threshold and where it comes from.

    Attributes:
        threshold: A pair matches when its score is at least this.
        interval: 95 % interval over draws of identities; both ends are scores.
        is_met: Whether a target is met with the wanted confidence; true without a target.
        chosen_for: What the threshold was chosen for.
    """

    threshold: float
    interval: tuple[float, float]
    is_met: bool
    chosen_for: str


def choose_for_goal(
    label: NDArray[np.generic],
    logit: NDArray[np.generic],
    *,
    score: NDArray[np.generic],
    identities: Identities,
    goal: Goal,
    terms: Terms,
    seed: int,
    num_replicates: int = NUM_REPLICATES,
) -> Choice:
    """Chooses a threshold for a goal.

    Args:
        label: (P,), 1 = match, 0 = non-match.
        logit: (P,), finite.
        score: float32 (P,), their sigmoid, by which a deployed model decides.
        identities: Those of the pairs.
        goal: What the threshold is for.
        terms: Confidence and share of matches.
        seed: Of the random draws of the interval.
        num_replicates: Draws, at most.

    Raises:
        DataError: No pairs, only one class, a logit that is not finite.
    """
    points = operating_points(label, score, logit=logit)
    limits = None
    if isinstance(goal, Target):
        pairs = ScoredPairs(np.asarray(label) == 1, np.asarray(score, float), identities)
        limits = ErrorLimits.of(
            points,
            target=goal,
            pairs=pairs,
            match_share=terms.match_share,
            confidence=terms.confidence,
        )
    decision = decide(points, goal, match_share=terms.match_share, limits=limits)
    threshold = points.threshold(decision.point)
    rule = _rule(points, goal, decision, limits=limits, terms=terms)
    low, high = _interval(
        points,
        rule,
        np.asarray(label) == 1,
        np.asarray(score, np.float64),
        identities=identities,
        point=decision.point,
        seed=seed,
        num_replicates=num_replicates,
    )
    interval = min(low, threshold), max(high, threshold)
    return Choice(threshold, interval, decision.is_met, decision.chosen_for)


def _rule(
    points: OperatingPoints,
    goal: Goal,
    decision: Decision,
    *,
    limits: ErrorLimits | None,
    terms: Terms,
) -> Choose:
    if isinstance(goal, Target):
        if limits is None:
            raise ValueError("a target needs its limits")
        if not decision.is_met:
            return marginless_chooser(goal, terms.match_share)
        return target_chooser(limits, decision.point)
    return chooser(points, goal, terms.match_share)


def _interval(
    points: OperatingPoints,
    rule: Choose,
    is_match: NDArray[np.bool_],
    score: Values,
    *,
    identities: Identities,
    point: int,
    seed: int,
    num_replicates: int,
) -> tuple[float, float]:
    """Where the threshold of 95 % of the draws of identities lies; see `kept_share`."""
    group = len(points.score) - 1 - np.searchsorted(points.score[::-1], score)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(points.score)))
    match = is_match[order].astype(np.float32)
    part = identities.take(order)
    count = min(num_replicates, max(_MIN_REPLICATES, _MAX_WEIGHTS // len(order)))

    def drawn(draw: Draw, seed: int) -> Values:
        found = []
        for weights in replicates(draw, count=count, num_pairs=len(order), seed=seed):
            right = _at_points(weights * match, starts)
            false = _at_points(weights, starts) - right
            usable = (right[:, -1] > 0) & (false[:, -1] > 0)
            found.append(points.position[rule(right[usable], false[usable])])
        return np.concatenate(found)

    at = float(points.position[point])
    moved, surplus = drawn(by_identity(part), seed), drawn(by_dyad(part), seed + 1)
    if not len(moved) or not len(surplus):
        return points.threshold(point), points.threshold(point)
    shrink = np.sqrt(kept_share(np.var(moved), np.var(surplus)))
    ends = at + shrink * (np.quantile(moved, [0.025, 0.975]) - at)
    low, high = sigmoid(ends) if points.has_logits else ends
    return float(np.float32(low)), float(np.float32(high))


def _at_points(weights: NDArray[np.float32], starts: NDArray[np.int64]) -> Values:
    """Sums of weights (B, P), sorted by score, over the pairs accepted at each point."""
    of_each = np.add.reduceat(weights, starts, axis=1, dtype=np.float64)
    return np.concatenate([np.zeros((len(weights), 1)), np.cumsum(of_each, axis=1)], axis=1)
