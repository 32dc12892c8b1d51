"""The rows of a collection that hold the same item.

R rows, N items, P pairs.

An item is embedded and compared once, however many rows hold it. Here what was found for items
becomes what was found for rows::

    rows = RowsOfItems.of(item_of_row, num_items=num_items)
    for found in to_rows(scored, left=rows, right=rows, top=None, is_within=True):
        found.left, found.right
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.scoring.vectors import FloatArray

IntArray = NDArray[np.int64]

# Pairs of rows that are made at a time, unless one row alone has more.
_PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """Pairs and what the model says of them.

    Attributes:
        left: int64 (P,).
        right: int64 (P,).
        logit: float32 (P,), any real number, high = similar.
        score: float32 (P,), in [0, 1].
        probability: float32 (P,), the calibrated score.
    """

    left: IntArray
    right: IntArray
    logit: FloatArray
    score: FloatArray
    probability: FloatArray

    def __len__(self) -> int:
        return len(self.left)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All five."""
        return self.left, self.right, self.logit, self.score, self.probability

    def of(self, left: IntArray, right: IntArray) -> "ScoredPairs":
        """The same scores for other rows, int64 (P,) each."""
        return replace(self, left=left, right=right)

    def take(self, chosen: NDArray[np.generic]) -> "ScoredPairs":
        """The pairs at int64 positions, or with a bool flag."""
        return ScoredPairs(*(array[chosen] for array in self.arrays))

    def in_order(self) -> "ScoredPairs":
        """By left, then best first, then by right."""
        return self.take(np.lexsort((self.right, -self.logit, self.left)))

    def best_of_left(self, top: int) -> "ScoredPairs":
        """The best of each left, in order; of equally good ones the first by right."""
        pairs = self.in_order()
        return pairs.take(position_in_run(pairs.left) < top)

    @classmethod
    def joined(cls, parts: "list[ScoredPairs]") -> "ScoredPairs":
        """All pairs of several."""
        none = np.empty(0, np.float32)
        empty = cls(np.empty(0, np.int64), np.empty(0, np.int64), none, none, none)
        columns = zip(*(part.arrays for part in (empty, *parts)), strict=True)
        return cls(*map(np.concatenate, columns))


def position_in_run(sorted_P: IntArray) -> IntArray:
    """How many equal numbers stand before each of int64 (P,) sorted ones."""
    return np.arange(len(sorted_P)) - np.searchsorted(sorted_P, sorted_P, side="left")


@dataclass(frozen=True, eq=False)
class RowsOfItems:
    """The rows of each item.

    Attributes:
        rows: int64 (R,), by item, then rising.
        first: int64 (N + 1,), where the rows of each item begin in `rows`.
    """

    rows: IntArray
    first: IntArray

    @classmethod
    def of(cls, item_of_row: IntArray, *, num_items: int) -> "RowsOfItems":
        """From the item of each row, int64 (R,) in [0, num_items)."""
        counts = np.bincount(item_of_row, minlength=num_items)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(np.argsort(item_of_row, kind="stable"), first)

    @property
    def counts(self) -> IntArray:
        """int64 (N,), rows of each item."""
        return np.diff(self.first)

    @property
    def is_one_each(self) -> bool:
        """Whether no item is in two rows."""
        return len(self.rows) == len(self.first) - 1


def to_rows(
    pairs: ScoredPairs,
    *,
    left: RowsOfItems,
    right: RowsOfItems,
    top: int | None,
    is_within: bool,
) -> Iterator[ScoredPairs]:
    """From pairs of items to pairs of their rows.

    Args:
        pairs: Of items, by left. With `is_within`, an item may be paired with itself.
        left: The rows of the items on the left.
        right: The rows of the items on the right.
        top: Largest number of right rows for a left row, the best ones; None: all.
        is_within: Whether both sides are one collection. A row is not paired with itself; two
            rows of one item are paired once, or in both directions with `top`.

    Yields:
        Pairs of rows, in order; all of one left row at once.
    """
    if left.is_one_each and right.is_one_each:
        kept = pairs.of(left.rows[pairs.left], right.rows[pairs.right])
        yield kept.in_order() if top is None else kept.best_of_left(top)
        return
    pair, left_row = _spread(np.arange(len(pairs)), pairs.left, left)
    order = np.argsort(left_row, kind="stable")
    pair, left_row = pair[order], left_row[order]
    counts = right.counts[pairs.right[pair]]
    if top is not None:
        # Rows of one item are equally good. One of them may be the row itself.
        counts = np.minimum(counts, top + 1)
    for part in _parts(left_row, counts):
        chosen = pair[part]
        position, right_row = _spread(
            np.arange(part.start, part.stop), pairs.right[chosen], right, most=counts[part]
        )
        found = pairs.take(pair[position]).of(left_row[position], right_row)
        if is_within:
            is_same_item = pairs.left[pair[position]] == pairs.right[pair[position]]
            is_again = found.right == found.left if top else found.right <= found.left
            found = found.take(~(is_same_item & is_again))
        yield found.in_order() if top is None else found.best_of_left(top)


def _spread(
    values: IntArray, item: IntArray, of: RowsOfItems, *, most: IntArray | None = None
) -> tuple[IntArray, IntArray]:
    """Repeats values for each row of their item; returns them and the rows."""
    counts = of.counts[item] if most is None else most
    ends = np.cumsum(counts)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    return np.repeat(values, counts), of.rows[np.repeat(of.first[item], counts) + within]


def _parts(left_row: IntArray, counts: IntArray) -> Iterator[slice]:
    """Consecutive slices of whole left rows with about _PAIRS_AT_ONCE pairs."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(left_row):
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right"))
        end = min(max(end, start + 1), len(left_row))
        end = int(np.searchsorted(left_row, left_row[end - 1], side="right"))
        yield slice(start, end)
        start = end
