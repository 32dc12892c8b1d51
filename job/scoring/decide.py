"""The model's decision about the pairs that a search found.

N and M items of two sides, D embedding size, P pairs.

A search finds candidates by numbers that round. Each is scored here by the model itself, so
that a pair has the score that `siamese-job score` gives it::

    for pairs in matches(blocks, comparison, directed=False):
        pairs.left, pairs.right, pairs.score
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.scoring.copies import IntArray, RowsOfItems, ScoredPairs, to_rows
from job.scoring.model import Compare
from job.scoring.search import Block
from job.scoring.vectors import FloatArray

# Bytes of embeddings that are collected for one call of the model.
_CALL_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two collections, or one, and what makes a match of them.

    Args:
        compare: The model.
        left_ND: float32 (N, D), embeddings of the items of the left collection.
        right_MD: float32 (M, D); the same array for one collection.
        left_rows: The rows of the left items.
        right_rows: The rows of the right items; the same object for one collection.
        threshold: A match has at least this score.
        top: Matches that a row keeps, the best ones; None: all.
    """

    compare: Compare
    left_ND: FloatArray
    right_MD: FloatArray
    left_rows: RowsOfItems
    right_rows: RowsOfItems
    threshold: float
    top: int | None = None

    @property
    def is_within(self) -> bool:
        """Whether one collection is compared with itself."""
        return self.left_rows is self.right_rows

    def ends(self, left: IntArray, right: IntArray) -> tuple[IntArray, IntArray]:
        """Pairs of items, int64 (P,) each; within one collection the one that comes first."""
        if not self.is_within:
            return left, right
        return np.minimum(left, right), np.maximum(left, right)

    def scored(self, left: IntArray, right: IntArray) -> ScoredPairs:
        """Asks the model about pairs of items, int64 (P,) each.

        Within one collection it is asked about the item that comes first as the left one.
        """
        first, second = self.ends(left, right)
        at_once = max(1, _CALL_BYTES // (8 * self.left_ND.shape[1]))
        parts = [self._logits(first[:0], second[:0])]
        for start in range(0, len(left), at_once):
            part = slice(start, start + at_once)
            parts.append(self._logits(first[part], second[part]))
        return ScoredPairs(left, right, *map(np.concatenate, zip(*parts, strict=True)))

    def are_matches(self, pairs: ScoredPairs) -> NDArray[np.bool_]:
        """Whether each pair is a match, bool (P,)."""
        # In float32, as the exported model compares.
        return pairs.score >= np.float32(self.threshold)

    def _logits(
        self, left: IntArray, right: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        scores = self.compare(self.left_ND[left], self.right_MD[right])
        return scores.logit, scores.score, scores.probability


def matching_items(block: Block, comparison: Comparison) -> ScoredPairs:
    """The matches among the candidates of a block, as pairs of items.

    The left item is the one that was searched with. Within one collection, items in several
    rows match themselves if the model says so.
    """
    pairs = comparison.scored(*_with_copies(block, comparison))
    found = pairs.take(comparison.are_matches(pairs))
    if comparison.top is None:
        return found
    # One more for the item itself, which only other rows of it are compared with.
    return found.best_of_left(comparison.top + comparison.is_within)


def matches(
    blocks: Iterable[ScoredPairs], comparison: Comparison, *, directed: bool
) -> Iterator[ScoredPairs]:
    """From matches of items to those of rows, each pair once.

    Args:
        blocks: From `matching_items`.
        comparison: What was compared.
        directed: Whether a pair of one collection may come twice, once from either side. All
            matches are then collected before the first is returned.

    Yields:
        Pairs of rows: by left row, then best first. In a collection with several rows of one
        item they come by the first row with the left item, about as many pairs at a time as
        memory suffices for.
    """
    collected: list[ScoredPairs] = []
    for block in blocks:
        for found in to_rows(
            block,
            left=comparison.left_rows,
            right=comparison.right_rows,
            top=comparison.top,
            is_within=comparison.is_within,
        ):
            if comparison.is_within and directed:
                collected.append(found)
            else:
                yield found
    if collected:
        yield _each_once(ScoredPairs.joined(collected), comparison.left_rows)


def _with_copies(block: Block, comparison: Comparison) -> tuple[IntArray, IntArray]:
    """Queries and candidates, with the items that several rows hold as their own candidates."""
    query, candidate = block.hits.query, block.hits.candidate
    if not comparison.is_within or comparison.left_rows.is_one_each:
        return query, candidate
    counts = comparison.left_rows.counts[block.first : block.end]
    several = block.first + np.flatnonzero(counts > 1)
    query = np.concatenate([query, several])
    order = np.argsort(query, kind="stable")
    return query[order], np.concatenate([candidate, several])[order]


def _each_once(pairs: ScoredPairs, rows: RowsOfItems) -> ScoredPairs:
    """Puts the row whose item comes first on the left, and drops repeats."""
    num_rows = len(rows.rows)
    # The place of a row among all rows by item: of one item the earlier row comes first.
    place = np.empty(num_rows, np.int64)
    place[rows.rows] = np.arange(num_rows)
    turned = place[pairs.left] > place[pairs.right]
    left = np.where(turned, pairs.right, pairs.left)
    right = np.where(turned, pairs.left, pairs.right)
    _, first = np.unique(left * num_rows + right, return_index=True)
    return pairs.of(left, right).take(first).in_order()
