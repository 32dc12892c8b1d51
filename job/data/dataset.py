"""The one data model: unique items, and pairs as row numbers into them.

An item is stored, tokenised and embedded once, however many pairs contain it, and an item that
two splits share has one row number in both. Arrays may be memory-mapped: nothing here copies
one, and counts that would read a whole one are computed when a dataset is made.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from job.config.sampling import ClassSamplingConfig, Sampling
from job.data.quarantine import Quarantine
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import Vocabulary, WordVocabulary
from job.types import SPLITS, Kind, Split

# What the values of an item are:
#   text      uint8 (V,): UTF-8 bytes
#   sequence  float32 (V, F): time steps
#   encoded   uint8 (V,): a PNG or JPEG file
#   decoded   uint8 (V, S, 3): rows of an image of S x S pixels, S of them an item
Form = Literal["text", "sequence", "encoded", "decoded"]

KIND_OF: Mapping[Form, Kind] = {
    "text": "text",
    "sequence": "sequence",
    "encoded": "image",
    "decoded": "image",
}

# Statistics of the training items: of texts, of sequences, of images.
Statistics = Vocabulary | FeatureStats | None


@dataclass(frozen=True, eq=False)
class ItemTable:
    """N unique items, in order of first appearance in train, validation, test.

    Args:
        form: What the values are.
        values: One row an item.
        item_class: int64 (N,), the class of each item, numbered by first appearance; None for
            data without classes.
        class_names: uint8 rows, the name of each class in UTF-8, by its number; None for data
            without classes.
    """

    form: Form
    values: RaggedArray
    item_class: NDArray[np.int64] | None = None
    class_names: RaggedArray | None = None

    def __post_init__(self) -> None:
        classes = self.item_class
        if classes is not None and (classes.shape != (len(self),) or classes.dtype != np.int64):
            raise ValueError(
                f"item_class must be int64 ({len(self)},), one class per item, got "
                f"{classes.dtype} {classes.shape}"
            )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def kind(self) -> Kind:
        """What an item is."""
        return KIND_OF[self.form]

    def classes_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The class of each item of int64 (R,), -1 where classes are not known."""
        return np.full_like(rows, -1) if self.item_class is None else self.item_class[rows]

    def class_name(self, number: int) -> str:
        """The name of a class; its number where names are not known."""
        return str(number) if self.class_names is None else self.class_names.text(number)

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """The texts of the given row numbers, int64 (R,), as strings."""
        if self.form != "text":
            raise ValueError(f"items of the form {self.form} are not texts")
        return [self.values.text(row) for row in rows.tolist()]


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of P pairs, such as the person that each is about.

    Args:
        number: int64 (P,), the group of each pair, from 0; -1 for a pair without one.
        names: uint8 rows, the name of each group in UTF-8, by its number.
    """

    number: NDArray[np.int64]
    names: RaggedArray


@dataclass(frozen=True, eq=False)
class PairTable:
    """P pairs of items.

    Args:
        left: int64 (P,), row numbers into the items.
        right: int64 (P,), row numbers into the items.
        label: uint8 (P,), 1 = match, 0 = no match.
        groups: Of each pair; None if they are not known. Of a data set, test alone has them.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    label: NDArray[np.uint8]
    groups: Groups | None = None

    def __post_init__(self) -> None:
        shapes = {self.left.shape, self.right.shape, self.label.shape}
        dtypes = [str(array.dtype) for array in (self.left, self.right, self.label)]
        if shapes != {(len(self.left),)} or dtypes != ["int64", "int64", "uint8"]:
            raise ValueError(
                "left, right (int64) and label (uint8) must have one shape (P,), got "
                f"{self.left.shape}, {self.right.shape}, {self.label.shape} of {dtypes}"
            )
        number = None if self.groups is None else self.groups.number
        if number is not None and (number.shape, str(number.dtype)) != ((len(self),), "int64"):
            raise ValueError(
                f"groups must be int64 ({len(self)},), one per pair, got {number.dtype} "
                f"{number.shape}"
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
        return self._rows(chosen)

    def take(self, rows: NDArray[np.int64]) -> "PairTable":
        """The pairs of the given numbers, int64 (R,), in that order."""
        return self._rows(rows)

    def items(self) -> NDArray[np.int64]:
        """int64 (M,), row numbers of every item of these pairs, ascending, each once."""
        return np.unique(np.concatenate([self.left, self.right]))

    def _rows(self, index: NDArray[np.generic]) -> "PairTable":
        groups = self.groups and replace(self.groups, number=self.groups.number[index])
        return PairTable(self.left[index], self.right[index], self.label[index], groups)


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """R rows of labelled items, from which pairs are drawn.

    Args:
        item: int64 (R,), row numbers into the items, repeats allowed.
        item_class: int64 (R,), the class of each.
    """

    item: NDArray[np.int64]
    item_class: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.item)

    def where(self, chosen: NDArray[np.bool_]) -> "LabelledRows":
        """The rows whose flag in `chosen`, bool (R,), is set, in their order."""
        return LabelledRows(self.item[chosen], self.item_class[chosen])

    def items(self) -> NDArray[np.int64]:
        """int64 (M,), row numbers of every item, ascending, each once."""
        return np.unique(self.item)

    def class_sizes(self) -> NDArray[np.int64]:
        """int64 (C,), distinct items of each class that occurs."""
        first = np.unique(self.item, return_index=True)[1]
        return np.unique(self.item_class[first], return_counts=True)[1]


