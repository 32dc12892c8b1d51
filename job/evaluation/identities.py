"""Who the two items of a pair are: what pairs share, and so what makes them dependent.

A pair has two identities. Pairs that share one, such as all pairs of one person, tend to be
right or wrong together, so they tell less than as many pairs of different people. Intervals
resample identities for that reason::

    identities = identities_of(dataset.pairs["test"], dataset.items)
    identities.num_dyads(pairs.label == 0)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable, PairTable
from job.data.splits.partition import components

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Identities:
    """The two identities of each of P pairs.

    Attributes:
        left: int64 (P,), from 0 to `count` - 1.
        right: int64 (P,).
        count: How many identities the pairs have.
    """

    left: IntArray
    right: IntArray
    count: int

    @classmethod
    def of(cls, left: IntArray, right: IntArray) -> "Identities":
        """Numbers identities that are given by any integers."""
        known, number = np.unique(np.stack([left, right]), return_inverse=True)
        numbers = number.reshape(2, -1)
        return cls(numbers[0], numbers[1], len(known))

    def __len__(self) -> int:
        return len(self.left)

    def take(self, pairs: NDArray[np.generic]) -> "Identities":
        """Those of some pairs: numbers, or a flag for each pair."""
        return Identities.of(self.left[pairs], self.right[pairs])

    def dyads(self) -> IntArray:
        """int64 (P,): equal where two pairs have the same two identities, in either order."""
        low, high = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        return np.unique(low * self.count + high, return_inverse=True)[1].reshape(-1)

    def num_dyads(self, chosen: NDArray[np.bool_]) -> int:
        """How many different pairs of identities some pairs, bool (P,), have."""
        return len(np.unique(self.dyads()[chosen]))

    def effective_count(self, chosen: NDArray[np.bool_]) -> float:
        """How many equally frequent identities would be as diverse as those of some pairs.

        Args:
            chosen: bool (P,).

        Source: Kish 1965, section 11.7, of the number of pairs that each identity is in.
        """
        left, right = self.left[chosen], self.right[chosen]
        pairs = np.bincount(left, minlength=self.count).astype(np.float64)
        pairs += np.bincount(right[left != right], minlength=self.count)
        squares = float(np.square(pairs).sum())
        return float(pairs.sum()) ** 2 / squares if squares else 0.0


def identities_of(pairs: PairTable, items: ItemTable) -> Identities:
    """The identities of the items of pairs.

    Items with a class are of the identity of their class. Without classes, items that a pair
    says match are of one identity, and so are those that a chain of matches connects. An item
    without a match or of an unknown class is an identity of its own.

    Args:
        pairs: P pairs.
        items: The items; only their classes are read.
    """
    if items.item_class is None:
        identity = np.arange(1 + int(max(pairs.left.max(), pairs.right.max())))
        matched = components(pairs.where(pairs.label == 1))
        identity[: len(matched)] = matched
        return Identities.of(identity[pairs.left], identity[pairs.right])
    rows = np.stack([pairs.left, pairs.right])
    classes = items.item_class[rows]
    left, right = np.where(classes >= 0, classes, -1 - rows)
    return Identities.of(left, right)
