"""What items hold: which of them are equal, and which two splits have in common."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from job.preprocessing.ragged import RaggedArray
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


def shared_items(rows: Mapping[Split, NDArray[np.int64]], *, num_items: int) -> Matrix:
    """Items that two splits have in common; of a split with itself: its items.

    Args:
        rows: int64 (R,), the items of each split, each once.
        num_items: Items of the data set.
    """
    holds = {split: _flags(chosen, num_items) for split, chosen in rows.items()}
    return {one: {other: _num(holds[one] & holds[other]) for other in rows} for one in rows}


def equal_items(
    rows: Mapping[Split, NDArray[np.int64]], *, content: NDArray[np.int64]
) -> Matrix:
    """Contents that two splits have under different item numbers.

    Of a split with itself: its items that repeat the content of another one.

    Args:
        rows: int64 (R,), the items of each split, each once.
        content: int64 (N,), as `content_of` gives it.
    """
    num_items = len(content)
    is_item = {split: _flags(chosen, num_items) for split, chosen in rows.items()}
    holds = {split: _flags(content[chosen], num_items) for split, chosen in rows.items()}

    def count(one: Split, other: Split) -> int:
        if one == other:
            return len(rows[one]) - _num(holds[one])
        times = np.bincount(content[is_item[one] | is_item[other]], minlength=num_items)
        return _num(holds[one] & holds[other] & (times > 1))

    return {one: {other: count(one, other) for other in rows} for one in rows}


def num_contradictory_items(
    item_class: NDArray[np.int64], *, content: NDArray[np.int64]
) -> int:
    """Contents that are said to be of several classes.

    Args:
        item_class: int64 (N,), the class of each item.
        content: int64 (N,), as `content_of` gives it.
    """
    differs = item_class != item_class[content]
    return _num(_flags(content[differs], len(content)))


def _flags(numbers: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Whether each number below `count` occurs, bool (count,)."""
    flags = np.zeros(count, np.bool_)
    flags[numbers] = True
    return flags


def _num(flags: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(flags))
