"""Which score separates matches from non-matches.

The threshold is chosen on validation and only applied to test::

    points = operating_points(label, score)
    decision = decide(points, parse_goal("accuracy"), match_share=None)
    points.threshold(decision.point)  # a match is `score >= threshold`
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from job.config.targets import Cost, Criterion, Goal, Target
from job.evaluation.guarantees import ErrorLimits
from job.evaluation.operating_points import OperatingPoints

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """What a threshold is chosen under.

    Attributes:
        confidence: How surely new pairs must meet a target.
        match_share: Share of matches in use; None for that of the pairs.
    """

    confidence: float = 0.95
    match_share: float | None = None


@dataclass(frozen=True)
class Decision:
    """One of the points that scores allow.

    Attributes:
        point: Its number, see `OperatingPoints`.
        is_met: Whether it meets the target with the wanted confidence; true without a target.
        chosen_for: What it was chosen for.
    """

    point: int
    is_met: bool
    chosen_for: str


# From accepted matches and non-matches at each point, float64 (B, K + 1), to the points (B,).
Choose = Callable[[Values, Values], NDArray[np.int64]]


def decide(
    points: OperatingPoints,
    goal: Goal,
    *,
    match_share: float | None,
    limits: ErrorLimits | None = None,
) -> Decision:
    """Chooses a point for a goal.

    A target is met by the point that accepts the most matches, or for a recall the fewest
    non-matches, of those that meet it with confidence. If none does, a point is chosen as if
    validation were all pairs there are; if none is good enough there either, the best one.

    Ties go to the decision with the widest gap between the lowest accepted and the highest
    rejected score, since it is the least likely to flip on new pairs; accepting no pair or all
    has no gap. Remaining ties go to the highest threshold.

    Args:
        points: The decisions.
        goal: What the threshold is for.
        match_share: Share of matches in use; None for that of the pairs.
        limits: Where a target is met; needed for a target.
    """
    right, false = _counts(points)
    if not isinstance(goal, Target):
        return Decision(
            int(chooser(points, goal, match_share)(right, false)[0]), True, str(goal)
        )
    if limits is None:
        raise ValueError("a target needs its limits")
    met = limits.meets(right, false)
    if met.any():
        return Decision(int(_extreme(met, goal)[0]), True, str(goal))
    return _without_margin(right, false, goal, match_share=match_share)


def chooser(
    points: OperatingPoints, goal: Criterion | Cost, match_share: float | None
) -> Choose:
    """The rule that chooses a point by weighted counts."""
    objective: Callable[[Values, Values], Values]
    if isinstance(goal, Cost):
        costs = goal

        def objective(right: Values, false: Values) -> Values:
            missed = right[:, -1:] - right
            return -(costs.false_accept * false + costs.false_reject * missed)

    elif goal.name == "eer":
        return _equal_errors
    else:
        objective = _OBJECTIVES[goal.name]
    gap = points.gap

    def choose(right: Values, false: Values) -> NDArray[np.int64]:
        value = objective(*_for_share(right, false, match_share))
        best = value.max(axis=1, keepdims=True)
        # Sums of weights are not exact; a rounding error must not decide a tie.
        ties = value >= best - 1e-9 * np.maximum(np.abs(best), 1e-300)
        # argmax returns the first maximum; points run from the highest threshold down.
        chosen: NDArray[np.int64] = np.argmax(np.where(ties, gap, -1.0), axis=1)
        return chosen

    return choose


def target_chooser(limits: ErrorLimits, fallback: int) -> Choose:
    """The rule that chooses a point by a target; `fallback` where none meets it."""

    def choose(right: Values, false: Values) -> NDArray[np.int64]:
        met = limits.meets(right, false)
        return np.where(met.any(axis=1), _extreme(met, limits.target), fallback)

    return choose


def _counts(points: OperatingPoints) -> tuple[Values, Values]:
    return (
        points.true_positives[None].astype(np.float64),
        points.false_positives[None].astype(np.float64),
    )


def _for_share(
    right: Values, false: Values, match_share: float | None
) -> tuple[Values, Values]:
    """Counts as if `match_share` of the pairs were matches; as they are if it is None."""
    if match_share is None:
        return right, false
    return (
        right * (match_share / right[:, -1:]),
        false * ((1.0 - match_share) / false[:, -1:]),
    )


def _extreme(met: NDArray[np.bool_], target: Target) -> NDArray[np.int64]:
    """Of the points that meet a target, (B, K + 1), the one that accepts most or fewest pairs.

    A rate that is monotone in the threshold is met by all points on one side. A point beyond
    the first that does not is passed over: it meets the target by chance.
    """
    last = met.shape[1] - 1
    point: NDArray[np.int64]
    if target.name == "precision":
        point = last - np.argmax(met[:, ::-1], axis=1)
        return point
    failed = ~(met[:, ::-1] if target.name == "recall" else met)
    met_in_a_row = np.where(failed.any(axis=1), np.argmax(failed, axis=1), last + 1)
    farthest = np.maximum(met_in_a_row - 1, 0)
    point = last - farthest if target.name == "recall" else farthest
    return point


def _without_margin(
    right: Values, false: Values, target: Target, *, match_share: float | None
) -> Decision:
    """The point that meets a target on the pairs themselves, or the nearest to it."""
    met = _met_by_itself(*_for_share(right, false, match_share), target)
    point = int(marginless_chooser(target, match_share)(right, false)[0])
    if met.any():
        return Decision(point, False, f"{target} on validation itself, without a margin")
    return Decision(point, False, "the highest precision on validation")


def marginless_chooser(target: Target, match_share: float | None) -> Choose:
    """The rule that chooses the point which meets a target on the pairs themselves.

    A precision may be met nowhere; then it is the point of the highest one.
    """

    def choose(right: Values, false: Values) -> NDArray[np.int64]:
        right, false = _for_share(right, false, match_share)
        met = _met_by_itself(right, false, target)
        precision = _precision(right, false)
        best = precision >= precision.max(axis=1, keepdims=True)
        met = np.where(met.any(axis=1, keepdims=True), met, best)
        return _extreme(met, target)

    return choose


def _met_by_itself(right: Values, false: Values, target: Target) -> NDArray[np.bool_]:
    """Which points (B, K + 1) meet a target on the pairs themselves."""
    if target.name == "precision":
        met: NDArray[np.bool_] = _precision(right, false) >= target.value
    elif target.name == "recall":
        met = right / right[:, -1:] >= target.value
    else:
        met = false / false[:, -1:] <= target.value
    return met


def _precision(right: Values, false: Values) -> Values:
    """Precision at each point; 0 where no pair is accepted."""
    precision: Values = right / np.maximum(right + false, np.finfo(np.float64).tiny)
    return precision


def _equal_errors(right: Values, false: Values) -> NDArray[np.int64]:
    """The point where the rates of both errors differ least, see `equal_error_rate`."""
    matches, others = right[:, -1:], false[:, -1:]
    difference = (matches - right) * others - false * matches
    after = np.argmax(difference <= 0, axis=1)
    before = np.maximum(after - 1, 0)
    row = np.arange(len(right))
    is_before_nearer = difference[row, before] <= -difference[row, after]
    point: NDArray[np.int64] = np.where(is_before_nearer, before, after)
    return point


def _correct_decisions(right: Values, false: Values) -> Values:
    # Up to a constant, true positives plus true negatives.
    return right - false


def _f1(right: Values, false: Values) -> Values:
    whole = right + false + right[:, -1:]
    return 2.0 * right / np.where(whole > 0, whole, 1.0)


_OBJECTIVES: Mapping[str, Callable[[Values, Values], Values]] = MappingProxyType(
    {"accuracy": _correct_decisions, "f1": _f1}
)
