"""Partitions the training rows into splits, with each unit of rows in one split.

A unit is a connected component of items (pairs) or a class (labelled items) for `identity`, a
group, or a row. Units are assigned largest first, those with equal counts in proportion to
what each split still lacks, so that fractions and balance are as close as whole units allow.
U units, C counts of a unit, K kinds of units with equal counts::

    partition = partition_rows(
        rows, by="identity", fractions={"train": 0.9, "test": 0.1}, seed=0
    )
    test = rows.where(partition.membership == SPLITS.index("test"))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import LabelledRows, PairTable, Rows
from job.data.sampling.permutation import make_rng
from job.types import SPLITS, Split

By = Literal["identity", "group", "row"]

# Above every epoch: the partition and the order of an epoch never share random numbers.
_STREAM = 2**63

# Fractions hold for each class of up to this many; for more, overall.
_MAX_STRATIFIED_CLASSES = 64
# Units times classes, in counts of 8 bytes.
_MAX_COUNTS = 1 << 22


@dataclass(frozen=True)
class Partition:
    """The split of each row.

    Attributes:
        membership: int8 (R,), index into SPLITS.
        num_units: Number of units.
        largest_share: Fraction of the rows that the largest unit holds.
        unit_name: Name of the units, plural.
        row_name: Name of the rows, plural.
    """

    membership: NDArray[np.int8]
    num_units: int
    largest_share: float
    unit_name: str
    row_name: str


def partition_rows(
    rows: Rows,
    *,
    by: By,
    fractions: Mapping[Split, float],
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> Partition:
    """Assigns the rows of the training file to splits.

    Args:
        rows: R pairs, or R labelled items.
        by: The unit that stays in one split; `identity` is a connected component of items, or
            a class.
        fractions: Fraction of the rows for each split; they sum to 1.
        seed: `run.seed`.
        groups: int64 (R,), number of each row's group from 0; required by `group`.
    """
    if by == "identity":
        identity, name = _identities(rows)
        unit = np.unique(identity, return_inverse=True)[1]
    else:
        unit, name = _given_units(by, groups, num_rows=len(rows))
    num_units = int(unit.max(initial=-1)) + 1
    sizes = np.bincount(unit, minlength=num_units)
    if isinstance(rows, PairTable):
        kinds, kind_of_unit = _kinds_of_pairs(rows, unit, sizes)
    else:
        kinds, kind_of_unit = _kinds_of_items(rows, unit, sizes, by=by, fractions=fractions)
    random = make_rng(seed, stream=_STREAM)
    split_of_unit = _assign(kinds, kind_of_unit.reshape(-1), fractions=fractions, random=random)
    largest_share = float(sizes.max(initial=0) / max(sizes.sum(), 1))
    row_name = "pairs" if isinstance(rows, PairTable) else "items"
    return Partition(split_of_unit[unit], num_units, largest_share, name, row_name)


def _identities(rows: Rows) -> tuple[NDArray[np.int64], str]:
    """The component or class of each row, and the name of these units."""
    if isinstance(rows, PairTable):
        return components(rows)[rows.left], "connected components of items"
    return rows.item_class, "classes"


def _kinds_of_pairs(
    pairs: PairTable, unit: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct label counts (K, 2) of units, and the kind of each unit (U,)."""
    positives = np.bincount(unit, weights=pairs.label, minlength=len(sizes)).astype(np.int64)
    label_counts = np.stack([sizes - positives, positives], axis=1)
    return np.unique(label_counts, axis=0, return_inverse=True)


