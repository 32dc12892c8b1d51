"""Cuts splits out of the training pairs so that what must not straddle them does not.

The unit that stays whole is a connected component of items (`identity`), a group, or a row.
Units are dealt largest first, those of equal make-up in proportion to what each split still
lacks of either class, so that shares and balance come out as near as whole units allow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from job.data.order import generator
from job.data.tables import PairTable
from job.errors import DataError
from job.types import SPLITS, Split

By = Literal["identity", "group", "row"]

# Above every epoch number: the cut and the order of an epoch never share random numbers.
_STREAM = 2**63

_UNIT_NAMES: Mapping[By, str] = {
    "identity": "connected components of items",
    "group": "groups",
    "row": "rows",
}


@dataclass(frozen=True)
class Cut:
    """Where each pair went.

    Attributes:
        membership: int8 (P,), index into SPLITS of each pair's split.
        num_units: Units there were.
        largest_share: Share of the pairs that the largest unit holds.
    """

    membership: NDArray[np.int8]
    num_units: int
    largest_share: float


def cut_pairs(
    pairs: PairTable,
    *,
    by: By,
    fractions: Mapping[Split, float],
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> Cut:
    """Deals the pairs to splits.

    Args:
        pairs: All pairs of the training file.
        by: What stays whole.
        fractions: Share of the pairs that each split is to have; they sum to 1.
        seed: `run.seed`.
        groups: int64 (P,), number of each pair's group from 0; needed by `group`.
    """
    if by == "group" and groups is None:
        raise ValueError("by='group' needs groups")
    if by == "identity":
        unit = np.unique(components(pairs)[pairs.left], return_inverse=True)[1]
    elif groups is not None and by == "group":
        unit = groups
    else:
        unit = np.arange(len(pairs))
    num_units = int(unit.max(initial=-1)) + 1
    positives = np.bincount(unit, weights=pairs.label, minlength=num_units).astype(np.int64)
    sizes = np.bincount(unit, minlength=num_units)
    make_up = np.stack([sizes - positives, positives], axis=1)
    split_of_unit = _deal(make_up, fractions=fractions, random=generator(seed, stream=_STREAM))
    largest = sizes.max(initial=0) / max(len(pairs), 1)
    return Cut(split_of_unit[unit], num_units, float(largest))


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
    make_up: NDArray[np.int64], *, fractions: Mapping[Split, float], random: np.random.Generator
) -> NDArray[np.int8]:
    """Deals units to splits.

    Args:
        make_up: int64 (U, 2), negatives and positives of each unit.
        fractions: Wanted share of each split; the others get nothing.
        random: Decides between units of equal make-up.

    Returns:
        int8 (U,), index into SPLITS.
    """
    names = list(fractions)
    wanted = np.array([fractions[name] for name in names])[:, None] * make_up.sum(axis=0)
    has = np.zeros_like(wanted)
    kinds, kind_of_unit = np.unique(make_up, axis=0, return_inverse=True)
    dealt = np.zeros(len(make_up), np.int8)
    by_size = sorted(range(len(kinds)), key=lambda k: (-kinds[k].sum(), -k))
    for kind in by_size:
        members = random.permutation(np.flatnonzero(kind_of_unit.reshape(-1) == kind))
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
        kind: int64 (2,), negatives and positives of one unit.
        count: Units to deal.
        wanted: float64 (S, 2), what each split is to hold in the end.
        has: float64 (S, 2), what it holds so far.
    """
    lacks = np.clip(wanted - has, 0.0, None) @ kind
    shares: NDArray[np.int64] = np.floor(count * lacks / lacks.sum()).astype(np.int64)
    for _ in range(count - int(shares.sum())):
        # What one more unit does to the squared distance from `wanted`, relative to `wanted`.
        now = has + shares[:, None] * kind
        cost = kind * (2 * now + kind - 2 * wanted) / np.maximum(wanted, 1e-9)
        shares[int(np.argmin(cost.sum(axis=1)))] += 1
    return shares


def require_filled(pairs: Mapping[Split, PairTable], *, cut: Cut, by: By) -> None:
    """Refuses a cut that left a split without pairs.

    Raises:
        DataError: Says which split, how many units there were and how large the largest is.
    """
    empty = [split for split, table in pairs.items() if not len(table)]
    if not empty:
        return
    # Rows are the finest units there are: no other cut can help.
    others = [f"`data.split.by: {other}`" for other in _UNIT_NAMES if by not in (other, "row")]
    if empty[0] == "train":
        ways = [*others, "smaller fractions in `data.split`"]
    else:
        ways = [*others, f"a larger `data.split.{empty[0]}_fraction`"]
    raise DataError(
        f"data.split.by: {by} leaves nothing for {' and '.join(empty)}: the training file has "
        f"{cut.num_units} {_UNIT_NAMES[by]}, the largest holds {cut.largest_share:.0%} of the "
        f"pairs, and none may straddle two splits. Set {' or '.join(ways)}, or give files: "
        "`data.validation: PATH`, `data.test: PATH`."
    )


def require_both_classes(table: PairTable, *, split: Split, origin: str) -> None:
    """Refuses a split of one class: nothing can be learned from it or measured on it.

    Args:
        table: The pairs of the split.
        split: Which one.
        origin: The key that is to blame, for the message.

    Raises:
        DataError: Names the split and the counts.
    """
    if table.num_positive and table.num_negative:
        return
    raise DataError(
        f"{origin}: the {split} split has {table.num_positive} matches (label 1) and "
        f"{table.num_negative} non-matches (label 0); it needs both. Add pairs of the other "
        "class, or cut the split otherwise (data.split)."
    )
