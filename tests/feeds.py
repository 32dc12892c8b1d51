"""Items of which a test can say what they are: token ids already, or of one length."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.pipeline.collators import AugmentationSeed
from job.preprocessing.ragged import RaggedArray
from job.types import ItemInput


def one_length(items: NDArray[np.generic]) -> RaggedArray:
    """Items (R, T, ...) as R rows of T values."""
    num_items, length = items.shape[:2]
    offsets = np.arange(0, num_items * length + 1, length)
    return RaggedArray(items.reshape(-1, *items.shape[2:]), offsets)


@dataclass(frozen=True, eq=False)
class IdFeed:
    """Items int32, none of them 0, padded with 0."""

    tokens: RaggedArray
    vocabulary_size: int = 9

    @property
    def input(self) -> ItemInput:
        return ItemInput("text", "int32", (None,), vocabulary_size=self.vocabulary_size)

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.tokens.lengths_of(rows)

    def items(self) -> RaggedArray:
        return self.tokens

    def ragged(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> RaggedArray:
        return self.tokens.take(rows)

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        return self.tokens.padded(rows)
