"""Pairs of labelled items to measure a model on: drawn once, different from each other."""

import numpy as np
from numpy.typing import NDArray

from job.data.order import generator
from job.data.sampling import ClassIndex
from job.data.tables import PairTable
from job.types import SPLITS, Split

# Above every epoch and beside the stream of `data.splits`.
_FIRST_STREAM = 2**63 + 1
# Where one class holds nearly all items, a round finds few pairs; what there is is taken then.
_MAX_ROUNDS = 100


def draw_evaluation_pairs(
    item_class: NDArray[np.int64],
    *,
    rows: NDArray[np.int64],
    num_pairs: int,
    seed: int,
    split: Split,
) -> PairTable:
    """Draws pairs, half of which match; no two of them join the same two items.

    Args:
        item_class: int64 (N,), the class of every item of the data set.
        rows: int64 (M,), items of the split: of at least two classes, one of them with at
            least two items.
        num_pairs: Pairs wanted. Fewer are drawn where the split has not as many: all
            matches there are, and as many others.
        seed: `run.seed`.
        split: Decides, with the seed, what is drawn.

    Returns:
        The pairs in random order, each with either item first.
    """
    random = generator(seed, stream=_FIRST_STREAM + SPLITS.index(split))
    classes = ClassIndex.of(item_class, rows=rows)
    wanted = max(num_pairs // 2, 1)
    matches = _matches(classes, wanted, random=random)
    others = _others(classes, len(matches), random=random)
    pairs = random.permuted(np.concatenate([matches, others]), axis=1)
    label = np.repeat(np.array([1, 0], np.uint8), [len(matches), len(others)])
    order = random.permutation(len(pairs))
    left, right = classes.rows[pairs[order]].T
    return PairTable(left.copy(), right.copy(), label[order])


def _matches(
    classes: ClassIndex, wanted: int, *, random: np.random.Generator
) -> NDArray[np.int64]:
    """Places (K, 2) of two items of a class, K at most `wanted`, no two the same.

    The matching pairs of all classes are numbered: of a class with n items, pair (i, j),
    i < j, has the number j (j - 1) / 2 + i.
    """
    per_class = classes.size * (classes.size - 1) // 2
    end = np.cumsum(per_class)
    total = int(end[-1])
    number = np.arange(total) if total <= wanted else random.choice(total, wanted, False)
    at = np.searchsorted(end, number, side="right")
    within = number - (end - per_class)[at]
    # The root is exact to a unit as long as 8 * within fits the 53 bits of a float64.
    larger = ((1 + np.sqrt(1 + 8 * within.astype(np.float64))) // 2).astype(np.int64)
    larger -= larger * (larger - 1) // 2 > within
    larger += larger * (larger + 1) // 2 <= within
    smaller = within - larger * (larger - 1) // 2
    return classes.start[at][:, None] + np.stack([smaller, larger], axis=1)


def _others(
    classes: ClassIndex, wanted: int, *, random: np.random.Generator
) -> NDArray[np.int64]:
    """Places (K, 2) of two items of different classes, K at most `wanted`, no two the same."""
    count, class_at = len(classes.rows), classes.class_at
    if count * count <= 16 * wanted:
        # Few items: all pairs there are, and a choice among them.
        pairs = np.stack(np.triu_indices(count, 1), axis=1)
        pairs = pairs[class_at[pairs[:, 0]] != class_at[pairs[:, 1]]]
        return pairs[random.permutation(len(pairs))[:wanted]]
    found = np.empty((0, 2), np.int64)
    for _ in range(_MAX_ROUNDS):
        if len(found) >= wanted:
            break
        drawn = np.sort(random.integers(count, size=(2 * wanted, 2)), axis=1)
        drawn = drawn[class_at[drawn[:, 0]] != class_at[drawn[:, 1]]]
        both = np.concatenate([found, drawn])
        first = np.unique(both[:, 0] * count + both[:, 1], return_index=True)[1]
        found = both[np.sort(first)]
    return found[:wanted]
