"""What matching needs of a model: its embeddings, its comparison and the distance of its head.

B pairs, N items, D embedding size. `job.export.loaded.ExportedModel` has all of it.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable
from job.scoring.distance_head import DistanceHead, fit_distance_head
from job.scoring.vectors import Distance, FloatArray


class ModelScores(Protocol):
    """What a model says of B pairs, each float32 (B,)."""

    @property
    def logit(self) -> FloatArray: ...
    @property
    def score(self) -> FloatArray: ...
    @property
    def probability(self) -> FloatArray: ...


# From two float32 (B, D) embeddings.
Compare = Callable[[FloatArray, FloatArray], ModelScores]


class Model(Protocol):
    """A model."""

    @property
    def threshold(self) -> float: ...
    @property
    def distance(self) -> str | None: ...
    @property
    def embedding_size(self) -> int: ...
    def embed(self, items: ItemTable, rows: NDArray[np.int64]) -> FloatArray: ...
    def compare(self, left_BD: FloatArray, right_BD: FloatArray) -> ModelScores: ...


def distance_head(model: Model) -> DistanceHead:
    """The head of a model that scores by a distance."""
    return fit_distance_head(
        lambda left_BD, right_BD: model.compare(left_BD, right_BD).logit,
        distance=distance_of(model),
        embedding_size=model.embedding_size,
    )


def distance_of(model: Model) -> Distance:
    """What makes two items near: the distance of the head, or the cosine if it has none."""
    return "euclidean" if model.distance == "euclidean" else "cosine"
