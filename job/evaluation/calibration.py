"""From a logit to the probability that a pair matches.

A model that is sure of itself is not always right as often as it says. A calibration is fitted
to the validation pairs and applied to every other pair; the decision stays that of the score::

    calibration = fit_calibration(label, logit, kind="platt")
    calibration.apply(logit)  # probabilities

scikit-learn takes a second to import, so the functions that need it import it when called.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from job.evaluation.operating_points import require_both

Kind = Literal["platt", "isotonic", "none"]

# Largest slope of the mean loss per standardised coefficient; it takes about ten steps.
_TOLERANCE = 1e-9
_MAX_STEPS = 100


@dataclass(frozen=True)
class Calibration:
    """A map from logits to probabilities that never decreases.

    Attributes:
        kind: `platt`: sigmoid(a * logit + b); `isotonic`: linear between knots, constant
            outside; `none`: sigmoid(logit).
        logit: Platt: (a, b) with a >= 0. Isotonic: the knots, ascending. None: ().
        probability: Isotonic: the probability at each knot, in [0, 1]. Otherwise ().
    """

    kind: Kind
    logit: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        values = np.array([*self.logit, *self.probability])
        knots, heights = np.array(self.logit), np.array(self.probability)
        if not np.isfinite(values).all():
            raise ValueError(f"a calibration has finite numbers, got {self}")
        if self.kind == "isotonic":
            is_valid = (
                0 < len(knots) == len(heights)
                and bool((np.diff(knots) > 0).all() and (np.diff(heights) >= 0).all())
                and 0.0 <= heights[0] <= heights[-1] <= 1.0
            )
        else:
            count = 2 if self.kind == "platt" else 0
            is_valid = len(knots) == count and not len(heights) and (not count or knots[0] >= 0)
        if not is_valid:
            raise ValueError(f"not a calibration that never decreases: {self}")

    def apply(self, logit: ArrayLike) -> NDArray[np.float64]:
        """The probability of a match at each logit, float64 of the same shape, in [0, 1]."""
        at = np.asarray(logit, np.float64)
        if self.kind == "isotonic":
            return np.interp(at, self.logit, self.probability)
        slope, offset = self.logit if self.kind == "platt" else (1.0, 0.0)
        return sigmoid(slope * at + offset)

    def for_share(self, used: float, *, measured: float) -> "Calibration":
        """The same for pairs of which another share matches.

        How the logits of matches, and those of the other pairs, are distributed is taken to
        stay the same; then the log-odds of all probabilities shift by one constant. A
        calibration of the kind `none` is no estimate and stays as it is.

        Args:
            used: The share of matches where the model is used, in (0, 1).
            measured: The share among the pairs it was fitted to, in (0, 1).

        Source: Saerens, Latinne, Decaestecker 2002, eq. 2.4.
        """
        if self.kind == "none":
            return self
        shift = log_odds(used) - log_odds(measured)
        if self.kind == "platt":
            slope, offset = self.logit
            return replace(self, logit=(slope, offset + shift))
        heights = np.array(self.probability)
        with np.errstate(divide="ignore"):
            shifted = sigmoid(np.log(heights) - np.log1p(-heights) + shift)
        return replace(self, probability=tuple(shifted.tolist()))

    def to_json(self) -> dict[str, Any]:
        """As JSON, which `from_json` reads."""
        return {
            "kind": self.kind,
            "logit": list(self.logit),
            "probability": list(self.probability),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: The numbers are no calibration.
        """
        kind = content["kind"]
        if kind not in ("platt", "isotonic", "none"):
            raise ValueError(f"calibration: got {kind!r}. Known: platt, isotonic, none.")
        return cls(kind, tuple(content["logit"]), tuple(content["probability"]))


def fit_calibration(label: ArrayLike, logit: ArrayLike, *, kind: Kind) -> Calibration:
    """Fits a calibration to pairs that the model was not trained on.

    Args:
        label: (P,), 1 = match, 0 = non-match.
        logit: (P,), large = similar, finite.
        kind: `platt` has two coefficients, which a few dozen pairs determine; `isotonic` any
            shape that never decreases, for a thousand pairs or more; `none` fits nothing.

    Raises:
        DataError: No pairs, only one class, a logit that is not finite.
    """
    if kind == "none":
        return Calibration("none")
    matches, logits = require_both(label, logit)
    if kind == "platt":
        return Calibration("platt", _platt(matches, logits))
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(logits, matches.astype(np.float64))
    knots, first = np.unique(model.X_thresholds_, return_index=True)
    heights = np.maximum.accumulate(np.clip(model.y_thresholds_[first], 0.0, 1.0))
    return Calibration("isotonic", tuple(knots.tolist()), tuple(heights.tolist()))


def sigmoid(value: ArrayLike) -> NDArray[np.float64]:
    """1 / (1 + exp(-value)) in float64, without an overflow."""
    values = np.asarray(value, np.float64)
    shrunk = np.exp(-np.abs(values))
    result: NDArray[np.float64] = np.where(values >= 0, 1.0, shrunk) / (1.0 + shrunk)
    return result


def log_odds(share: float) -> float:
    """log(share / (1 - share)) of a share in (0, 1)."""
    return math.log(share) - math.log1p(-share)


def _platt(matches: NDArray[np.bool_], logit: NDArray[np.float64]) -> tuple[float, float]:
    """Coefficients (a, b) of the most likely sigmoid, a >= 0.

    The targets lie slightly inside of 0 and 1, so that classes which a threshold separates
    have a finite solution. Where a model ranks pairs in reverse, or all alike, the best
    map that does not decrease is constant: the share of matches.

    Source: Platt 1999.
    """
    from sklearn.linear_model import LogisticRegression

    num_matches, num_others = int(matches.sum()), int((~matches).sum())
    target = np.where(matches, (num_matches + 1) / (num_matches + 2), 1 / (num_others + 2))
    constant = 0.0, log_odds(float(target.mean()))
    if np.ptp(logit) == 0.0:
        return constant
    # Standardised, the two directions are of similar size whatever the unit of the logits.
    centre, scale = float(logit.mean()), float(logit.std())
    column = ((logit - centre) / scale)[:, None]
    # A pair with the target t counts t as a match and 1 - t as none.
    model = LogisticRegression(
        C=np.inf, solver="newton-cholesky", tol=_TOLERANCE, max_iter=_MAX_STEPS
    )
    model.fit(
        np.concatenate([column, column]),
        np.repeat([1, 0], len(column)),
        sample_weight=np.concatenate([target, 1.0 - target]),
    )
    slope, offset = float(model.coef_[0, 0]) / scale, float(model.intercept_[0])
    return (slope, offset - slope * centre) if slope > 0.0 else constant