def _kinds_of_items(
    rows: LabelledRows,
    unit: NDArray[np.int64],
    sizes: NDArray[np.int64],
    *,
    by: By,
    fractions: Mapping[Split, float],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct sizes and class counts (K, C) of units, and the kind of each unit (U,)."""
    classes = np.unique(rows.item_class, return_inverse=True)[1]
    num_units, num_classes = len(sizes), int(classes.max(initial=-1)) + 1
    # A whole class is in one split, and many classes of few items cannot be stratified.
    is_by_class = by != "identity" and num_classes <= _MAX_STRATIFIED_CLASSES
    if by == "row":
        counts = np.eye(num_classes, dtype=np.int64) if is_by_class else np.zeros((1, 0), int)
        kinds = np.concatenate([np.ones((len(counts), 1), np.int64), counts], axis=1)
        return kinds, classes if is_by_class else np.zeros_like(classes)
    label_counts = sizes[:, None]
    if is_by_class and num_units * num_classes <= _MAX_COUNTS:
        cell = unit * num_classes + classes
        counts = np.bincount(cell, minlength=num_units * num_classes).reshape(num_units, -1)
        # A class of few groups cannot be in each split as wanted. If it counted, no group
        # would ever go to a small split. The size counts as much as all classes.
        least = min(fractions.values())
        is_spread = np.asarray(np.count_nonzero(counts, axis=0) * least >= 1.0)
        size = max(int(is_spread.sum()), 1) * sizes[:, None]
        label_counts = np.concatenate([size, counts[:, is_spread]], axis=1)
    return np.unique(label_counts, axis=0, return_inverse=True)


def _given_units(
    by: By, groups: NDArray[np.int64] | None, *, num_rows: int
) -> tuple[NDArray[np.int64], str]:
    """The unit of each row for `group` and `row`, and the name of these units."""
    if by == "row":
        return np.arange(num_rows), "rows"
    if groups is None:
        raise ValueError("by='group' needs groups")
    return groups, "groups"


def components(pairs: PairTable) -> NDArray[np.int64]:
    """The connected component of every item, identified by its smallest item.

    Each round hooks a component to its smallest neighbour and flattens. The number of
    components at least halves every two rounds, so the cost is O(P log N).

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


def _assign(
    kinds: NDArray[np.int64],
    kind_of_unit: NDArray[np.int64],
    *,
    fractions: Mapping[Split, float],
    random: np.random.Generator,
) -> NDArray[np.int8]:
    """Assigns units to splits.

    Args:
        kinds: int64 (K, C), the counts of a unit of each kind.
        kind_of_unit: int64 (U,), the kind of each unit.
        fractions: Wanted fraction of each split.
        random: Chooses between units of one kind.

    Returns:
        int8 (U,), index into SPLITS.
    """
    names = list(fractions)
    numbers = np.bincount(kind_of_unit, minlength=len(kinds))
    in_all = numbers @ kinds
    units = np.split(np.argsort(kind_of_unit, kind="stable"), np.cumsum(numbers)[:-1])
    wanted = np.array([fractions[name] for name in names])[:, None] * in_all
    has = np.zeros_like(wanted)
    assigned = np.zeros(len(kind_of_unit), np.int8)
    by_size = sorted(range(len(kinds)), key=lambda k: (-kinds[k].sum(), -k))
    for kind in by_size:
        members = random.permutation(units[kind])
        shares = _shares(kinds[kind], len(members), wanted=wanted, has=has)
        for name, chosen in zip(names, np.split(members, np.cumsum(shares)[:-1]), strict=True):
            assigned[chosen] = SPLITS.index(name)
        has += shares[:, None] * kinds[kind]
    return assigned


def _shares(
    kind: NDArray[np.int64],
    count: int,
    *,
    wanted: NDArray[np.float64],
    has: NDArray[np.float64],
) -> NDArray[np.int64]:
    """How many of `count` equal units each split gets, int64 (S,).

    Args:
        kind: int64 (C,), the counts of one unit.
        count: Units to assign.
        wanted: float64 (S, C), the final counts of each split.
        has: float64 (S, C), the counts so far.
    """
    lacks = np.clip(wanted - has, 0.0, None) @ kind
    shares: NDArray[np.int64] = np.floor(count * lacks / lacks.sum()).astype(np.int64)
    for _ in range(count - int(shares.sum())):
        # Change of the squared distance from `wanted`, relative to `wanted`, by one more unit.
        now = has + shares[:, None] * kind
        cost = kind * (2 * now + kind - 2 * wanted) / np.maximum(wanted, 1e-9)
        shares[int(np.argmin(cost.sum(axis=1)))] += 1
    return shares
