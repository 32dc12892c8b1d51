"""The parts put together: what is measured of which kind of data, as JSON and as a page."""

import json

import numpy as np
import pytest

from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.inspection.issues import find_issues
from job.inspection.measure import ClassCounts, Inspection, inspect_dataset
from job.types import SPLITS
from tests.inspection.datasets import images, labelled, sequences, text_dataset, texts

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
TEXTS = TextDataConfig(kind="text", train="t.csv")


@pytest.fixture(scope="module")
def of_texts() -> Inspection:
    return inspect_dataset(text_dataset(ROWS), section=TEXTS)


def test_pairs_of_texts_are_measured(of_texts):
    train, validation = of_texts.splits["train"], of_texts.splits["validation"]
    counts = train.counts
    assert (counts.pairs, counts.positive, counts.negative, counts.items) == (7, 5, 2, 4)
    odd = train.odd
    assert (odd.num_duplicates, odd.num_mirrored, odd.num_contradictory) == (1, 2, 2)
    # Each item counts once: cat, emu, xe and zebra.
    assert (validation.lengths.min, validation.lengths.median) == (2, 3.0)
    assert set(validation.tokens.commonest) == set("bemruxz\u00e9")
    assert not of_texts.has_drawn_pairs
    assert of_texts.shared_items["train"] == {"train": 4, "validation": 1, "test": 2}
    assert (train.classes, train.plain_images, of_texts.features) == (None, None, None)
    assert of_texts.num_contradictory_items is None


# Six classes of three items.
CLASSES = np.arange(18) // 3
ITEMS = {
    "train": range(9),
    "validation": [6, 7, 8, 9, 10, 11],
    "test": range(12, 18),
}


@pytest.fixture(scope="module")
def of_images() -> Inspection:
    pixels = np.random.default_rng(0).integers(0, 256, (18, 8, 8, 3), dtype=np.uint8)
    pixels[0] = pixels[4] = 99  # classes 0 and 1
    pixels[15] = pixels[1]  # in test and train
    dataset = labelled(images(pixels), form="decoded", item_class=CLASSES, rows=ITEMS)
    section = ImageDataConfig(kind="image", train="t.npz", rows="items", size=8)
    return inspect_dataset(dataset, section=section)


def test_labelled_images_are_measured(of_images):
    assert of_images.has_drawn_pairs
    train, validation = of_images.splits["train"], of_images.splits["validation"]
    assert validation.classes == ClassCounts(2, 3, 3.0, 3, 0, 1)
    assert (train.odd, train.lengths) == (None, None)
    assert (train.plain_images.num_plain, train.plain_images.num_images) == (2, 9)
    assert (train.counts.pairs, train.counts.items) == (18, 9)


def test_copies_of_images_are_found_across_classes_and_splits(of_images):
    assert of_images.num_contradictory_items == 2
    equal = of_images.equal_items["train"]
    assert equal == {"train": 1, "validation": 0, "test": 1}
    assert of_images.shared_items["train"]["validation"] == 3


@pytest.fixture(scope="module")
def of_sequences() -> Inspection:
    random = np.random.default_rng(0)
    values = sequences([random.standard_normal((2 + row, 3)) for row in range(18)])
    dataset = labelled(values, form="sequence", item_class=CLASSES, rows=ITEMS)
    section = SequenceDataConfig(kind="sequence", train="t.npz", rows="items")
    return inspect_dataset(dataset, section=section)


def test_labelled_sequences_are_measured(of_sequences):
    assert of_sequences.splits["train"].lengths.max == 10
    assert of_sequences.features.num_features == 3
    assert set(of_sequences.features.furthest) == set(SPLITS)
    assert 0 <= of_sequences.one_sided.left <= 1
    assert set(of_sequences.baselines["test"]) == {"resampled_cosine", "deviation_similarity"}


def test_labelled_texts_may_be_equal():
    values = texts(["same", "same", *(f"text {row}" for row in range(16))])
    dataset = labelled(values, form="text", item_class=CLASSES, rows=ITEMS)
    section = TextDataConfig(kind="text", train="t.csv", rows="items")
    it = inspect_dataset(dataset, section=section)
    assert it.equal_items["train"]["train"] == 1
    assert it.num_contradictory_items == 0


def test_classes_of_a_split_are_counted_with_their_items():
    # Sizes 4, 1, 2; 4 and 9 are known.
    found = ClassCounts.of(np.array([4, 4, 4, 4, 7, 9, 9]), training=np.array([9, 9, 4, 1]))
    assert found == ClassCounts(
        num_classes=3, least=1, median=2.0, most=4, num_single=1, num_in_training=2
    )


def clean(kind: str) -> tuple[Inspection, DataConfig]:
    """Data without a fault: 31 classes of eight, and as many in validation and test."""
    random = np.random.default_rng(0)
    classes = np.arange(93 * 8) // 8
    rows = {split: range(k * 248, (k + 1) * 248) for k, split in enumerate(SPLITS)}
    if kind == "text":
        words = ["".join(random.choice(list("abcdefgh"), 9)) for _ in classes]
        values, form, section = texts(words), "text", TEXTS
    elif kind == "sequence":
        values = sequences([random.standard_normal((5, 2)) for _ in classes])
        form, section = "sequence", SequenceDataConfig(kind="sequence", train="t.npz")
    else:
        values = images(random.integers(0, 256, (len(classes), 8, 8, 3), dtype=np.uint8))
        form, section = "decoded", ImageDataConfig(kind="image", train="t.npz", size=8)
    dataset = labelled(values, form=form, item_class=classes, rows=rows)
    return inspect_dataset(dataset, section=section), section


@pytest.mark.parametrize("kind", ["text", "sequence", "image"])
def test_nothing_is_found_in_clean_data(kind):
    inspection, section = clean(kind)
    assert find_issues(inspection, section=section) == []


def test_it_becomes_json(of_texts, of_images, of_sequences):
    record = json.loads(json.dumps(of_texts.to_json(), allow_nan=False))
    train = record["splits"]["train"]
    assert (train["num_pairs"], train["num_duplicates"], train["lengths"]["max"]) == (7, 1, 3)
    assert train["texts"]["scripts"] == {"LATIN": 1.0}
    assert record["splits"]["validation"]["unknown_tokens"]["share"] == pytest.approx(9 / 13)
    assert (train["classes"], record["features"]) == (None, None)
    assert record["training_pairs"] == "given"
    assert record["shared_items"]["test"]["train"] == 2
    assert record["baselines"]["test"]["ngram_cosine"] == 0.0
    assert record["fingerprint"] == text_dataset(ROWS).fingerprint
    record = json.loads(json.dumps(of_images.to_json(), allow_nan=False))
    assert record["equal_items"]["test"]["train"] == 1
    assert record["splits"]["train"]["plain_images"]["num_plain"] == 2
    assert (record["training_pairs"], record["one_sided_split"]) == ("drawn", "test")
    record = json.loads(json.dumps(of_sequences.to_json(), allow_nan=False))
    assert record["features"]["furthest"]["train"]["deviations"] > 0
