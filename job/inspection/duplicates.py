"""What occurs more than once: items that splits share, equal items, repeated pairs.

Content counts: a pair of two files mirrors that of their copies.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import PairTable
from job.preprocessing.ragged import RaggedArray
from job.types import Split

# A count for each two splits; for a split with itself, see the function that makes it.
Matrix = dict[Split, dict[Split, int]]

_DIGEST_BYTES = 16  # two of a billion different items collide with a probability of 1e-20


@dataclass(frozen=True)
class PairAnomalies:
    """Pairs of a split that a person may not expect.

    Attributes:
        num_duplicates: Pairs that repeat an earlier one: same left, right and label.
        num_mirrored: Pairs of different items that occur in both directions.
        num_contradictory: Pairs, regardless of direction, that occur with both labels.
        num_identical: Pairs of an item with itself.
        num_identical_negative: Those of them that are labelled as non-matches.
    """

    num_duplicates: int
    num_mirrored: int
    num_contradictory: int
    num_identical: int
    num_identical_negative: int

    @classmethod
    def of(cls, pairs: PairTable, *, content: NDArray[np.int64]) -> "PairAnomalies":
        """Counts them; `content` is int64 (N,) from `content_of`."""
        left, right = content[pairs.left], content[pairs.right]
        directed = left * len(content) + right
        undirected = np.minimum(left, right) * len(content) + np.maximum(left, right)
        identical = left == right
        return cls(
            num_duplicates=len(pairs) - len(_distinct(directed * 2 + pairs.label)),
            num_mirrored=_num_common(undirected[left < right], undirected[left > right]),
            num_contradictory=_num_common(
                undirected[pairs.label == 1], undirected[pairs.label == 0]
            ),
            num_identical=int(np.count_nonzero(identical)),
            num_identical_negative=int(np.count_nonzero(identical & (pairs.label == 0))),
        )


def content_of(values: RaggedArray) -> NDArray[np.int64]:
    """The content of each item as the number of the first equal item, int64 (N,).

    Two items are equal when their bytes are: an image saved twice with different compression
    differs unless it is stored decoded.
    """
    flat, offsets = np.asarray(values.values), values.offsets.tolist()
    first: dict[bytes, int] = {}
    content = np.empty(len(values), np.int64)
    for row in range(len(values)):
        data = np.ascontiguousarray(flat[offsets[row] : offsets[row + 1]]).data
        digest = hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()
        content[row] = first.setdefault(digest, row)
    return content


def shared_items(rows: Mapping[Split, NDArray[np.int64]]) -> Matrix:
    """Items that two splits have in common; for a split with itself: its items.

    Args:
        rows: int64 (R,), the items of each split, each once.
    """
    return {
        one: {other: len(np.intersect1d(rows[one], rows[other], True)) for other in rows}
        for one in rows
    }


def equal_items(
    rows: Mapping[Split, NDArray[np.int64]], *, content: NDArray[np.int64]
) -> Matrix:
    """Contents that two splits hold under different item numbers.

    For a split with itself: its items that repeat the content of another one.

    Args:
        rows: int64 (R,), the items of each split, each once.
        content: int64 (N,) from `content_of`.
    """
    held = {split: _distinct(content[chosen]) for split, chosen in rows.items()}

    def count(one: Split, other: Split) -> int:
        if one == other:
            return len(rows[one]) - len(held[one])
        common = np.intersect1d(held[one], held[other], True)
        # A content that a single item holds is a shared item, not a copy.
        items = _distinct(np.concatenate([rows[one], rows[other]]))
        times = np.bincount(content[items], minlength=len(content))
        return int(np.count_nonzero(times[common] > 1))

    return {one: {other: count(one, other) for other in rows} for one in rows}


def num_contradictory_items(
    item_class: NDArray[np.int64], *, content: NDArray[np.int64]
) -> int:
    """Contents that occur with several classes; both arguments int64 (N,)."""
    return len(_distinct(content[item_class != item_class[content]]))


def _num_common(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    return len(np.intersect1d(_distinct(one), _distinct(other), assume_unique=True))


def _distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each value once, ascending. `np.unique` takes ten times as long for a million of them."""
    ordered = np.sort(values)
    distinct: NDArray[np.int64] = ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0]
    return distinct
