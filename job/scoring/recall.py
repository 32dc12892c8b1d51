"""How many of the true matches a search by candidates found, measured on a sample.

Some items are compared with every item by the model itself. What share of their matches is
among those that were found, and within which bounds the share of all items lies::

    sample = RecallSample.draw(comparison, seed=0)
    for pairs in sample.watched(blocks):
        ...
    sample.measure()
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from job.scoring.copies import IntArray, ScoredPairs
from job.scoring.decide import Comparison, matching_items
from job.scoring.search import Block, Hits

# Pairs that the model is asked about; a few seconds.
_PAIRS = 5_000_000
_FEWEST, _MOST = 20, 1000
# Two-sided 95 % of the normal distribution.
_Z = 1.959964


@dataclass(frozen=True)
class Recall:
    """Share of the true matches that were found.

    Attributes:
        found: Of the true matches of the sampled items, how many were found.
        true: How many there are.
        items: Sampled items.
        items_with_match: How many of them have a true match.
    """

    found: int
    true: int
    items: int
    items_with_match: int

    @property
    def share(self) -> float:
        """Found of true; NaN if the sample has no match."""
        return self.found / self.true if self.true else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share.

        The matches of one item are often found or missed together, so that an item counts as
        one observation, which makes the interval wide rather than narrow.

        Source: Wilson 1927, the score interval.
        """
        num = self.items_with_match
        if not num:
            return 0.0, 1.0
        share, z2 = self.share, _Z * _Z / num
        middle = (share + z2 / 2) / (1 + z2)
        half = _Z * np.sqrt(share * (1 - share) / num + z2 / (4 * num)) / (1 + z2)
        return max(0.0, float(middle - half)), min(1.0, float(middle + half))


class RecallSample:
    """Remembers which matches of the sampled items a search found.

    Args:
        comparison: What is compared.
        item: int64 (S,), the sampled items of the left side, rising.
    """

    def __init__(self, comparison: Comparison, item: IntArray) -> None:
        self._comparison = comparison
        self._item = item
        self._keys: list[IntArray] = []

    @classmethod
    def draw(cls, comparison: Comparison, *, seed: int) -> "RecallSample":
        """Draws items of the left side, as many as can be compared with all in seconds."""
        num_left, num_right = len(comparison.left_ND), len(comparison.right_MD)
        size = min(num_left, max(_FEWEST, min(_MOST, _PAIRS // max(1, num_right))))
        chosen = np.random.default_rng(seed).choice(num_left, size, replace=False)
        return cls(comparison, np.sort(chosen).astype(np.int64))

    def watched(self, blocks: Iterable[ScoredPairs]) -> Iterator[ScoredPairs]:
        """Passes matches of items on, and remembers those of the sample."""
        for block in blocks:
            is_kept = np.isin(block.left, self._item)
            if self._comparison.is_within:
                is_kept |= np.isin(block.right, self._item)
            if is_kept.any():
                self._keys.append(self._key(block.left[is_kept], block.right[is_kept]))
            yield block

    def measure(self) -> Recall:
        """Compares the sampled items with all items, and counts."""
        found = np.unique(np.concatenate([np.empty(0, np.int64), *self._keys]))
        num_found = num_true = with_match = 0
        for item in self._item.tolist():
            true = self._matches_of(item)
            num_true += len(true)
            with_match += len(true) > 0
            num_found += int(np.isin(self._key(true.left, true.right), found).sum())
        return Recall(num_found, num_true, len(self._item), with_match)

    def _matches_of(self, item: int) -> ScoredPairs:
        candidate = np.arange(len(self._comparison.right_MD))
        if self._comparison.is_within:
            candidate = np.delete(candidate, item)
        hits = Hits(np.full(len(candidate), item), candidate)
        true = matching_items(Block(item, item + 1, hits), self._comparison)
        # That an item in several rows matches itself needs no search.
        return true.take(true.left != true.right) if self._comparison.is_within else true

    def _key(self, left: IntArray, right: IntArray) -> IntArray:
        """One number for each pair, whichever side it was found from within a collection."""
        left, right = self._comparison.ends(left, right)
        return left * len(self._comparison.right_MD) + right
