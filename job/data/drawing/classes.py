"""Items by class, and two of them drawn: of one class, or of two. M items, C classes, R draws.

What is drawn is a function of (seed, epoch, index): see `draws`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.drawing.draws import SAMPLING, below

# What is drawn; `sampling` and `epochs` have other numbers.
_FIRST_ITEM, _SECOND_ITEM = SAMPLING, SAMPLING + 1


@dataclass(frozen=True, eq=False)
class ClassIndex:
    """Items by class.

    Attributes:
        rows: int64 (M,), item numbers, those of a class together.
        start: int64 (C,), where each class begins in `rows`.
        size: int64 (C,), items of each class.
    """

    rows: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    @classmethod
    def of(cls, item_class: NDArray[np.int64], *, rows: NDArray[np.int64]) -> "ClassIndex":
        """Sorts items by class.

        Args:
            item_class: int64 (N,), the class of every item of the data set.
            rows: int64 (M,), the items to sort.
        """
        by_class = rows[np.argsort(item_class[rows], kind="stable")]
        _, start, size = np.unique(item_class[by_class], return_index=True, return_counts=True)
        return cls(by_class, start.astype(np.int64), size.astype(np.int64))

    def at_least(self, size: int) -> "ClassIndex":
        """The same without the classes that have fewer items."""
        kept = self.size >= size
        places = np.repeat(kept, self.size)
        sizes = self.size[kept]
        return ClassIndex(self.rows[places], np.cumsum(sizes) - sizes, sizes)

    def class_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the class (from 0, of these) at places of `rows`, int64 (R,)."""
        found: NDArray[np.int64] = np.searchsorted(self.start, places, side="right") - 1
        return found


def two_of_a_class(
    classes: ClassIndex, *, seed: int, epoch: int, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two items of a class for each index.

    Args:
        classes: The items to draw from; every class has at least two.
        seed: `run.seed`.
        epoch: As in `draws.bits`.
        index: int64 (R,), as in `draws.bits`.

    Returns:
        Two of int64 (R,), item numbers: any item, and any other one of its class.
    """
    first = below(len(classes.rows), seed=seed, epoch=epoch, index=index, draw=_FIRST_ITEM)
    at = classes.class_at(first)
    start, size = classes.start[at], classes.size[at]
    further = 1 + below(size - 1, seed=seed, epoch=epoch, index=index, draw=_SECOND_ITEM)
    return classes.rows[first], classes.rows[start + (first - start + further) % size]


def two_of_different_classes(
    classes: ClassIndex, *, seed: int, epoch: int, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two items of different classes for each index; else as `two_of_a_class`.

    Returns:
        Two of int64 (R,), item numbers: any item, and any one of another class.
    """
    first = below(len(classes.rows), seed=seed, epoch=epoch, index=index, draw=_FIRST_ITEM)
    at = classes.class_at(first)
    start, size = classes.start[at], classes.size[at]
    second = below(
        len(classes.rows) - size, seed=seed, epoch=epoch, index=index, draw=_SECOND_ITEM
    )
    # Places from the item's own class on move behind that class.
    return classes.rows[first], classes.rows[np.where(second < start, second, second + size)]
