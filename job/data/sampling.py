"""Draws the pairs on which labelled items are evaluated."""

import numpy as np
from numpy.typing import NDArray

from job.data.order import generator
from job.data.tables import PairTable
from job.types import SPLITS, Split

# Above every epoch number, and beside the stream of the cut.
_STREAM = 2**63 + 16


def draw_evaluation_pairs(
    item_class: NDArray[np.int64],
    *,
    rows: NDArray[np.int64],
    num_pairs: int,
    seed: int,
    split: Split,
) -> PairTable:
    """Pairs of a split's items, the first half of which match.

    Args:
        item_class: int64 (N,), the class of every item.
        rows: int64 (R,), the items of the split: two classes at least, one with two items.
        num_pairs: How many.
        seed: `run.seed`.
        split: Which one.
    """
    random = generator(seed, stream=_STREAM + SPLITS.index(split))
    _, classes, sizes = np.unique(item_class[rows], return_inverse=True, return_counts=True)
    by_class = np.argsort(classes, kind="stable")
    first = np.cumsum(sizes) - sizes
    # A match: any item of a class of several, and another one of the class.
    candidates = np.flatnonzero(sizes[classes[by_class]] > 1)
    one = random.choice(candidates, num_pairs - num_pairs // 2)
    of_one = classes[by_class[one]]
    step = random.integers(1, sizes[of_one])
    other = first[of_one] + (one - first[of_one] + step) % sizes[of_one]
    # No match: any item, and one that is not of its class.
    left = random.integers(len(rows), size=num_pairs // 2)
    of_left = classes[by_class[left]]
    right = random.integers(len(rows) - sizes[of_left])
    right += np.where(right >= first[of_left], sizes[of_left], 0)
    label = np.zeros(num_pairs, np.uint8)
    label[: len(one)] = 1
    in_order = rows[by_class]
    return PairTable(
        in_order[np.concatenate([one, left])], in_order[np.concatenate([other, right])], label
    )
