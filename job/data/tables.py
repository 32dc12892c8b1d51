"""The one data model: unique items, and pairs as row numbers into them.

An item is stored, tokenised and embedded once, however many pairs hold it, and an item that two
splits share shows as one row number in both.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.quarantine import Quarantine
from job.data.ragged import RaggedArray
from job.types import SPLITS, Split


@dataclass(frozen=True, eq=False)
class PairTable:
    """P pairs of items.

    Args:
        left: int64 (P,), row numbers into the items.
        right: int64 (P,), row numbers into the items.
        label: uint8 (P,), 1 = match, 0 = no match.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    label: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shapes = {self.left.shape, self.right.shape, self.label.shape}
        dtypes = [str(array.dtype) for array in (self.left, self.right, self.label)]
        if shapes != {(len(self.left),)} or dtypes != ["int64", "int64", "uint8"]:
            raise ValueError(
                "left, right (int64) and label (uint8) must have one shape (P,), got "
                f"{self.left.shape}, {self.right.shape}, {self.label.shape} of {dtypes}"
            )

    def __len__(self) -> int:
        return len(self.label)

    @property
    def num_positive(self) -> int:
        return int(np.count_nonzero(self.label))

    @property
    def num_negative(self) -> int:
        return len(self) - self.num_positive

    def where(self, chosen: NDArray[np.bool_]) -> "PairTable":
        """The pairs whose flag in `chosen`, bool (P,), is set, in their order."""
        return PairTable(self.left[chosen], self.right[chosen], self.label[chosen])

    def items(self) -> NDArray[np.int64]:
        """int64 (M,), row numbers of every item of these pairs, ascending, each once."""
        return np.unique(np.concatenate([self.left, self.right]))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Everything a run reads, in memory.

    Args:
        kind: What an item is.
        items: uint8, the UTF-8 bytes of each item, in order of first appearance.
        pairs: The pairs of each split, in file order.
        quarantine: Rows that were kept out.
        fingerprint: sha256, see `fingerprint_of`.
        item_class: int64 (N,), the class of each item, -1 where it is not known; None for
            data without classes.
    """

    kind: str
    items: RaggedArray
    pairs: Mapping[Split, PairTable]
    quarantine: Quarantine
    fingerprint: str
    item_class: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        classes = self.item_class
        if classes is not None and (
            classes.shape != (len(self.items),) or classes.dtype != np.int64
        ):
            raise ValueError(
                f"item_class must be int64 ({len(self.items)},), one class per item, got "
                f"{classes.dtype} {classes.shape}"
            )

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """The items of the given row numbers, int64 (R,), as strings."""
        return [self.items.row(row).tobytes().decode() for row in rows.tolist()]


def fingerprint_of(
    items: RaggedArray,
    pairs: Mapping[Split, PairTable],
    item_class: NDArray[np.int64] | None = None,
) -> str:
    """Names the data by its content: items, classes, pairs, labels, membership and order.

    File names, formats and compression do not enter; a changed row does.
    """
    digest = hashlib.sha256()

    def add(name: str, array: NDArray[np.generic]) -> None:
        # Name and size first, so that no two different sequences of arrays read alike.
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)

    add("items", items.values)
    add("offsets", items.offsets)
    if item_class is not None:
        add("classes", item_class)
    for split in SPLITS:
        if split in pairs:
            add(f"{split} left", pairs[split].left)
            add(f"{split} right", pairs[split].right)
            add(f"{split} label", pairs[split].label)
    return digest.hexdigest()
