"""Small data sets of every form, and dying at any call to the system."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import (
    Dataset,
    Form,
    Groups,
    ItemTable,
    PairTable,
    SplitCounts,
    Statistics,
    fingerprint_of,
)
from job.data.packed.open_packed import open_pack
from job.data.packed.pack import write_pack
from job.data.quarantine import BadRow, Quarantine
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import CharacterVocabulary
from job.types import Json, Split

BAD_ROW = BadRow("train.csv", 7, "label", "label must be 0 or 1, got '2'", "['a', 'b', '2']")
SYSTEM_CALLS = ("open", "write", "fsync", "mkdir", "rename", "unlink", "rmdir")


def pair_table(*rows: tuple[int, int, int]) -> PairTable:
    left, right, label = np.array(rows, np.int64).reshape(-1, 3).T
    return PairTable(left.copy(), right.copy(), label.astype(np.uint8))


def items_of(
    form: Form, *, num_items: int = 6, seed: int = 0
) -> tuple[RaggedArray, Statistics]:
    """Items of different lengths and what is counted over them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 5, num_items)
    offsets = offsets_of(lengths)
    if form == "sequence":
        sequences = RaggedArray(rng.normal(size=(offsets[-1], 2)).astype(np.float32), offsets)
        return sequences, FeatureStats.of(sequences, np.arange(num_items))
    if form == "decoded":
        pixels = rng.integers(0, 256, (num_items * 8, 8, 3), np.uint8)
        return RaggedArray(pixels, np.arange(num_items + 1) * 8), None
    letters = rng.integers(97, 123, offsets[-1]).astype(np.uint8)
    if form == "encoded":
        return RaggedArray(letters, offsets), None
    return RaggedArray(letters, offsets), CharacterVocabulary("abcxyz\u00e9")


def dataset_of(form: Form = "text", *, with_classes: bool = False, seed: int = 0) -> Dataset:
    values, statistics = items_of(form, seed=seed)
    classes = np.array([0, 0, 1, 1, 2, 2], np.int64) if with_classes else None
    items = ItemTable(form, values, classes)
    pairs: dict[Split, PairTable] = {
        "train": pair_table((0, 1, 1), (2, 3, 0), (1, 2, 0)),
        "validation": pair_table((4, 5, 1), (4, 0, 0)),
        "test": pair_table((3, 5, 1), (3, 4, 0)),
    }
    counts = {split: SplitCounts.of(table, items) for split, table in pairs.items()}
    training_items = None
    if with_classes:
        training_items = np.arange(4)
        del pairs["train"]
        counts["train"] = SplitCounts(pairs=8, positive=4, items=4, classes=2)
    return Dataset(
        items,
        pairs,
        training_items,
        statistics,
        counts,
        Quarantine(9, {"label": 1}, (BAD_ROW,)),
        fingerprint_of(items, pairs, training_items),
    )


def named_dataset_of(*, with_classes: bool) -> Dataset:
    """A data set that knows the names of its classes, or the groups of its test pairs."""
    dataset = dataset_of(with_classes=with_classes)
    names = RaggedArray.from_bytes([b"4", "\u00e9".encode(), b"a b"])
    if with_classes:
        return replace(dataset, items=replace(dataset.items, class_names=names))
    test = replace(dataset.pairs["test"], groups=Groups(np.array([2, -1]), names))
    return replace(dataset, pairs={**dataset.pairs, "test": test})


def section_of(form: Form = "text", *, with_classes: bool = False, **given: Any) -> DataConfig:
    """A data section that could have led to such a data set."""
    given = {"train": "train.csv", "rows": "items" if with_classes else "pairs"} | given
    if form == "text":
        return TextDataConfig.model_validate(given)
    if form == "sequence":
        return SequenceDataConfig.model_validate(given)
    return ImageDataConfig.model_validate({"storage": form} | given)


def record_of(section: DataConfig) -> dict[str, Json]:
    return section.model_dump(mode="json")


DATA = record_of(section_of())


def pack(dataset: Dataset, folder: Path, **options: Any) -> None:
    write_pack(dataset, folder=folder, **{"data": DATA, "seed": 0} | options)


def opened(folder: Path, **options: Any) -> Dataset:
    return open_pack(folder, **{"data": DATA, "seed": 0} | options)


def assert_same(one: Dataset, other: Dataset) -> None:
    """Two data sets hold the same, wherever their arrays lie."""
    assert one.items.form == other.items.form
    np.testing.assert_array_equal(one.items.values.values, other.items.values.values)
    assert one.items.values.values.dtype == other.items.values.values.dtype
    np.testing.assert_array_equal(one.items.values.offsets, other.items.values.offsets)
    for mine, yours in (
        (one.items.item_class, other.items.item_class),
        (one.training_items, other.training_items),
    ):
        assert (mine is None) == (yours is None)
        if mine is not None and yours is not None:
            np.testing.assert_array_equal(mine, yours)
    assert_same_names(one.items.class_names, other.items.class_names)
    assert one.pairs.keys() == other.pairs.keys()
    for split, pairs in one.pairs.items():
        mine, yours = pairs.groups, other.pairs[split].groups
        assert (mine is None) == (yours is None)
        if mine is not None and yours is not None:
            np.testing.assert_array_equal(mine.number, yours.number)
            assert_same_names(mine.names, yours.names)
        for side in ("left", "right", "label"):
            np.testing.assert_array_equal(
                getattr(pairs, side), getattr(other.pairs[split], side)
            )
    assert one.statistics == other.statistics
    assert one.counts == other.counts
    assert one.quarantine == other.quarantine
    assert one.fingerprint == other.fingerprint


def assert_same_names(one: RaggedArray | None, other: RaggedArray | None) -> None:
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert len(one) == len(other)
        assert [one.text(n) for n in range(len(one))] == [
            other.text(n) for n in range(len(other))
        ]


class Crash(BaseException):
    """Stands for the process ending here: no `except` of the code under test may run on it."""


class Calls:
    """Counts what is asked of the system, and does `what` instead of, or after, one call.

    Args:
        at: Number of that call, counted from 1; None: none.
        what: Raises.
        after: Whether the call is carried out first.
    """

    def __init__(
        self, *, at: int | None, what: Callable[[], None], after: bool = False
    ) -> None:
        self.at, self.what, self.after = at, what, after
        self.made: list[str] = []

    def around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.made.append(name)
            if len(self.made) != self.at:
                return real(*args, **options)
            if self.after:
                with suppress(OSError):  # an answer that nobody hears, good or bad
                    real(*args, **options)
            return self.what()

        return call


@contextmanager
def counted(calls: Calls) -> Iterator[Calls]:
    """Lets `calls` see every call to the system that changes something."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SYSTEM_CALLS:
            patch.setattr(os, name, calls.around(name, getattr(os, name)))
        yield calls


def crash() -> None:
    raise Crash


def flip(path: Path, at: int) -> None:
    """Turns one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
