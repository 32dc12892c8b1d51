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
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from job.evaluation.operating_points import checked_pairs, operating_points, require_both
from job.evaluation.weighted import accepts_at


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


def precision(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Share of matches among the accepted pairs, in [0, 1]; NaN if none is accepted.

    Arguments and errors are those of `accuracy`.
    """
    matches, accepted = _decisions(label, score, threshold=threshold)
    return float(matches[accepted].mean()) if accepted.any() else math.nan


def recall(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Share of accepted pairs among the matches, in [0, 1]; NaN without a match.

    Arguments and errors are those of `accuracy`.
    """
    matches, accepted = _decisions(label, score, threshold=threshold)
    return float(accepted[matches].mean()) if matches.any() else math.nan


def false_accept_rate(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Share of accepted pairs among the non-matches, in [0, 1]; NaN without one.

    Arguments and errors are those of `accuracy`.
    """
    matches, accepted = _decisions(label, score, threshold=threshold)
    return float(accepted[~matches].mean()) if not matches.all() else math.nan


def balanced_accuracy(label: ArrayLike, score: ArrayLike, *, threshold: float) -> float:
    """Mean of the shares of matches and of non-matches decided correctly; NaN of one class.

    Arguments and errors are those of `accuracy`.
    """
    right = recall(label, score, threshold=threshold)
    return (right + 1.0 - false_accept_rate(label, score, threshold=threshold)) / 2.0


def brier(label: ArrayLike, score: ArrayLike) -> float:
    """Mean square of the difference of score and label, in [0, 1]; 0 is perfect.

    Args:
        label: (P,), 1 = match, 0 = non-match.
        score: (P,), a probability.

    Raises:
        DataError: No pairs, a label other than 0 and 1, a score that is not finite.
    """
    matches, scores = checked_pairs(label, score)
    return float(np.mean(np.square(scores - matches)))


def true_accept_rate(label: ArrayLike, score: ArrayLike, *, false_accept_rate: float) -> float:
    """Share of matches accepted by the threshold that accepts a share of the other pairs.

    See `accepts_at` for where that threshold lies. Errors are those of `roc_auc`.

    Args:
        label: (P,), 1 = match, 0 = non-match.
        score: (P,), large = similar.
        false_accept_rate: The share, in (0, 1).

    Returns:
        The rate, in [0, 1]; NaN with fewer than `num_needed` other pairs.
    """
    points = operating_points(label, score)
    matches, others = int(points.true_positives[-1]), int(points.false_positives[-1])
    if others < num_needed(false_accept_rate):
        return math.nan
    accepts = points.true_positives[None, 1:].astype(np.float64)
    wrong = points.false_positives[None, 1:].astype(np.float64)
    wanted = np.array([[false_accept_rate * others]])
    return float(accepts_at(wanted, accepts, wrong)[0]) / matches


def num_needed(rate: float, *, confidence: float = 0.95) -> int:
    """Independent pairs without an error that prove an error rate to be at most `rate`.

    Source: the "rule of three", 3 / rate for a confidence of 0.95.
    """
    return math.ceil(math.log(1.0 - confidence) / math.log1p(-rate))


def _decisions(
    label: ArrayLike, score: ArrayLike, *, threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Labels and predictions, bool (P,) both."""
    if math.isnan(threshold):
        raise ValueError("threshold: got nan. Give a number; infinity accepts no pair.")
    matches, scores = checked_pairs(label, score)
    return matches, scores >= threshold


# The false accept rates at which the true accept rate is measured, by the metric's name.
FALSE_ACCEPT_RATES: Mapping[str, float] = MappingProxyType(
    {f"tar_at_far_1e-{digits}": 10.0**-digits for digits in (1, 2, 3, 4)}
)

# By name, (label, logit) -> value. Logits, because the float32 sigmoid is 1.0 from 17 on.
RANKINGS: Mapping[str, Callable[[ArrayLike, ArrayLike], float]] = MappingProxyType(
    {
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "eer": lambda label, logit: equal_error_rate(label, logit).rate,
        **{
            name: partial(true_accept_rate, false_accept_rate=rate)
            for name, rate in FALSE_ACCEPT_RATES.items()
        },
    }
)

# By name, (label, score, threshold=) -> value. Scores, because deployed models decide by them.
DECISIONS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "false_accept_rate": false_accept_rate,
        "balanced_accuracy": balanced_accuracy,
        "f1": f1,
        "mcc": mcc,
    }
)
