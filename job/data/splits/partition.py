"""Cuts splits out of the training rows so that what must not straddle them does not.

The unit that stays whole is a connected component of items (of pairs) or a class (of labelled
items) for `identity`, a group, or a row. Units are dealt largest first, those of equal make-up
in proportion to what each split still lacks, so that shares and balance come out as near as
whole units allow. U units, C counts that make one up, K kinds of make-up::

    cut = partition_pairs(pairs, by="identity", fractions={"train": 0.9, "test": 0.1}, seed=0)
    test = pairs.where(cut.membership == SPLITS.index("test"))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import PairTable
from job.data.sampling.permutation import generator
from job.types import SPLITS, Split

By = Literal["identity", "group", "row"]

# Above every epoch number: the cut and the order of an epoch never share random numbers.
_STREAM = 2**63

# Shares come out right by class for this many classes; for more, overall.
_MAX_STRATIFIED_CLASSES = 64
# Units times classes, in counts of 8 bytes.
_MAX_MAKE_UP = 1 << 22


@dataclass(frozen=True)
class Partition:
    """Where each row went.

    Attributes:
        membership: int8 (R,), index into SPLITS of each row's split.
        num_units: Units there were.
        largest_share: Share of the rows that the largest unit holds.
        unit_name: What they are, in the plural.
        row_name: What the rows are, in the plural.
    """

    membership: NDArray[np.int8]
    num_units: int
    largest_share: float
    unit_name: str
    row_name: str


def partition_pairs(
    pairs: PairTable,
    *,
    by: By,
    fractions: Mapping[Split, float],
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> Partition:
    """Deals the pairs to splits.

    Args:
        pairs: All pairs of the training file.
        by: What stays whole.
        fractions: Share of the pairs that each split is to have; they sum to 1.
        seed: `run.seed`.
        groups: int64 (P,), number of each pair's group from 0; needed by `group`.
    """
    if by == "identity":
        unit, name = components(pairs)[pairs.left], "connected components of items"
        unit = np.unique(unit, return_inverse=True)[1]
    else:
        unit, name = _given_units(by, groups, num_rows=len(pairs))
    num_units = int(unit.max(initial=-1)) + 1
    positives = np.bincount(unit, weights=pairs.label, minlength=num_units).astype(np.int64)
    sizes = np.bincount(unit, minlength=num_units)
    make_up = np.stack([sizes - positives, positives], axis=1)
    kinds, kind_of_unit = np.unique(make_up, axis=0, return_inverse=True)
    split_of_unit = _deal(
        kinds, kind_of_unit.reshape(-1), fractions=fractions, random=_random(seed)
    )
    return Partition(split_of_unit[unit], num_units, _largest_share(sizes), name, "pairs")


def partition_items(
    item_class: NDArray[np.int64],
    *,
    by: By,
    fractions: Mapping[Split, float],
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> Partition:
    """Deals labelled items to splits.

    Args:
        item_class: int64 (R,), the class of each row of the training file.
        by: What stays whole; of `identity`: a class.
        fractions: Share of the rows that each split is to have; they sum to 1.
        seed: `run.seed`.
        groups: int64 (R,), number of each row's group from 0; needed by `group`.
    """
    classes = np.unique(item_class, return_inverse=True)[1]
    num_classes = int(classes.max(initial=-1)) + 1
    if by == "identity":
        unit, name = classes, "classes"
    else:
        unit, name = _given_units(by, groups, num_rows=len(item_class))
    num_units = int(unit.max(initial=-1)) + 1
    sizes = np.bincount(unit, minlength=num_units)
    # A whole class is in one split, and of many classes a few items each fall as they may.
    is_by_class = by != "identity" and num_classes <= _MAX_STRATIFIED_CLASSES
    if by == "row":
        counts = np.eye(num_classes, dtype=np.int64) if is_by_class else np.zeros((1, 0), int)
        kinds = np.concatenate([np.ones((len(counts), 1), np.int64), counts], axis=1)
        kind_of_unit = classes if is_by_class else np.zeros_like(classes)
    else:
        make_up = sizes[:, None]
        if is_by_class and num_units * num_classes <= _MAX_MAKE_UP:
            cell = unit * num_classes + classes
            counts = np.bincount(cell, minlength=num_units * num_classes).reshape(num_units, -1)
            # A class of a few groups cannot be in each split as wanted; if it counted, a small
            # split would never be worth its while. The size counts as much as all classes.
            least = min(fractions.values())
            is_spread = np.asarray(np.count_nonzero(counts, axis=0) * least >= 1.0)
            size = max(int(is_spread.sum()), 1) * sizes[:, None]
            make_up = np.concatenate([size, counts[:, is_spread]], axis=1)
        kinds, kind_of_unit = np.unique(make_up, axis=0, return_inverse=True)
    split_of_unit = _deal(
        kinds, kind_of_unit.reshape(-1), fractions=fractions, random=_random(seed)
    )
    return Partition(split_of_unit[unit], num_units, _largest_share(sizes), name, "items")


def _given_units(
    by: By, groups: NDArray[np.int64] | None, *, num_rows: int
) -> tuple[NDArray[np.int64], str]:
    """The unit of each row where it is said or is the row itself, and what units are called."""
    if by == "row":
        return np.arange(num_rows), "rows"
    if groups is None:
        raise ValueError("by='group' needs groups")
    return groups, "groups"


def _largest_share(sizes: NDArray[np.int64]) -> float:
    return float(sizes.max(initial=0) / max(sizes.sum(), 1))


def _random(seed: int) -> np.random.Generator:
    return generator(seed, stream=_STREAM)


def components(pairs: PairTable) -> NDArray[np.int64]:
    """The connected component of every item, named by its smallest item.

    Each round hooks a component to the smallest neighbour it has and flattens; the number of
    components at least halves every two rounds, so it is O(P log N).

    Returns:
        int64 (N,), N = 1 + the largest item number in `pairs`.
    """
    last = max(pairs.left.max(initial=-1), pairs.right.max(initial=-1))
    parent: NDArray[np.int64] = np.arange(last + 1, dtype=np.int64)
    while True:
        left, right = parent[pairs.left], parent[pairs.right]
        if np.array_equal(left, right):
            return parent
        np.minimum.at(parent, np.maximum(left, right), np.minimum(left, right))
        while not np.array_equal(flatter := parent[parent], parent):
            parent = flatter


def _deal(
    kinds: NDArray[np.int64],
    kind_of_unit: NDArray[np.int64],
    *,
    fractions: Mapping[Split, float],
    random: np.random.Generator,
) -> NDArray[np.int8]:
    """Deals units to splits.

    Args:
        kinds: int64 (K, C), what a unit of each kind holds; of pairs: negatives, positives.
        kind_of_unit: int64 (U,), the kind of each unit.
        fractions: Wanted share of each split; the others get nothing.
        random: Decides between units of equal make-up.

    Returns:
        int8 (U,), index into SPLITS.
    """
    names = list(fractions)
    numbers = np.bincount(kind_of_unit, minlength=len(kinds))
    in_all = numbers @ kinds
    units = np.split(np.argsort(kind_of_unit, kind="stable"), np.cumsum(numbers)[:-1])
    wanted = np.array([fractions[name] for name in names])[:, None] * in_all
    has = np.zeros_like(wanted)
    dealt = np.zeros(len(kind_of_unit), np.int8)
    by_size = sorted(range(len(kinds)), key=lambda k: (-kinds[k].sum(), -k))
    for kind in by_size:
        members = random.permutation(units[kind])
        shares = _shares(kinds[kind], len(members), wanted=wanted, has=has)
        for name, chosen in zip(names, np.split(members, np.cumsum(shares)[:-1]), strict=True):
            dealt[chosen] = SPLITS.index(name)
        has += shares[:, None] * kinds[kind]
    return dealt


def _shares(
    kind: NDArray[np.int64],
    count: int,
    *,
    wanted: NDArray[np.float64],
    has: NDArray[np.float64],
) -> NDArray[np.int64]:
    """How many of `count` equal units each split gets, int64 (S,).

    Args:
        kind: int64 (C,), what one unit holds.
        count: Units to deal.
        wanted: float64 (S, C), what each split is to hold in the end.
        has: float64 (S, C), what it holds so far.
    """
    lacks = np.clip(wanted - has, 0.0, None) @ kind
    shares: NDArray[np.int64] = np.floor(count * lacks / lacks.sum()).astype(np.int64)
    for _ in range(count - int(shares.sum())):
        # What one more unit does to the squared distance from `wanted`, relative to `wanted`.
        now = has + shares[:, None] * kind
        cost = kind * (2 * now + kind - 2 * wanted) / np.maximum(wanted, 1e-9)
        shares[int(np.argmin(cost.sum(axis=1)))] += 1
    return shares
