"""Groups of items that matches connect, found while the matches pass by.

Memory is linear in the items, whatever the number of matches::

    groups = Groups(num_items)
    groups.connect(left, right)
    groups.numbers()
"""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

# Matches that wait until they are worth a pass over all items.
_WAITING = 1 << 20


class Groups:
    """Connected components of items; an item without a match is a group of its own.

    Args:
        num_items: N.
    """

    def __init__(self, num_items: int) -> None:
        self._label = np.arange(num_items)
        self._waiting: list[tuple[IntArray, IntArray]] = []
        self._num_waiting = 0

    def connect(self, left: IntArray, right: IntArray) -> None:
        """Adds matches, int64 (P,) each, rows of items."""
        self._waiting.append((left, right))
        self._num_waiting += len(left)
        if self._num_waiting >= max(_WAITING, len(self._label)):
            self._merge()

    def numbers(self) -> IntArray:
        """int64 (N,), the group of each item, numbered from 0 by first appearance."""
        self._merge()
        _, first, label = np.unique(self._label, return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return rank[label]

    def _merge(self) -> None:
        if not self._num_waiting:
            return
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        left, right = (np.concatenate(side) for side in zip(*self._waiting, strict=True))
        num = len(self._label)
        edges = (self._label[left], self._label[right])
        graph = coo_array((np.ones(len(left), np.bool_), edges), shape=(num, num))
        _, merged = connected_components(graph, directed=False)
        self._label = merged[self._label].astype(np.int64)
        self._waiting, self._num_waiting = [], 0
