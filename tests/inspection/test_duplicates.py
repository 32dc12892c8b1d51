import numpy as np
import pytest

from job.inspection.duplicates import (
    PairAnomalies,
    content_of,
    equal_items,
    num_contradictory_items,
    shared_items,
)
from job.preprocessing.ragged import RaggedArray
from tests.inspection.datasets import images, pair_table, sequences, texts

CAT, KAT, DOG, A = range(4)


def rows_of(**splits):
    return {split: np.array(rows, np.int64) for split, rows in splits.items()}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Duplicates, mirrored, contradictory, identical, identical non-matches.
        ([], PairAnomalies(0, 0, 0, 0, 0)),
        ([(CAT, KAT, 1), (CAT, DOG, 0), (DOG, A, 1)], PairAnomalies(0, 0, 0, 0, 0)),
        ([(CAT, KAT, 1), (CAT, KAT, 1), (CAT, KAT, 1)], PairAnomalies(2, 0, 0, 0, 0)),
        ([(CAT, KAT, 1), (KAT, CAT, 1)], PairAnomalies(0, 1, 0, 0, 0)),
        ([(CAT, KAT, 1), (KAT, CAT, 0)], PairAnomalies(0, 1, 1, 0, 0)),
        ([(CAT, KAT, 1), (CAT, KAT, 0)], PairAnomalies(0, 0, 1, 0, 0)),
        ([(CAT, CAT, 0), (CAT, CAT, 0), (A, A, 1)], PairAnomalies(1, 0, 0, 3, 2)),
    ],
)
def test_anomalies_of_pairs_are_counted(rows, expected):
    assert PairAnomalies.of(pair_table(rows), content=np.arange(4)) == expected


def test_copies_of_an_item_count_as_the_item():
    content = np.array([CAT, CAT, DOG, A])  # KAT is a copy of CAT.
    rows = [(CAT, DOG, 1), (KAT, DOG, 1), (DOG, KAT, 0), (CAT, KAT, 0)]
    found = PairAnomalies.of(pair_table(rows), content=content)
    assert found == PairAnomalies(1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (texts(["ab", "a", "ab", "b", "a"]), [0, 1, 0, 3, 1]),
        (texts([]), []),
        # The same numbers, cut at other places.
        (sequences([np.ones((2, 1)), np.ones((1, 1)), np.ones((2, 1))]), [0, 1, 0]),
        (images(np.uint8([7, 9, 7]).repeat(8 * 8 * 3).reshape(3, 8, 8, 3)), [0, 1, 0]),
    ],
)
def test_items_are_equal_when_their_bytes_are(values, expected):
    assert content_of(values).tolist() == expected


def test_items_of_a_memory_mapped_set_are_compared(tmp_path):
    np.save(tmp_path / "values.npy", np.frombuffer(b"xyxyx", np.uint8))
    values = np.load(tmp_path / "values.npy", mmap_mode="r")
    assert content_of(RaggedArray(values, np.array([0, 2, 4, 5]))).tolist() == [0, 0, 2]


def test_items_that_splits_share_are_counted():
    rows = rows_of(train=[0, 1, 2], validation=[2, 3], test=[0, 2])
    assert shared_items(rows) == {
        "train": {"train": 3, "validation": 1, "test": 2},
        "validation": {"train": 1, "validation": 2, "test": 1},
        "test": {"train": 2, "validation": 1, "test": 2},
    }


@pytest.mark.parametrize(
    ("content", "train", "test", "within", "across"),
    [
        # A copy in the other split.
        ([0, 0], [0], [1], 0, 1),
        # The item itself is shared, which is no copy.
        ([0, 1], [0, 1], [1], 0, 0),
        # Two copies in one split, none in the other.
        ([0, 0, 2], [0, 1], [2], 1, 0),
        # An item in both splits, and a copy of it in one.
        ([0, 0], [0, 1], [1], 1, 1),
        # Three copies of one content here, two of it there: one content.
        ([0, 0, 0, 0, 0], [0, 1, 2], [3, 4], 2, 1),
        # Two contents, both in both.
        ([0, 1, 0, 1], [0, 1], [2, 3], 0, 2),
    ],
)
def test_copies_are_counted_within_a_split_and_across(content, train, test, within, across):
    found = equal_items(rows_of(train=train, test=test), content=np.array(content))
    assert found["train"]["train"] == within
    assert found["train"]["test"] == found["test"]["train"] == across


@pytest.mark.parametrize(
    ("content", "classes", "expected"),
    [
        ([0, 1, 2], [0, 1, 0], 0),
        ([0, 0, 2], [0, 0, 1], 0),
        ([0, 0, 2], [0, 1, 1], 1),
        ([0, 0, 0, 0], [0, 1, 2, 0], 1),
        ([0, 1, 0, 1], [0, 1, 1, 0], 2),
    ],
)
def test_contents_with_several_classes_are_counted_once_each(content, classes, expected):
    assert num_contradictory_items(np.array(classes), content=np.array(content)) == expected
