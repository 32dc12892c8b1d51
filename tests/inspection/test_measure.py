"""The parts put together: what is asked of which kind of data, and what becomes of it."""

import json

import numpy as np
import pytest

from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.inspection.chunking import Distribution
from job.inspection.measure import inspect_dataset
from job.types import SPLITS
from tests.inspection.datasets import labelled, pictures, sequences, text_dataset, texts

ROWS = {
    "train": [
        ("cat", "kat", 1),
        ("cat", "kat", 1),
        ("kat", "cat", 1),
        ("cat", "kat", 0),
        ("dog", "dog", 1),
        ("dog", "a", 0),
        ("a", "dog", 1),
    ],
    "validation": [("cat", "\u00e9mu", 1), ("x\u00e9", "zebra", 0)],
    "test": [("dog", "god", 0), ("kat", "\u00e9mu", 1)],
}


def inspected(dataset, section: DataConfig):
    return inspect_dataset(dataset, section=section, seed=0, global_batch_size=4)


@pytest.fixture(scope="module")
def inspection():
    return inspected(text_dataset(ROWS), TextDataConfig(kind="text", train="t.csv"))


def test_counts_of_a_split(inspection):
    train = inspection.splits["train"]
    counts = train.counts
    assert (counts.pairs, counts.positive, counts.negative, counts.items) == (7, 5, 2, 4)
    assert train.num_looked_at == 7
    assert inspection.num_items == 8
    assert not inspection.has_drawn_pairs


def test_odd_pairs_of_a_split(inspection):
    odd = inspection.splits["train"].odd
    assert (odd.num_duplicates, odd.num_mirrored, odd.num_contradictory) == (1, 2, 2)
    assert odd.num_identical == 1


def test_lengths_are_in_characters_and_of_each_item_once(inspection):
    # Lengths of cat, kat, dog, a: 1, 3, 3, 3.
    assert inspection.splits["train"].lengths == Distribution(1, 3.0, 3.0, 3.0, 3)
    # cat, emu with an accent, xe, zebra: 2, 3, 3, 5.
    lengths = inspection.splits["validation"].lengths
    assert (lengths.min, lengths.median, lengths.max) == (2, 3.0, 5)


def test_items_that_splits_share(inspection):
    assert inspection.shared_items == {
        "train": {"train": 4, "validation": 1, "test": 2},
        "validation": {"train": 1, "validation": 4, "test": 1},
        "test": {"train": 2, "validation": 1, "test": 4},
    }
    assert not any(n for others in inspection.equal_items.values() for n in others.values())


def test_characters_that_training_never_shows(inspection):
    assert inspection.splits["train"].tokens.num_distinct == 0
    tokens = inspection.splits["validation"].tokens
    assert set(tokens.commonest) == set("bemruxz\u00e9")
    assert (tokens.num_distinct, tokens.num_items) == (8, 3)
    test = inspection.splits["test"].tokens
    assert (test.commonest, test.num_items) == (("m", "u", "\u00e9"), 1)


def test_what_other_kinds_have_is_not_asked_of_texts(inspection):
    train = inspection.splits["train"]
    assert (train.classes, train.pictures, inspection.features) == (None, None, None)
    assert inspection.num_contradictory_items is None


# Six classes of three items; two of train are pictures of one colour and equal.
CLASSES = np.arange(18) // 3
SPLIT_OF_CLASS = {"train": (0, 1, 2), "validation": (3, 2), "test": (4, 5)}
ITEMS = {
    split: np.flatnonzero(np.isin(CLASSES, classes)).tolist()
    for split, classes in SPLIT_OF_CLASS.items()
}


@pytest.fixture(scope="module")
def picture_inspection():
    pixels = np.random.default_rng(0).integers(0, 256, (18, 8, 8, 3), dtype=np.uint8)
    pixels[0] = pixels[4] = 99  # classes 0 and 1
    pixels[15] = pixels[1]  # of test and of train
    dataset = labelled(pictures(pixels), form="decoded", item_class=CLASSES, rows=ITEMS)
    section = ImageDataConfig(kind="image", train="t.npz", rows="items", size=8)
    return inspected(dataset, section)


