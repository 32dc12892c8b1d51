"""How well scores separate matching pairs from non-matching ones. P pairs.

`RANKINGS` and `DECISIONS` compute every metric that `config.monitors.QUALITY_METRICS` declares;
a test keeps the two in step. The definitions are scikit-learn's. Labels and scores are checked
first, so degenerate input raises a `DataError` instead of returning NaN with a warning::

    roc_auc(label, score)
    accuracy(label, score, threshold=0.5)

The decision everywhere is `score >= threshold`, taken in float64. scikit-learn takes a second
to import, so each function imports it when called.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from job.evaluation.operating_points import checked_pairs, operating_points, require_both


@dataclass(frozen=True)
class EqualError:
    """The operating point where false accepts are as frequent as false rejects.

    Attributes:
        rate: The equal error rate, in [0, 1]; 0 is perfect, 0.5 is chance.
        threshold: The decision threshold that comes closest to it.
    """

    rate: float
    threshold: float


def roc_auc(label: ArrayLike, score: ArrayLike) -> float:
    """Probability that a match scores above a non-match; ties count one half.

    Args:
        label: (P,), 1 = match, 0 = non-match.
        score: (P,), large = similar.

    Returns:
        The area under the ROC curve, in [0, 1].

    Raises:
        DataError: As `operating_points`.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*require_both(label, score)))


def average_precision(label: ArrayLike, score: ArrayLike) -> float:
    """Sum over distinct scores of precision times the gain in recall, in (0, 1].

    Pairs of equal score are accepted together. Arguments and errors are those of `roc_auc`.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(*require_both(label, score)))


def equal_error_rate(label: ArrayLike, score: ArrayLike) -> EqualError:
    """The error rate where false accepts and false rejects are equally frequent.

    From one distinct score to the next, false rejects fall or false accepts rise, so their
    difference falls strictly and crosses zero once. Between two points the rate is read off
    the ROC curve's segment. A threshold cannot lie between two points: the point with the
    smaller difference provides it, on a tie the one with fewer false accepts.

    scikit-learn has no equal error rate; its `roc_curve` yields float rates, and the crossing
    is exact only on counts. Arguments and errors are those of `roc_auc`.
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


def accuracy(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Share of correct decisions, in [0, 1]; pairs of one class only are allowed.

    Args:
        label: (P,), 1 = match, 0 = non-match.
        score: (P,), large = similar.
        threshold: A pair is predicted to match when its score is at least this.

    Raises:
        DataError: No pairs, a label other than 0 and 1, a score that is not finite.
        ValueError: The two arrays are not both (P,), or the threshold is NaN.
    """
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(*_decisions(label, score, threshold=threshold)))


def f1(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Harmonic mean of precision and recall, in [0, 1]; 0 without a true positive.

    Arguments and errors are those of `accuracy`.
    """
    from sklearn.metrics import f1_score

    return float(f1_score(*_decisions(label, score, threshold=threshold), zero_division=0.0))


def mcc(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Matthews correlation of decision and label, in [-1, 1]; 0 when either is constant.

    Arguments and errors are those of `accuracy`.
    """
    from sklearn.metrics import matthews_corrcoef

    matches, accepted = _decisions(label, score, threshold=threshold)
    if matches.all() or accepted.all() or not (matches.any() and accepted.any()):
        return 0.0  # as in scikit-learn, which also warns about a single label
    return float(matthews_corrcoef(matches, accepted))


def _decisions(
    label: ArrayLike, score: ArrayLike, *, threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Labels and predictions, bool (P,) both."""
    if math.isnan(threshold):
        raise ValueError("threshold: got nan. Give a number; infinity accepts no pair.")
    matches, scores = checked_pairs(label, score)
    return matches, scores >= threshold


# By name, (label, logit) -> value. Logits, because the float32 sigmoid is 1.0 from 17 on.
RANKINGS: Mapping[str, Callable[[ArrayLike, ArrayLike], float]] = MappingProxyType(
    {
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "eer": lambda label, logit: equal_error_rate(label, logit).rate,
    }
)

# By name, (label, score, threshold=) -> value. Scores, because deployed models decide by them.
DECISIONS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {"accuracy": accuracy, "f1": f1, "mcc": mcc}
)
