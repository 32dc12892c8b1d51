"""Pairs of labelled items to measure a model on: drawn once, different from each other."""

import numpy as np
from numpy.typing import NDArray

from job.data.drawing.order import generator
from job.data.drawing.sampling import ClassIndex
from job.data.tables import PairTable
from job.types import SPLITS, Split

# Above every epoch and beside the stream of `data.splits`.
_FIRST_STREAM = 2**63 + 1
# All matches are listed where there are fewer than this, or few for what is wanted.
_ENUMERATED = 1 << 20
_FEW = 8
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

    Every item is as likely to be in a match as any other. If every match were as likely as any
    other, one class of a hundred items would have as many as five hundred classes of five.
    """
    total = int((classes.size * (classes.size - 1) // 2).sum())
    if total <= max(_FEW * wanted, _ENUMERATED):
        pairs = _all_matches(classes)
        # The smallest of exponential numbers over weights are a weighted draw without
        # replacement (Efraimidis, Spirakis 2006, algorithm A with the logarithm of its keys).
        partners = classes.size[classes.class_at[pairs[:, 0]]] - 1
        key = random.exponential(size=total) * partners
        return pairs[np.argsort(key)[:wanted]]
    pairable = np.flatnonzero(classes.size[classes.class_at] > 1)
    at, found = classes.class_at, np.empty((0, 2), np.int64)
    for _ in range(_MAX_ROUNDS):
        first = random.choice(pairable, wanted)
        start, size = classes.start[at[first]], classes.size[at[first]]
        second = start + (first - start + random.integers(1, size)) % size
        found = _distinct(found, np.stack([first, second], axis=1), count=len(at))
        if len(found) >= wanted:
            break
    return found[:wanted]


def _all_matches(classes: ClassIndex) -> NDArray[np.int64]:
    """Places (K, 2) of every two items of a class, the smaller place first."""
    # Each place is paired with all behind it in its class.
    behind = (classes.start + classes.size)[classes.class_at] - 1 - np.arange(len(classes.rows))
    first = np.repeat(np.arange(len(classes.rows)), behind)
    step = np.arange(len(first)) - np.repeat(np.cumsum(behind) - behind, behind) + 1
    return np.stack([first, first + step], axis=1)


def _distinct(
    found: NDArray[np.int64], drawn: NDArray[np.int64], *, count: int
) -> NDArray[np.int64]:
    """Both together in that order, of pairs of the same two places the first."""
    both = np.concatenate([found, np.sort(drawn, axis=1)])
    first = np.unique(both[:, 0] * count + both[:, 1], return_index=True)[1]
    distinct: NDArray[np.int64] = both[np.sort(first)]
    return distinct


def _others(
    classes: ClassIndex, wanted: int, *, random: np.random.Generator
) -> NDArray[np.int64]:
    """Places (K, 2) of two items of different classes, K at most `wanted`, no two the same."""
    count, class_at = len(classes.rows), classes.class_at
    if count * count <= 16 * wanted:
        # Few items: all pairs there are, and a choice among them.
        pairs = np.stack(np.triu_indices(count, 1), axis=1)
        pairs = pairs[class_at[pairs[:, 0]] != class_at[pairs[:, 1]]]
        chosen: NDArray[np.int64] = pairs[random.permutation(len(pairs))[:wanted]]
        return chosen
    found = np.empty((0, 2), np.int64)
    # Each item is drawn as often as there are items of other classes, and one of them with it.
    others_of = count - classes.size[class_at]
    share = others_of / others_of.sum()
    for _ in range(_MAX_ROUNDS):
        first = random.choice(count, 2 * wanted, p=share)
        start, size = classes.start[class_at[first]], classes.size[class_at[first]]
        second = random.integers(0, count - size)
        # Places from the item's own class on move behind that class.
        second = np.where(second < start, second, second + size)
        found = _distinct(found, np.stack([first, second], axis=1), count=count)
        if len(found) >= wanted:
            break
    return found[:wanted]
