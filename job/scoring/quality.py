"""The quality of scores, when the file says which pairs match. P pairs."""

import math

import numpy as np
from numpy.typing import NDArray

from job.evaluation.metrics import DECISIONS, RANKINGS
from job.scoring.growing_array import GrowingArray


class QualityMeter:
    """Collects labels and logits: nine bytes a labelled pair, in a file beyond the budget.

    Args:
        threshold: A pair is predicted to match when its score is at least this.
    """

    def __init__(self, *, threshold: float) -> None:
        self._threshold = threshold
        self._label = GrowingArray(np.uint8)
        self._logit = GrowingArray(np.float32)
        self._score = GrowingArray(np.float32)

    def close(self) -> None:
        """Frees the memory and the files."""
        for array in (self._label, self._logit, self._score):
            array.close()

    def add(
        self,
        label: NDArray[np.int8],
        *,
        logit: NDArray[np.float32],
        score: NDArray[np.float32],
    ) -> None:
        """Adds pairs.

        Args:
            label: int8 (P,), 1 = match, 0 = no match, -1 = not known.
            logit: float32 (P,).
            score: float32 (P,).
        """
        is_known = label >= 0
        if is_known.any():
            self._label.append(label[is_known].astype(np.uint8))
            self._logit.append(logit[is_known])
            self._score.append(score[is_known])

    def counts(self) -> dict[str, int]:
        """How many of the pairs have a label, and how many of them match."""
        return {
            "labelled": len(self._label),
            "matching": int(np.count_nonzero(self._label.all())),
        }

    def metrics(self) -> dict[str, float]:
        """The metrics by name, as `evaluate` computes them.

        Empty without labels of both kinds; without those that the pairs are too few for.
        """
        label = self._label.all()
        if not 0 < np.count_nonzero(label) < len(label):
            return {}
        logit, score = self._logit.all(), self._score.all()
        ranked = {name: float(metric(label, logit)) for name, metric in RANKINGS.items()}
        decided = {
            name: float(metric(label, score, threshold=self._threshold))
            for name, metric in DECISIONS.items()
        }
        found = ranked | decided
        return {name: value for name, value in found.items() if math.isfinite(value)}