def test_labelled_items_have_classes_and_drawn_pairs(picture_inspection):
    it = picture_inspection
    assert it.has_drawn_pairs
    assert {split: one.classes.num_classes for split, one in it.splits.items()} == {
        "train": 3,
        "validation": 2,
        "test": 2,
    }
    assert it.splits["validation"].classes.num_in_training == 1
    train = it.splits["train"]
    assert (train.counts.pairs, train.num_looked_at, train.counts.items) == (18, 18, 9)


def test_training_items_count_also_where_no_pair_was_drawn_of_them(picture_inspection):
    shared = picture_inspection.shared_items
    assert shared["train"]["train"] == 9
    assert shared["train"]["validation"] == 3


def test_equal_pictures_are_found_across_classes_and_splits(picture_inspection):
    assert picture_inspection.num_contradictory_items == 2
    equal = picture_inspection.equal_items
    assert equal["train"]["train"] == 1
    assert (equal["train"]["test"], equal["train"]["validation"]) == (1, 0)


def test_pictures_have_no_lengths(picture_inspection):
    train = picture_inspection.splits["train"]
    assert train.lengths is None
    assert (train.pictures.num_plain, train.pictures.num_looked_at) == (2, 9)


@pytest.fixture(scope="module")
def sequence_inspection():
    random = np.random.default_rng(0)
    values = sequences([random.standard_normal((2 + row, 3)) for row in range(18)])
    dataset = labelled(values, form="sequence", item_class=CLASSES, rows=ITEMS)
    section = SequenceDataConfig(kind="sequence", train="t.npz", rows="items")
    return inspected(dataset, section)


def test_sequences_have_lengths_in_time_steps_and_features(sequence_inspection):
    assert sequence_inspection.splits["train"].lengths.max == 10
    assert sequence_inspection.features.num_features == 3
    assert set(sequence_inspection.features.furthest) == set(SPLITS)


def test_one_sided_guessing_is_asked_of_drawn_pairs(sequence_inspection):
    it = sequence_inspection.one_sided
    assert 0 <= it.left <= 1
    assert 0 <= it.right <= 1


def test_labelled_texts_may_be_equal():
    values = texts(["same", "same", *(f"text {row}" for row in range(16))])
    dataset = labelled(values, form="text", item_class=CLASSES, rows=ITEMS)
    section = TextDataConfig(kind="text", train="t.csv", rows="items")
    it = inspected(dataset, section)
    assert it.equal_items["train"]["train"] == 1
    assert it.num_contradictory_items == 0


def test_it_becomes_json(inspection, picture_inspection, sequence_inspection):
    record = json.loads(json.dumps(inspection.to_json(), allow_nan=False))
    train = record["splits"]["train"]
    assert (train["num_pairs"], train["num_duplicates"], train["lengths"]["max"]) == (7, 1, 3)
    assert record["splits"]["validation"]["unknown_tokens"]["share"] == pytest.approx(9 / 13)
    assert (train["classes"], record["features"], record["training_pairs"]) == (
        None,
        None,
        "given",
    )
    assert record["shared_items"]["test"]["train"] == 2
    assert record["quarantine"]["bad"] == 0
    assert record["fingerprint"] == text_dataset(ROWS).fingerprint
    record = json.loads(json.dumps(picture_inspection.to_json(), allow_nan=False))
    assert record["equal_items"]["test"]["train"] == 1
    assert record["splits"]["train"]["pictures"]["brightness"]["min"] > 0
    assert record["training_pairs"] == "drawn"
    record = json.loads(json.dumps(sequence_inspection.to_json(), allow_nan=False))
    assert record["features"]["furthest"]["train"]["deviations"] > 0
