"""Measures scored pairs: every metric of the final report with its interval. P pairs.

Nothing here needs TensorFlow::

    judged = judge(label, logit, score=score, threshold=0.7, calibration=calibration)
    assess(judged, identities, measures=measures, seed=0).intervals["roc_auc"]
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.evaluation.calibration import Calibration
from job.evaluation.identities import Identities
from job.evaluation.intervals import Interval, Measures, metric_intervals
from job.evaluation.metrics import FALSE_ACCEPT_RATES, num_needed
from job.evaluation.weighted import Judged


@dataclass(frozen=True)
class Assessment:
    """The quality of some pairs.

    Attributes:
        metrics: By name; only those that the pairs have.
        intervals: 95 % intervals by name; only those that the identities support.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval]


def judge(
    label: NDArray[np.generic],
    logit: NDArray[np.generic],
    *,
    score: NDArray[np.generic],
    threshold: float,
    calibration: Calibration,
) -> Judged:
    """Decides about pairs as a deployed model does, and gives them probabilities."""
    scores = np.asarray(score, np.float64)
    return Judged(
        is_match=np.asarray(label) == 1,
        logit=np.asarray(logit, np.float64),
        accepted=scores >= threshold,
        raw=scores,
        calibrated=calibration.apply(logit),
    )


def measures_for(judged: Judged, *, match_share: float | None) -> Measures:
    """What can be measured of some pairs: true accepts only at the rates they support."""
    others = int((~judged.is_match).sum())
    rates = {k: v for k, v in FALSE_ACCEPT_RATES.items() if others >= num_needed(v)}
    return Measures(match_share, rates)


def assess(
    judged: Judged, identities: Identities, *, match_share: float | None, seed: int
) -> Assessment:
    """Measures pairs of both labels.

    Args:
        judged: The pairs.
        identities: Their identities.
        match_share: Share of matches that is measured for; None for that of the pairs.
        seed: Of the random draws of the intervals.
    """
    measures = measures_for(judged, match_share=match_share)
    metrics = {k: v for k, v in measures.of(judged).items() if not math.isnan(v)}
    intervals = metric_intervals(judged, identities, measures=measures, seed=seed)
    return Assessment(metrics, intervals)
