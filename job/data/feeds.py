"""Feeds: a data set's items in the form that an encoder takes them. R items, T time steps.

Everything that cuts batches goes through one of these, whatever an item is::

    feed = TokenFeed(tokens, vocabulary_size=60)
    ids_RT = feed.batch(np.array([3, 1]))
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from job.data.ragged import RaggedArray
from job.types import ItemInput


class Feed(Protocol):
    """Gives any of N items as one rectangle, the same bytes for the same rows."""

    @property
    def input(self) -> ItemInput:
        """What the encoder has to take."""
        ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (N,), what decides how much an item is padded; equal for all where none is."""
        ...

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        """The items of the given row numbers, int64 (R,), repeats allowed.

        Returns:
            (R, ...) of the type and shape that `input` says.
        """
        ...


@dataclass(frozen=True, eq=False)
class TokenFeed:
    """Texts as token ids, padded with 0.

    Args:
        tokens: int32, token ids of every item, none of them 0.
        vocabulary_size: Number of token ids, padding and unknown included.
        padding_multiple: T is a multiple of this, so that few different T occur.
    """

    tokens: RaggedArray
    vocabulary_size: int
    padding_multiple: int = 8

    @property
    def input(self) -> ItemInput:
        return ItemInput("text", "int32", (None,), vocabulary_size=self.vocabulary_size)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.tokens.lengths

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        padded = self.tokens.padded(rows, multiple=self.padding_multiple)
        return padded.astype(np.int32, copy=False)
