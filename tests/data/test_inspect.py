import json

import numpy as np
import pytest

from job.data.inspect import Lengths, inspect_dataset
from job.data.probe import grams, one_sided_auc, roc_auc
from job.data.ragged import RaggedArray
from job.data.vocabulary import Vocabulary
from tests.data.conftest import dataset_of

ROWS = {
    "train": [
        ("cat", "kat", 1),
        ("cat", "kat", 1),  # repeated
        ("kat", "cat", 1),  # mirrored
        ("cat", "kat", 0),  # contradicts the three above
        ("dog", "dog", 1),  # item with itself, and no mirror of itself
        ("dog", "a", 0),
        ("a", "dog", 1),  # mirrored, contradictory
    ],
    "validation": [("cat", "\u00e9mu", 1), ("x\u00e9", "zebra", 0)],
    "test": [("dog", "god", 0), ("kat", "\u00e9mu", 1)],
}


@pytest.fixture(scope="module")
def inspection():
    return inspect_dataset(dataset_of(ROWS))


def test_counts_of_a_split(inspection):
    train = inspection.splits["train"]
    assert (train.num_pairs, train.num_positive, train.num_negative) == (7, 5, 2)
    assert train.num_items == 4
    assert inspection.num_items == 8


def test_odd_pairs_of_a_split(inspection):
    train = inspection.splits["train"]
    assert train.num_duplicates == 1
    assert train.num_mirrored == 2
    assert train.num_contradictory == 2
    assert train.num_identical == 1
    test = inspection.splits["test"]
    odd = (test.num_duplicates, test.num_mirrored, test.num_contradictory, test.num_identical)
    assert odd == (0, 0, 0, 0)


def test_lengths_are_in_characters_and_of_each_item_once(inspection):
    # Lengths of cat, kat, dog, a: 1, 3, 3, 3.
    assert inspection.splits["train"].lengths == Lengths(1, 3.0, 3.0, 3.0, 3)
    # cat, emu with an accent, xe, zebra: 2, 3, 3, 5; percentiles lie between by rank.
    lengths = inspection.splits["validation"].lengths
    assert (lengths.min, lengths.median, lengths.max) == (2, 3.0, 5)
    assert lengths.p90 == pytest.approx(3 + 0.7 * 2)


def test_items_that_splits_share(inspection):
    assert inspection.shared_items == {
        "train": {"train": 4, "validation": 1, "test": 2},
        "validation": {"train": 1, "validation": 4, "test": 1},
        "test": {"train": 2, "validation": 1, "test": 4},
    }


def test_characters_that_training_never_shows(inspection):
    assert inspection.splits["train"].num_unseen_characters == 0
    validation = inspection.splits["validation"]
    assert validation.unseen_characters == "bemruxz\u00e9"
    assert validation.num_unseen_characters == 8
    assert validation.num_items_with_unseen == 3
    test = inspection.splits["test"]
    assert (test.unseen_characters, test.num_items_with_unseen) == ("mu\u00e9", 1)


def test_only_the_first_unseen_characters_are_kept():
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    rows = [("0", "1", 1), ("1", "2", 0)]
    inspection = inspect_dataset(
        dataset_of({"train": rows, "validation": rows, "test": [(alphabet, "0", 1)]})
    )
    assert inspection.splits["test"].unseen_characters == alphabet[:20]
    assert inspection.splits["test"].num_unseen_characters == 26


def test_it_becomes_json(inspection):
    record = json.loads(json.dumps(inspection.to_json()))
    assert record["splits"]["train"]["lengths"]["max"] == 3
    assert record["shared_items"]["test"]["train"] == 2
    assert record["quarantine"]["bad"] == 0
    assert record["fingerprint"] == dataset_of(ROWS).fingerprint


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [
        ([0, 1], [0, 1], 1.0),
        ([1, 0], [0, 1], 0.0),
        ([1, 1], [0, 1], 0.5),
        ([0, 1, 1, 2], [0, 0, 1, 1], 0.875),  # of 4: 3 above, 1 equal
        ([3, 1, 2], [0, 1, 0], 0.0),
    ],
)
def test_roc_auc_counts_pairs_in_the_right_order(score, label, expected):
    assert roc_auc(np.array(score, np.float64), np.array(label, np.uint8)) == expected


def test_grams_stay_inside_their_item():
    tokens = RaggedArray(np.array([2, 3, 4], np.int32), np.array([0, 2, 3]))
    bucket, owner = grams(tokens)
    # "23": 3 pairs and 2 triples, its ends included; "4": 2 and 1.
    assert np.bincount(owner).tolist() == [5, 3]
    assert len(set(bucket.tolist())) == 8


def pairs_of_sides(seed: int, *, leak: str) -> list[tuple[str, str, int]]:
    """500 pairs of random words; the leaking side of a match ends in `ing`."""
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefgh"))
    rows = []
    for i in range(500):
        left, right = ("".join(random.choice(letters, 6)) for _ in range(2))
        label = i % 2
        if leak == "left" and label:
            left += "ing"
        if leak == "right" and label:
            right += "ing"
        rows.append((left, right, label))
    return rows


@pytest.mark.parametrize("leak", ["left", "right", "neither"])
def test_the_probe_finds_the_side_that_gives_the_label_away(leak):
    dataset = dataset_of(
        {"train": pairs_of_sides(0, leak=leak), "validation": pairs_of_sides(1, leak=leak)}
    )
    texts = dataset.texts(dataset.pairs["train"].items())
    tokens = Vocabulary.from_texts(texts).encode(dataset.items)
    left, right = one_sided_auc(
        tokens, train=dataset.pairs["train"], held_out=dataset.pairs["validation"]
    )
    for side, auc in (("left", left), ("right", right)):
        if side == leak:
            assert auc > 0.99
        else:
            assert 0.4 < auc < 0.6
