import dataclasses

import numpy as np
import pytest

from job.config.sampling import ClassSamplingConfig, PairSamplingConfig
from job.data.dataset import Groups, ItemTable, PairTable, SplitCounts, fingerprint_of
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import WordVocabulary
from tests.data.conftest import dataset_of, pair_table

ROWS = {
    "train": [("cat", "kat", 1), ("cat", "dog", 0)],
    "validation": [("dog", "dog", 1)],
    "test": [("\u00e9", "e", 0)],
}


def test_counts_and_items_of_pairs():
    pairs = pair_table([(5, 2, 1), (2, 5, 0), (7, 2, 1)])
    assert (len(pairs), pairs.num_positive, pairs.num_negative) == (3, 2, 1)
    assert pairs.items().tolist() == [2, 5, 7]


def test_where_keeps_order():
    pairs = pair_table([(0, 1, 1), (2, 3, 0), (4, 5, 1)])
    chosen = pairs.where(np.array([True, False, True]))
    assert (chosen.left.tolist(), chosen.right.tolist()) == ([0, 4], [1, 5])
    assert chosen.label.tolist() == [1, 1]


def test_chosen_pairs_keep_their_groups():
    groups = Groups(np.array([1, -1, 0]), RaggedArray.from_bytes([b"x", b"y"]))
    pairs = dataclasses.replace(pair_table([(0, 1, 1), (2, 3, 0), (4, 5, 1)]), groups=groups)
    assert pairs.where(np.array([True, False, True])).groups.number.tolist() == [1, 0]
    taken = pairs.take(np.array([2, 1, 2])).groups
    assert taken.number.tolist() == [0, -1, 0]
    assert taken.names.text(1) == "y"
    with pytest.raises(ValueError, match=r"groups must be int64 \(3,\), one per pair"):
        dataclasses.replace(pairs, groups=Groups(np.array([1, 0]), groups.names))


@pytest.mark.parametrize("field", ["left", "right", "label"])
@pytest.mark.parametrize("wrong", ["shape", "dtype"])
def test_columns_of_different_make_are_refused(field, wrong):
    pairs = pair_table([(0, 1, 1), (2, 3, 0)])
    column = getattr(pairs, field)
    bad = column[:1] if wrong == "shape" else column.astype(np.int32)
    with pytest.raises(ValueError, match="one shape"):
        dataclasses.replace(pairs, **{field: bad})


def test_texts_come_back():
    dataset = dataset_of(ROWS)
    assert dataset.items.texts(np.array([3, 0, 0])) == ["\u00e9", "cat", "cat"]


def test_the_fingerprint_is_pinned():
    dataset = dataset_of(ROWS)
    assert dataset.fingerprint == FINGERPRINT
    assert fingerprint_of(dataset.items, dict(reversed(dataset.pairs.items()))) == FINGERPRINT


# Checkpoints store it: it may change only together with their format.
FINGERPRINT = "edde4dd6bdb665f6292f6fe0779f35ebe6b7660369a5c6f96562313ecd4fd7d1"


def texts(*rows):
    return ItemTable("text", RaggedArray.from_bytes(rows))


def change(dataset, what):
    items, pairs = dataset.items, dict(dataset.pairs)
    train = pairs["train"]
    match what:
        case "item":
            items = texts(b"cot", b"kat", b"dog", b"\xc3\xa9", b"e")
        case "item border":
            items = texts(b"catk", b"at", b"dog", b"\xc3\xa9", b"e")
        case "label":
            pairs["train"] = dataclasses.replace(train, label=1 - train.label)
        case "sides":
            pairs["train"] = PairTable(train.right, train.left, train.label)
        case "order":
            pairs["train"] = PairTable(train.left[::-1], train.right[::-1], train.label[::-1])
        case "membership":
            pairs["validation"], pairs["test"] = pairs["test"], pairs["validation"]
        case "split":
            del pairs["test"]
    return fingerprint_of(items, pairs)


@pytest.mark.parametrize(
    "what", ["item", "item border", "label", "sides", "order", "membership", "split"]
)
def test_the_fingerprint_sees_every_change(what):
    dataset = dataset_of(ROWS)
    assert change(dataset, "nothing") == dataset.fingerprint
    assert change(dataset, what) != dataset.fingerprint


@pytest.mark.parametrize("classes", [np.zeros(4, np.int64), np.zeros(5, np.int32)])
def test_classes_that_are_not_one_int64_per_item_are_refused(classes):
    dataset = dataset_of(ROWS)
    with pytest.raises(ValueError, match=r"item_class must be int64 \(5,\)"):
        dataclasses.replace(dataset.items, item_class=classes)


def test_the_fingerprint_sees_classes_and_stays_without_them():
    dataset = dataset_of(ROWS)
    assert dataset.items.item_class is None
    prints = {
        fingerprint_of(dataclasses.replace(dataset.items, item_class=classes), dataset.pairs)
        for classes in (None, np.arange(5), np.zeros(5, np.int64))
    }
    assert len(prints) == 3
    assert FINGERPRINT in prints


def test_the_fingerprint_does_not_see_names_and_groups():
    dataset = dataset_of(ROWS)
    names = RaggedArray.from_bytes([b"x"])
    items = dataclasses.replace(dataset.items, class_names=names)
    train = dataset.pairs["train"]
    grouped = dataclasses.replace(train, groups=Groups(np.zeros(2, np.int64), names))
    assert fingerprint_of(items, {**dataset.pairs, "train": grouped}) == FINGERPRINT


def test_the_fingerprint_sees_which_words_have_numbers():
    dataset = dataset_of(ROWS)
    prints = {
        fingerprint_of(dataset.items, dataset.pairs, statistics=statistics)
        for statistics in (
            dataset.statistics,
            WordVocabulary(("a", "b")),
            WordVocabulary(("b", "a")),
            WordVocabulary(("ab",)),
        )
    }
    assert len(prints) == 4
    # Characters follow from the items.
    assert FINGERPRINT in prints


def test_the_fingerprint_sees_which_items_training_pairs_are_drawn_from():
    dataset = dataset_of(ROWS)
    prints = {
        fingerprint_of(dataset.items, dataset.pairs, rows)
        for rows in (None, np.arange(2), np.arange(3))
    }
    assert len(prints) == 3


def test_the_class_of_an_item_is_unknown_without_classes():
    items = dataset_of(ROWS).items
    rows = np.array([2, 0, 2])
    assert items.classes_of(rows).tolist() == [-1, -1, -1]
    known = dataclasses.replace(items, item_class=np.array([5, 6, 7, 8, 9]))
    assert known.classes_of(rows).tolist() == [7, 5, 7]


def test_only_texts_are_texts():
    images = ItemTable("decoded", RaggedArray(np.zeros((8, 8, 3), np.uint8), np.array([0, 8])))
    assert images.kind == "image"
    with pytest.raises(ValueError, match="decoded are not texts"):
        images.texts(np.array([0]))


def test_an_epoch_of_drawn_pairs_is_counted_by_how_they_are_drawn():
    held = SplitCounts(0, 0, items=10, classes=3)
    assert held.drawn_by(PairSamplingConfig()) == SplitCounts(20, 10, 10, 3)
    some = PairSamplingConfig(positives_per_epoch=4, negatives_per_epoch=7)
    assert held.drawn_by(some) == SplitCounts(11, 4, 10, 3)
    assert held.drawn_by(ClassSamplingConfig()) == SplitCounts(5, 5, 10, 3)
    assert held.drawn_by(ClassSamplingConfig(pairs_per_epoch=9)) == SplitCounts(9, 9, 10, 3)
