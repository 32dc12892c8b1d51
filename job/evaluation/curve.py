"""What every threshold would decide: a curve of at most 200 points, for summary and report.

The exact curve has as many points as there are distinct scores. This one keeps those that a
person looks for: the chosen threshold, the first false accepts, an even spread of the rest::

    curve = decision_curve({"test": (label, score)}, threshold=0.71)
    curve["test"]["true_positives"][curve["threshold"].index(0.71)]
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from job.evaluation.operating_points import OperatingPoints, operating_points
from job.types import Json

MOST_POINTS = 200


def decision_curve(
    splits: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    threshold: float,
    most: int = MOST_POINTS,
) -> dict[str, Any]:
    """Counts the decisions at up to `most` thresholds, of which `threshold` is one.

    Args:
        splits: Label, (P,), 1 = match, 0 = non-match, and score, (P,), large = similar, of
            each split. The thresholds are spread over the points of the first one.
        threshold: The chosen one.
        most: Largest number of points, >= 16.

    Returns:
        `curve` of `summary.json`: `threshold`, K floats, ascending, each once, whose decision
        is `score >= threshold`; and by split `num_positive` and `num_negative`, its pairs, and
        `true_positives` and `false_positives`, K accepted ones.

    Raises:
        DataError: As `operating_points`.
    """
    points = {split: operating_points(label, score) for split, (label, score) in splits.items()}
    first = next(iter(points.values()))
    kept = _spread(first, most=most - 1)
    thresholds = np.unique([*(first.threshold(int(point)) for point in kept), threshold])
    counts = {split: _counts(one, thresholds) for split, one in points.items()}
    return {"threshold": thresholds.tolist(), **counts}


def _counts(points: OperatingPoints, thresholds: NDArray[np.float64]) -> dict[str, Json]:
    # Scores are descending, so counting from the front counts what a threshold accepts.
    accepted = np.searchsorted(-points.score, -thresholds, side="right")
    return {
        "num_positive": int(points.true_positives[-1]),
        "num_negative": int(points.false_positives[-1]),
        "true_positives": points.true_positives[accepted].tolist(),
        "false_positives": points.false_positives[accepted].tolist(),
    }


def _spread(points: OperatingPoints, *, most: int) -> NDArray[np.int64]:
    """Which points to keep, at most `most` of them, ascending; the first and last included."""
    true, false, score = points.true_positives, points.false_positives, points.score
    last = len(score)
    if last < most:
        return np.arange(last + 1)
    quarter = most // 4
    errors = np.unique(np.geomspace(1, false[-1], quarter).astype(np.int64))
    wanted = np.concatenate(
        [
            [0, last],
            # Just before the nth false accept, where few false accepts are what matters.
            np.searchsorted(false, errors) - 1,
            np.searchsorted(true, np.linspace(0, true[-1], quarter)),
            np.searchsorted(-score, -np.linspace(score[0], score[-1], quarter)),
            np.linspace(0, last, quarter - 2),
        ]
    )
    kept: NDArray[np.int64] = np.unique(np.clip(wanted, 0, last).astype(np.int64))
    return kept
