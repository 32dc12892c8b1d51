"""The classes of labelled items."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassCounts:
    """The classes of one split.

    Attributes:
        num_classes: Classes.
        least: Items of the smallest class.
        median: Items of the middle one.
        most: Items of the largest.
        num_single: Classes of one item, which no match can be made of.
        num_in_training: Classes that training has too; of training: all of them.
    """

    num_classes: int
    least: int
    median: float
    most: int
    num_single: int
    num_in_training: int


def class_counts(
    classes: NDArray[np.int64], *, training_classes: NDArray[np.int64]
) -> ClassCounts:
    """Counts the classes of a split.

    Args:
        classes: int64 (R,), the class of each item of the split.
        training_classes: int64 (M,), the class of each item of training.
    """
    found, sizes = np.unique(classes, return_counts=True)
    return ClassCounts(
        num_classes=len(found),
        least=int(sizes.min()),
        median=float(np.median(sizes)),
        most=int(sizes.max()),
        num_single=int(np.count_nonzero(sizes == 1)),
        num_in_training=len(np.intersect1d(found, training_classes)),
    )
