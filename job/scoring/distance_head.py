"""What a head that scores by a distance needs of two items for a given score.

The logit of such a head is a line in the cosine (or the Euclidean distance) of two embeddings.
Its two numbers are found by asking the model, so that any export answers::

    head = fit_distance_head(compare, distance="cosine", embedding_size=64)
    head.similarity_at(0.9)  # the cosine that a pair needs for a score of 0.9
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from job.errors import JobError
from job.scoring.vectors import (
    UNIT_ROUNDOFF,
    Distance,
    FloatArray,
    similarity_of_distance,
)

# From two float32 (B, D) embeddings to float32 (B,) logits.
Logits = Callable[[FloatArray, FloatArray], FloatArray]

# Roundings of a score in float32: those of the exponential and the division of the sigmoid.
_SCORE_ROUNDINGS = 8
_PROBES = 16
# Far above what rounds, far below what another head would show.
_PROBE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class DistanceHead:
    """logit = scale * cosine + bias, or bias - scale * distance.

    Attributes:
        distance: What the head computes of two embeddings.
        scale: > 0.
        bias: Any number.
    """

    distance: Distance
    scale: float
    bias: float

    def similarity_at(self, score: float) -> float:
        """A similarity that no pair with at least this score stays below.

        Args:
            score: In [0, 1].

        Returns:
            A cosine, or -1/2 of a squared distance; -inf: any will do; inf: none will.
        """
        # Scores near 1 are few in float32: many logits round to one of them.
        lowest = score * (1.0 - _SCORE_ROUNDINGS * UNIT_ROUNDOFF)
        if lowest <= 0.0:
            return -math.inf
        logit = math.log(lowest) - math.log1p(-lowest)
        logit -= _SCORE_ROUNDINGS * UNIT_ROUNDOFF * (abs(logit) + abs(self.bias) + self.scale)
        if self.distance == "cosine":
            return (logit - self.bias) / self.scale
        distance = (self.bias - logit) / self.scale
        return math.inf if distance < 0.0 else similarity_of_distance(distance)

    @property
    def rounding(self) -> float:
        """Cosines, or distances, this close may have equal logits."""
        return _SCORE_ROUNDINGS * UNIT_ROUNDOFF * (1.0 + abs(self.bias) / self.scale)


def fit_distance_head(
    logits: Logits, *, distance: Distance, embedding_size: int
) -> DistanceHead:
    """Finds scale and bias of the head of a model.

    Args:
        logits: The model's comparison of embeddings.
        distance: What the model says that its head computes.
        embedding_size: D.

    Raises:
        JobError: The logits do not lie on one line.
    """
    first = np.zeros((1, embedding_size), np.float32)
    first[0, 0] = 1.0
    if distance == "cosine":
        same, opposite = float(logits(first, first)[0]), float(logits(first, -first)[0])
        head = DistanceHead(distance, 0.5 * (same - opposite), 0.5 * (same + opposite))
    else:
        bias = float(logits(first, first)[0])
        head = DistanceHead(distance, bias - float(logits(first, 0.0 * first)[0]), bias)
    random = np.random.default_rng(0)
    shape = (_PROBES, embedding_size)
    left, right = (random.standard_normal(shape).astype(np.float32) for _ in range(2))
    if distance == "cosine":
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        expected = head.scale * np.einsum("bd,bd->b", left, right) / norms + head.bias
    else:
        expected = head.bias - head.scale * np.linalg.norm(left - right, axis=1)
    size = 1.0 + abs(head.bias) + np.max(np.abs(expected))
    gap = float(np.max(np.abs(expected - logits(left, right))))
    if not (head.scale > 0.0 and gap <= _PROBE_TOLERANCE * size):
        raise JobError(
            f"the export says that its head is a line in the {distance} of two embeddings, but "
            f"its logits are up to {gap:.3g} away from it. Export the model again; please "
            "report this with the configuration."
        )
    return head
