"""What items hold: which of them are equal, and which two splits have in common."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from job.data.ragged import RaggedArray
from job.types import Split

# A number for each two splits; of a split with itself, see who makes it.
Matrix = dict[Split, dict[Split, int]]

_DIGEST_BYTES = 16  # two of a billion different items agree with a chance of 1 in 10**20


def content_of(values: RaggedArray) -> NDArray[np.int64]:
    """What each item holds, as the number of the first item that holds the same, int64 (N,).

    Two items are the same when their bytes are: a picture that was saved twice with different
    compression is not, unless it is kept decoded.
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
    """Items that two splits have in common; of a split with itself: its items.

    Args:
        rows: int64 (R,), the items of each split, each once.
    """
    return {
        one: {other: len(np.intersect1d(rows[one], rows[other])) for other in rows}
        for one in rows
    }


def equal_items(
    rows: Mapping[Split, NDArray[np.int64]], *, content: NDArray[np.int64]
) -> Matrix:
    """Contents that two splits have under different item numbers.

    Of a split with itself: its items that repeat the content of another one.

    Args:
        rows: int64 (R,), the items of each split, each once.
        content: int64 (N,), as `content_of` gives it.
    """

    def count(one: Split, other: Split) -> int:
        if one == other:
            return len(rows[one]) - len(np.unique(content[rows[one]]))
        common = np.intersect1d(content[rows[one]], content[rows[other]])
        either = content[np.union1d(rows[one], rows[other])]
        found, times = np.unique(either, return_counts=True)
        return len(np.intersect1d(common, found[times > 1]))

    return {one: {other: count(one, other) for other in rows} for one in rows}


def num_contradictory_items(
    item_class: NDArray[np.int64], *, content: NDArray[np.int64]
) -> int:
    """Contents that are said to be of several classes.

    Args:
        item_class: int64 (N,), the class of each item.
        content: int64 (N,), as `content_of` gives it.
    """
    kinds = np.unique(np.stack([content, item_class]), axis=1)[0]
    return int(np.count_nonzero(np.unique(kinds, return_counts=True)[1] > 1))
