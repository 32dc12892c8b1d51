"""What the model saw when it was tested, to hold later data against. M items, P pairs, K bins.

An export stores how the scores of the test pairs, the lengths of their items and the share of
unknown tokens in these are distributed. `job.scoring.drift` compares new data with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.data.pipeline.collators import Collator, TextCollator
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import UNKNOWN_ID
from job.types import Json

# Tenths of the reference: few enough for a file of some hundred rows.
NUM_BINS = 10


@dataclass(frozen=True)
class Histogram:
    """Numbers by bin: the first up to and including `edges[0]`, the last above `edges[-1]`.

    Attributes:
        edges: Ascending, K - 1 of them.
        counts: K of them.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.edges) + 1 or list(self.edges) != sorted(self.edges):
            raise ValueError("a histogram has ascending edges and one count more than edges")

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Histogram":
        """Up to NUM_BINS bins with about as many of the values, (N,), in each.

        Equal numbers share a bin, so a number that is common takes the place of several. Then
        two bins more are for what is below the smallest and above the largest number.
        """
        numbers = np.asarray(values if len(values) else [0.0], np.float64)
        shares = np.arange(1, NUM_BINS) / NUM_BINS
        edges = np.unique(np.quantile(numbers, shares, method="lower"))
        if len(edges) < NUM_BINS - 1:
            outer = [np.nextafter(numbers.min(), -np.inf), numbers.max()]
            edges = np.unique(np.concatenate([edges, outer]))
        empty = cls(tuple(edges.tolist()), (0,) * (len(edges) + 1))
        return cls(empty.edges, tuple(empty.count(values).tolist()))

    def count(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """How many of the values, (N,), are in each bin, int64 (K,)."""
        bins = np.searchsorted(np.array(self.edges), values.astype(np.float64), side="left")
        return np.bincount(bins, minlength=len(self.counts)).astype(np.int64)

    def to_json(self) -> Json:
        return {"edges": list(self.edges), "counts": list(self.counts)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Histogram":
        """Reads what `to_json` wrote; raises KeyError, TypeError or ValueError."""
        return cls(tuple(map(float, record["edges"])), tuple(map(int, record["counts"])))


@dataclass(frozen=True)
class Reference:
    """The distributions.

    Attributes:
        scores: Of the pairs.
        lengths: Tokens or time steps of the items, each item once; None for images.
        unknown: Share of unknown tokens of the items, each item once; None but for texts.
    """

    scores: Histogram
    lengths: Histogram | None = None
    unknown: Histogram | None = None

    @classmethod
    def of(
        cls, score: NDArray[np.float32], *, feed: Collator, rows: NDArray[np.int64]
    ) -> "Reference":
        """The distributions of some data.

        Args:
            score: float32 (P,), scores of its pairs.
            feed: Collates the items.
            rows: int64 (M,), the items of these pairs, each once.
        """
        found = measures(feed, rows)
        return cls(
            Histogram.of(score), *(None if one is None else Histogram.of(one) for one in found)
        )

    def named(self) -> dict[str, Histogram]:
        """The distributions that there are, by name."""
        named = {"scores": self.scores, "lengths": self.lengths, "unknown": self.unknown}
        return {name: found for name, found in named.items() if found is not None}

    def to_json(self) -> Json:
        return {name: histogram.to_json() for name, histogram in self.named().items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Reference":
        """Reads what `to_json` wrote; raises KeyError, TypeError or ValueError."""
        return cls(**{name: Histogram.from_json(one) for name, one in record.items()})


def measures(
    feed: Collator, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None]:
    """Lengths and shares of unknown tokens of items; None where items do not have them.

    Args:
        feed: Collates the items.
        rows: int64 (M,), the items.
    """
    if not isinstance(feed, TextCollator):
        return (feed.lengths_of(rows) if feed.input.kind == "sequence" else None), None
    found = [_lengths_and_unknown(feed.ragged(some)) for some in feed.texts.chunks(rows)]
    lengths, unknown = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return lengths, unknown


def _lengths_and_unknown(ids: RaggedArray) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    is_unknown = (ids.values == UNKNOWN_ID).astype(np.float64)
    # An item has at least one token, so no two rows begin at the same place.
    unknown = np.add.reduceat(is_unknown, ids.offsets[:-1]) if len(ids) else is_unknown
    return ids.lengths, unknown / ids.lengths