# What the rows of a file are.
Rows = PairTable | LabelledRows


def concatenated(parts: Sequence[Rows]) -> Rows:
    """The rows of one or more files of one split, in their order; all of them of one type.

    Pairs have no groups yet: those of all files are numbered together.
    """
    if len(parts) == 1:
        return parts[0]
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name, value in vars(parts[0]).items()
        if value is not None
    }
    return type(parts[0])(**arrays)


@dataclass(frozen=True, eq=False)
class FileRows:
    """The valid rows of the files of one split, R of them in order, and the rejected ones.

    Args:
        rows: Pairs, or labelled items.
        group: int64 (R,), the group of each row, numbered from 0, -1 for none; None if no row
            has one.
        split: int8 (R,), index into SPLITS of each row; None without such a column.
        groups_in_several_splits: Names of the groups whose rows are in several splits.
        quarantine: The rejected rows.
    """

    rows: Rows
    group: NDArray[np.int64] | None
    split: NDArray[np.int8] | None
    groups_in_several_splits: tuple[str, ...]
    quarantine: Quarantine


@dataclass(frozen=True)
class SplitCounts:
    """The size of a split.

    Attributes:
        pairs: Number of pairs; for labelled training items: in an epoch.
        positive: Number of matches.
        items: Number of distinct items.
        classes: Number of distinct classes of these items; None for data without classes.
    """

    pairs: int
    positive: int
    items: int
    classes: int | None = None

    @property
    def negative(self) -> int:
        return self.pairs - self.positive

    @classmethod
    def of(cls, pairs: PairTable, items: ItemTable) -> "SplitCounts":
        """Counts the pairs of a split; reads all of them."""
        rows = pairs.items()
        classes = None if items.item_class is None else len(np.unique(items.item_class[rows]))
        return cls(len(pairs), pairs.num_positive, len(rows), classes)

    def drawn_by(self, sampling: Sampling) -> "SplitCounts":
        """The same items with the number of pairs that an epoch draws from them."""
        if isinstance(sampling, ClassSamplingConfig):
            pairs = sampling.pairs_per_epoch or self.items // 2
            return replace(self, pairs=pairs, positive=pairs)
        positive = sampling.positives_per_epoch or self.items
        negative = sampling.negatives_per_epoch or self.items
        return replace(self, pairs=positive + negative, positive=positive)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Everything a run reads.

    Args:
        items: The items of all splits.
        pairs: The pairs of each split, in file order. If training pairs are drawn from
            labelled items: of validation and test only.
        training_items: int64 (M,), items that training pairs are drawn from, ascending; None
            if `pairs` has training pairs.
        statistics: Statistics of the training items.
        counts: Size of each split.
        quarantine: Rejected rows.
        fingerprint: sha256, see `fingerprint_of`.
    """

    items: ItemTable
    pairs: Mapping[Split, PairTable]
    training_items: NDArray[np.int64] | None
    statistics: Statistics
    counts: Mapping[Split, SplitCounts]
    quarantine: Quarantine
    fingerprint: str

    @property
    def kind(self) -> Kind:
        """What an item is."""
        return self.items.kind


def fingerprint_of(
    items: ItemTable,
    pairs: Mapping[Split, PairTable],
    training_items: NDArray[np.int64] | None = None,
    *,
    statistics: Statistics = None,
) -> str:
    """Hashes the content of the data: items, classes, pairs, labels, membership and order.

    File names, formats and compression do not change it; a changed row does. Words are hashed
    too: they depend on the release of regex, and other words would give the rows of an
    embedding table another meaning.
    """
    digest = hashlib.sha256()

    def add(name: str, array: NDArray[np.generic]) -> None:
        # Name and size first, so that no two different sequences of arrays read alike.
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)

    add("items", items.values.values)
    add("offsets", items.values.offsets)
    if items.item_class is not None:
        add("classes", items.item_class)
    if training_items is not None:
        add("training items", training_items)
    if isinstance(statistics, WordVocabulary):
        words = "\0".join(statistics.tokens).encode()
        add("words", np.frombuffer(words, np.uint8))
    for split in SPLITS:
        if split in pairs:
            add(f"{split} left", pairs[split].left)
            add(f"{split} right", pairs[split].right)
            add(f"{split} label", pairs[split].label)
    return digest.hexdigest()
