"""Feeds: a data set's items in the form that an encoder takes them. R items, T time steps.

Everything that cuts batches goes through one of these, whatever an item is::

    feed = TokenFeed(items.values, vocabulary)
    ids_RT = feed.batch(np.array([3, 1]))
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from job.data.ragged import RaggedArray
from job.data.vocabulary import Vocabulary
from job.types import ItemInput


class Feed(Protocol):
    """Gives any of N items as one rectangle, the same bytes for the same rows."""

    @property
    def input(self) -> ItemInput:
        """What the encoder has to take."""
        ...

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 (R,), about how long items are, for sorting; equal where none is padded."""
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
        texts: uint8, the UTF-8 bytes of every item.
        vocabulary: Turns them into ids.
        padding_multiple: T is a multiple of this, so that few different T occur.
    """

    texts: RaggedArray
    vocabulary: Vocabulary
    padding_multiple: int = 8

    @property
    def input(self) -> ItemInput:
        return ItemInput("text", "int32", (None,), vocabulary_size=self.vocabulary.size)

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.texts.lengths_of(rows)

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.generic]:
        tokens = self.vocabulary.encode(self.texts.take(rows))
        return tokens.padded(np.arange(len(tokens)), multiple=self.padding_multiple)
