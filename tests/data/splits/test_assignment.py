import numpy as np
import pytest

from job.config.data import TextDataConfig
from job.data.splits.assignment import assign_rows
from job.data.splits.partition import Partition
from job.errors import DataError

MEMBERSHIP = np.array([0, 0, 1, 0, 2, 0], np.int8)


def origins(*splits: str) -> dict[str, str]:
    return {split: f"data.{split}: '{split}.csv'" for split in splits}


def no_partition(fractions):
    raise AssertionError("nothing is to be partitioned")


def test_rows_that_name_their_split_are_not_partitioned():
    section = TextDataConfig(train="train.csv", columns={"split": "part"})
    assignment = assign_rows(
        section, origins=origins("train"), named=MEMBERSHIP, num_rows=6, partition=no_partition
    )
    assert assignment.of("train").tolist() == [True, True, False, True, False, True]
    assert assignment.of("test").tolist() == [False] * 4 + [True, False]
    assert set(assignment.origins.values()) == {"data.columns.split: 'part'"}


def test_a_split_that_no_row_says_is_refused():
    section = TextDataConfig(train="train.csv", columns={"split": "part"})
    with pytest.raises(DataError, match=r"'part' of 'train\.csv' names no row of validation\."):
        assign_rows(
            section,
            origins=origins("train"),
            named=np.array([0, 2], np.int8),
            num_rows=2,
            partition=no_partition,
        )


def test_rows_next_to_files_of_the_other_splits_are_all_for_training():
    section = TextDataConfig(train="train.csv", validation="v.csv", test="t.csv")
    assignment = assign_rows(
        section,
        origins=origins("train", "validation", "test"),
        named=None,
        num_rows=3,
        partition=no_partition,
    )
    assert assignment.of("train").all()
    assert assignment.origins == {
        split: f"data.{split}: '{split}.csv'" for split in ("train", "validation", "test")
    }


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        (None, {"train": 0.5, "validation": 0.2, "test": 0.3}),
        ("validation", {"train": 0.7, "test": 0.3}),
        ("test", {"train": 0.8, "validation": 0.2}),
    ],
)
def test_only_splits_without_a_file_get_rows(file, wanted):
    section = TextDataConfig(
        train="train.csv", split={"validation_fraction": 0.2, "test_fraction": 0.3, "by": "row"}
    )
    asked = []

    def partition(fractions):
        asked.append(fractions)
        splits = ("train", "validation", "test")
        membership = np.array([splits.index(split) for split in fractions], np.int8)
        return Partition(membership, 3, 0.5, "rows", "pairs")

    assignment = assign_rows(
        section,
        origins=origins("train", *([file] if file else [])),
        named=None,
        num_rows=len(wanted),
        partition=partition,
    )
    assert asked == [pytest.approx(wanted)]
    for split in wanted:
        assert assignment.origins[split] == "data.split.by: row"
    if file:
        assert assignment.origins[file] == f"data.{file}: '{file}.csv'"


def test_a_partition_that_leaves_a_split_empty_is_refused():
    def partition(fractions):
        return Partition(np.array([0, 0, 2], np.int8), 2, 0.5, "groups", "items")

    section = TextDataConfig(train="train.csv", split={"by": "row"})
    with pytest.raises(DataError, match="row leaves nothing for validation: the training file"):
        assign_rows(
            section, origins=origins("train"), named=None, num_rows=3, partition=partition
        )


def test_a_partition_that_gives_a_split_far_too_little_is_warned_of(caplog):
    def partition(fractions):
        return Partition(np.array([0] * 97 + [1] + [2] * 2, np.int8), 2, 0.5, "groups", "items")

    section = TextDataConfig(
        train="train.csv",
        split={"by": "row", "validation_fraction": 0.03, "test_fraction": 0.03},
    )
    assign_rows(
        section, origins=origins("train"), named=None, num_rows=100, partition=partition
    )
    assert [(r.message, r.split) for r in caplog.records] == [
        ("split smaller than asked for", "validation")
    ]
