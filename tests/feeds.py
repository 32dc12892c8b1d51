"""A feed of items that are token ids already, so that a test can say what they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.pipeline.collators import AugmentationSeed
from job.preprocessing.ragged import RaggedArray
from job.types import ItemInput


@dataclass(frozen=True, eq=False)
class IdFeed:
    """Items int32, none of them 0, padded with 0."""

    tokens: RaggedArray
    vocabulary_size: int = 9
    multiple: int = 8

    @property
    def input(self) -> ItemInput:
        return ItemInput("text", "int32", (None,), vocabulary_size=self.vocabulary_size)

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.tokens.lengths_of(rows)

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        return self.tokens.padded(rows, multiple=self.multiple)
