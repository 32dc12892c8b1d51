"""Distances between embeddings. B pairs, A anchors, C candidates, D embedding size.

Heads and losses share them, so that a model is trained on the distance it scores with. All
gradients are finite, also for equal and for zero embeddings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import ops

# Squared norm below which an embedding counts as zero and is not scaled to length 1.
_MIN_SQUARED_NORM = 1e-12


def unit(embedding_BD: Any) -> Any:
    """Scales embeddings to length 1; a zero embedding stays zero."""
    squared_B1 = ops.sum(ops.square(embedding_BD), axis=-1, keepdims=True)
    return embedding_BD * ops.rsqrt(ops.maximum(squared_B1, _MIN_SQUARED_NORM))


def safe_sqrt(squared: Any) -> Any:
    """Square root whose gradient at 0 is 0 instead of infinite; 0 for negative numbers.

    NaN stays NaN: a diverged model must not look like a good one.
    """
    is_flat = ops.less_equal(squared, 0.0)
    # The inner `where` keeps the infinite derivative out of the gradient as well.
    root = ops.sqrt(ops.where(is_flat, ops.ones_like(squared), squared))
    return ops.where(is_flat, ops.zeros_like(squared), root)


def cosine(left_BD: Any, right_BD: Any) -> Any:
    """Cosine of each pair, (B,), in [-1, 1]; bit-identical if the items are swapped."""
    return ops.sum(unit(left_BD) * unit(right_BD), axis=-1)


def euclidean(left_BD: Any, right_BD: Any) -> Any:
    """Euclidean distance of each pair, (B,); bit-identical if the items are swapped."""
    return safe_sqrt(ops.sum(ops.square(left_BD - right_BD), axis=-1))


def cosine_table(anchor_AD: Any, candidate_CD: Any) -> Any:
    """Cosine of every anchor with every candidate, (A, C)."""
    return ops.matmul(unit(anchor_AD), ops.transpose(unit(candidate_CD)))


def euclidean_table(anchor_AD: Any, candidate_CD: Any) -> Any:
    """Euclidean distance of every anchor to every candidate, float32 (A, C).

    |u|^2 + |v|^2 - 2uv needs no (A, C, D) tensor, but cancels for near embeddings. It is
    computed in float64: in float32, equal embeddings would be 0.0003 |u| apart.
    """
    u_AD, v_CD = ops.cast(anchor_AD, "float64"), ops.cast(candidate_CD, "float64")
    u_A1 = ops.sum(ops.square(u_AD), axis=-1, keepdims=True)
    v_1C = ops.expand_dims(ops.sum(ops.square(v_CD), axis=-1), 0)
    squared_AC = u_A1 + v_1C - 2.0 * ops.matmul(u_AD, ops.transpose(v_CD))
    return ops.cast(safe_sqrt(squared_AC), "float32")


@dataclass(frozen=True)
class Distance:
    """A distance of pairs, and of every anchor to every candidate.

    Attributes:
        pairs: From two (B, D) to float32 (B,), >= 0, small for similar items.
        table: From (A, D) and (C, D) to float32 (A, C).
    """

    pairs: Callable[[Any, Any], Any]
    table: Callable[[Any, Any], Any]


# By kind of the head that scores with it.
DISTANCES: dict[str, Distance] = {
    "cosine": Distance(
        lambda left_BD, right_BD: 1.0 - cosine(left_BD, right_BD),
        lambda anchor_AD, candidate_CD: 1.0 - cosine_table(anchor_AD, candidate_CD),
    ),
    "euclidean": Distance(euclidean, euclidean_table),
}
