"""Data sets of every kind, from what a test says its items are."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from job.config.data import CharactersConfig
from job.data.dataset import (
    Dataset,
    Form,
    ItemTable,
    PairTable,
    SplitCounts,
    Statistics,
    fingerprint_of,
)
from job.data.quarantine import NOTHING_QUARANTINED
from job.data.sampling.evaluation_pairs import draw_evaluation_pairs
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import Vocabulary, build_vocabulary
from job.types import SPLITS, Split

Row = tuple[int, int, int]

# Items of three splits by number, for labelled data.
Rows = Mapping[Split, Sequence[int]]


def pair_table(rows: Sequence[Row]) -> PairTable:
    left, right, label = np.array(rows, np.int64).reshape(-1, 3).T
    return PairTable(left.copy(), right.copy(), label.astype(np.uint8))


def text_dataset(rows: Mapping[Split, Sequence[tuple[str, str, int]]]) -> Dataset:
    """Pairs of texts; each distinct text is one item."""
    numbers: dict[str, int] = {}
    numbered: dict[Split, list[Row]] = {
        split: [
            (
                numbers.setdefault(left, len(numbers)),
                numbers.setdefault(right, len(numbers)),
                label,
            )
            for left, right, label in chosen
        ]
        for split, chosen in rows.items()
    }
    items = ItemTable("text", texts(list(numbers)))
    pairs = {split: pair_table(chosen) for split, chosen in numbered.items()}
    return given(items, pairs, statistics=characters(items, pairs["train"].items()))


def given(
    items: ItemTable, pairs: Mapping[Split, PairTable], *, statistics: Statistics
) -> Dataset:
    """Items whose pairs are given for all three splits."""
    return Dataset(
        items=items,
        pairs=pairs,
        training_items=None,
        statistics=statistics,
        counts={split: SplitCounts.of(table, items) for split, table in pairs.items()},
        quarantine=NOTHING_QUARANTINED,
        fingerprint=fingerprint_of(items, pairs),
    )


def labelled(
    values: RaggedArray, *, form: Form, item_class: Sequence[int], rows: Rows
) -> Dataset:
    """Items with classes, whose pairs are drawn."""
    classes = np.array(item_class, np.int64)
    items = ItemTable(form, values, classes)
    chosen = {split: np.array(rows[split], np.int64) for split in SPLITS}
    pairs = {
        split: draw_evaluation_pairs(
            classes, rows=chosen[split], num_pairs=200, seed=0, split=split
        )
        for split in SPLITS
        if split != "train"
    }
    train = chosen["train"]
    statistics: Statistics = None
    if form == "sequence":
        statistics = FeatureStats.of(values, train)
    if form == "text":
        statistics = characters(items, train)
    counts = {split: SplitCounts.of(table, items) for split, table in pairs.items()}
    num_classes = len(np.unique(classes[train]))
    return Dataset(
        items=items,
        pairs=pairs,
        training_items=train,
        statistics=statistics,
        counts={
            "train": SplitCounts(2 * len(train), len(train), len(train), num_classes),
            **counts,
        },
        quarantine=NOTHING_QUARANTINED,
        fingerprint=fingerprint_of(items, pairs, train),
    )


def characters(items: ItemTable, rows: NDArray[np.int64]) -> Vocabulary:
    return build_vocabulary(CharactersConfig(), items=items.values, rows=rows)


def texts(items: Sequence[str]) -> RaggedArray:
    return RaggedArray.from_bytes([item.encode() for item in items])


def sequences(items: Sequence[np.ndarray]) -> RaggedArray:
    """Each (time, features)."""
    lengths = np.array([len(item) for item in items], np.int64)
    return RaggedArray(np.concatenate(items).astype(np.float32), offsets_of(lengths))


def images(pixels: np.ndarray) -> RaggedArray:
    """uint8 (N, S, S, 3), decoded."""
    count, size = pixels.shape[:2]
    offsets = offsets_of(np.full(count, size, np.int64))
    return RaggedArray(pixels.reshape(count * size, size, 3), offsets)
