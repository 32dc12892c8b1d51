"""A monotone map from the logit of a pair to the probability that it matches. P pairs.

::

    calibration = Calibration("platt", logit=(1.4, -0.2), probability=())
    calibration.apply(np.array([0.0, 2.5], np.float32))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from job.errors import DataError
from job.types import Json

CalibrationKind = Literal["platt", "isotonic", "none"]


@dataclass(frozen=True)
class Calibration:
    """The map.

    Attributes:
        kind: `platt`: the sigmoid of `a * logit + b`; `isotonic`: linear between knots and
            constant beyond them; `none`: the sigmoid of the logit.
        logit: Of `platt` the two numbers a >= 0 and b; of `isotonic` float32 numbers that
            ascend, one for each knot; else ().
        probability: Of `isotonic` the value at each knot, in [0, 1], never falling; else ().
    """

    kind: CalibrationKind
    logit: tuple[float, ...] = ()
    probability: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = {"platt": (2, 0), "none": (0, 0)}
        found = (len(self.logit), len(self.probability))
        is_isotonic = self.kind == "isotonic" and found[0] == found[1] > 0
        if not is_isotonic and sizes.get(self.kind) != found:
            raise ValueError(f"a calibration {self.kind!r} cannot have {found} numbers")

    def apply(self, logit: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Probabilities, float64 (P,), of logits (P,)."""
        value: NDArray[np.float64] = np.asarray(logit, np.float64)
        if self.kind == "isotonic":
            return np.interp(value, self.logit, self.probability)
        if self.kind == "platt":
            value = self.logit[0] * value + self.logit[1]
        # The tanh form overflows for no number.
        return 0.5 * (1.0 + np.tanh(0.5 * value))

    def to_json(self) -> Json:
        """A record that `from_json` reads."""
        return {
            "kind": self.kind,
            "logit": list(self.logit),
            "probability": list(self.probability),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Calibration":
        """Reads what `to_json` wrote.

        Raises:
            DataError: The record is something else.
        """
        try:
            numbers = (tuple(map(float, record[name])) for name in ("logit", "probability"))
            return cls(record["kind"], *numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"calibration: {str(dict(record))[:80]!r} is not a calibration of this release "
                f"({error!r}). Restore the file it was read from, or create it again."
            ) from error


UNCALIBRATED = Calibration("none")
