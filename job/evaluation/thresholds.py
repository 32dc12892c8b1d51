"""Which score separates matches from non-matches.

The threshold is chosen on validation and only applied to test::

    threshold = choose_threshold(label, score, criterion="accuracy")
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from job.errors import ConfigError
from job.evaluation.metrics import equal_error_rate
from job.evaluation.operating_points import OperatingPoints, operating_points


def choose_threshold(label: ArrayLike, score: ArrayLike, *, criterion: str) -> float:
    """The threshold that is best by a criterion.

    Ties go to the decision with the widest gap between the lowest accepted and the highest
    rejected score, since it is the least likely to flip on new pairs; accepting no pair or all
    has no gap. Remaining ties go to the highest threshold. The threshold is the midpoint of
    its gap.

    Args:
        label: (P,), 1 = match, 0 = non-match.
        score: (P,), large = similar, finite.
        criterion: `accuracy` (most correct decisions), `f1` (best F1), or `eer` (false
            accepts as frequent as false rejects, see `equal_error_rate`).

    Returns:
        The threshold; the decision is `score >= threshold`.

    Raises:
        ConfigError: An unknown criterion.
        DataError: No pairs, only one class, a score that is not finite.
    """
    if criterion == "eer":
        return equal_error_rate(label, score).threshold
    if criterion not in _OBJECTIVES:
        raise ConfigError(
            f"evaluation.threshold: got {criterion!r}. Choose one of "
            f"{', '.join([*_OBJECTIVES, 'eer'])}."
        )
    points = operating_points(label, score)
    objective = _OBJECTIVES[criterion](points)
    best = np.flatnonzero(objective == objective.max())
    # argmax returns the first maximum; points run from the highest threshold down.
    return points.threshold(int(best[np.argmax(_score_gap(points)[best])]))


def _correct_decisions(points: OperatingPoints) -> NDArray[np.float64]:
    # Up to a constant, true positives plus true negatives.
    return (points.true_positives - points.false_positives).astype(np.float64)


def _f1(points: OperatingPoints) -> NDArray[np.float64]:
    accepted = points.true_positives + points.false_positives
    return 2.0 * points.true_positives / (accepted + int(points.true_positives[-1]))


def _score_gap(points: OperatingPoints) -> NDArray[np.float64]:
    inner = points.score[:-1] - points.score[1:]
    return np.concatenate(([0.0], inner, [0.0]))


_OBJECTIVES: Mapping[str, Callable[[OperatingPoints], NDArray[np.float64]]] = MappingProxyType(
    {"accuracy": _correct_decisions, "f1": _f1}
)
