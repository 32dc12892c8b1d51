"""Embeddings as vectors whose inner product is a similarity, up to a known error.

N items, D embedding size, E size of a vector.

A product of two matrices compares a block of items with another at the full speed of the
processor, but rounds. What it can be wrong by is part of the result here, so that a search can
keep every pair that might match and leave the decision to the model.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Distance = Literal["cosine", "euclidean"]

# Half of the distance between 1 and the next float32.
UNIT_ROUNDOFF = 2.0**-24
# `job.models.distances.unit` does not scale a shorter embedding to length 1.
_MIN_NORM = 1e-6
# Roundings of the model and of this module beside those of a sum of D products.
_OTHER_ROUNDINGS = 12
_ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True, eq=False)
class Vectors:
    """Items to compare.

    Attributes:
        values: float32 (N, E).
        error: float32 (N,). The inner product of a row here with one of the other side differs
            from the similarity by at most the errors of both.
    """

    values: FloatArray
    error: FloatArray

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.int64]) -> "Vectors":
        """Some of the items, int64 (R,)."""
        return Vectors(self.values[rows], self.error[rows])


def similarity_of_distance(distance: float) -> float:
    """The similarity that `compared_vectors` gives to items at a Euclidean distance."""
    return -0.5 * distance * distance


def compared_vectors(
    left_ND: FloatArray, right_ND: FloatArray, *, distance: Distance, rounding: float = 0.0
) -> tuple[Vectors, Vectors]:
    """Vectors of the items of two sides.

    Args:
        left_ND: float32 (N, D), finite.
        right_ND: float32 (M, D), finite; the same array where items are compared with each
            other.
        distance: `cosine`: the similarity is the cosine. `euclidean`: it is -1/2 of the squared
            distance, so that large means similar for both.
        rounding: Cosines, or distances, this close may have equal logits in the model; >= 0.

    Returns:
        The left and the right vectors.
    """
    if distance == "cosine":
        left = _unit(left_ND, rounding=rounding)
        return left, left if right_ND is left_ND else _unit(right_ND, rounding=rounding)
    # Distances stay the same if all items are moved, and small numbers have small errors.
    center_D = 0.5 * (
        left_ND.mean(axis=0, dtype=np.float64) + right_ND.mean(axis=0, dtype=np.float64)
    )
    return (
        _augmented(left_ND, center_D, is_left=True, rounding=rounding),
        _augmented(right_ND, center_D, is_left=False, rounding=rounding),
    )


def _pair_error(size: int) -> float:
    """Error of a float32 inner product relative to the lengths of both, for this and the model.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, eq. 3.5.
    """
    return 2.0 * (size + _OTHER_ROUNDINGS) * UNIT_ROUNDOFF


def _unit(embedding_ND: FloatArray, *, rounding: float) -> Vectors:
    norm_N = np.sqrt(np.einsum("nd,nd->n", embedding_ND, embedding_ND, dtype=np.float64))
    inverse_N1 = (1.0 / np.maximum(norm_N, _MIN_NORM)).astype(np.float32)[:, None]
    error = 0.5 * (_pair_error(embedding_ND.shape[1]) + rounding)
    return Vectors(
        np.ascontiguousarray(embedding_ND * inverse_N1),
        np.full(len(embedding_ND), error, np.float32),
    )


def _augmented(
    embedding_ND: FloatArray, center_D: NDArray[np.float64], *, is_left: bool, rounding: float
) -> Vectors:
    """Two further numbers make the inner product u v - |u|^2 / 2 - |v|^2 / 2."""
    num_items, size = embedding_ND.shape
    values = np.ones((num_items, size + 2), np.float32)
    error = np.empty(num_items, np.float32)
    for start in range(0, num_items, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        # In float64, so that the length before the move does not count.
        moved = embedding_ND[rows] - center_D
        half = 0.5 * np.einsum("nd,nd->n", moved, moved)
        values[rows, :size] = moved
        values[rows, size if is_left else size + 1] = -half
        # The terms of the sum are together at most |u|^2 + |v|^2.
        error[rows] = 2.0 * _pair_error(size + 2) * half
        # An error e of a distance d is one of d e of the similarity; d is at most |u| + |v|.
        error[rows] += rounding * np.sqrt(2.0 * half)
    return Vectors(values, error)
