from pathlib import Path

import numpy as np
import pytest

from job.config.data import TextDataConfig
from job.data.sources.configured import DataSource
from job.data.splits.checks import assign_rows
from job.data.splits.partition import Partition
from job.errors import DataError

MEMBERSHIP = np.array([0, 0, 1, 0, 2, 0], np.int8)


def given(*roles: str) -> dict[str, DataSource]:
    return {
        role: DataSource(f"data.{role}", f"{role}.csv", Path(f"/{role}.csv"), "table")
        for role in roles
    }


def no_cut(fractions):
    raise AssertionError("nothing is to be cut")


def test_rows_that_say_their_split_are_not_cut():
    section = TextDataConfig(train="train.csv", columns={"split": "part"})
    division = assign_rows(
        section, given=given("train"), marks=MEMBERSHIP, num_rows=6, cut=no_cut
    )
    assert division.of("train").tolist() == [True, True, False, True, False, True]
    assert division.of("test").tolist() == [False] * 4 + [True, False]
    assert set(division.origins.values()) == {"data.columns.split: 'part'"}


def test_a_split_that_no_row_says_is_refused():
    section = TextDataConfig(train="train.csv", columns={"split": "part"})
    with pytest.raises(DataError, match=r"'part' of 'train\.csv' names no row of validation\."):
        assign_rows(
            section,
            given=given("train"),
            marks=np.array([0, 2], np.int8),
            num_rows=2,
            cut=no_cut,
        )


def test_rows_beside_given_files_are_all_for_training():
    section = TextDataConfig(train="train.csv", validation="v.csv", test="t.csv")
    division = assign_rows(
        section,
        given=given("train", "validation", "test"),
        marks=None,
        num_rows=3,
        cut=no_cut,
    )
    assert division.of("train").all()
    assert division.origins == {
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
def test_only_splits_without_a_file_are_cut(file, wanted):
    section = TextDataConfig(
        train="train.csv", split={"validation_fraction": 0.2, "test_fraction": 0.3, "by": "row"}
    )
    asked = []

    def cut(fractions):
        asked.append(fractions)
        splits = ("train", "validation", "test")
        membership = np.array([splits.index(split) for split in fractions], np.int8)
        return Partition(membership, 3, 0.5, "rows", "pairs")

    division = assign_rows(
        section,
        given=given("train", *([file] if file else [])),
        marks=None,
        num_rows=len(wanted),
        cut=cut,
    )
    assert asked == [pytest.approx(wanted)]
    for split in wanted:
        assert division.origins[split] == "data.split.by: row"
    if file:
        assert division.origins[file] == f"data.{file}: '{file}.csv'"


def test_a_cut_that_leaves_a_split_empty_is_refused():
    def cut(fractions):
        return Partition(np.array([0, 0, 2], np.int8), 2, 0.5, "groups", "items")

    section = TextDataConfig(train="train.csv", split={"by": "row"})
    with pytest.raises(DataError, match="row leaves nothing for validation: the training file"):
        assign_rows(section, given=given("train"), marks=None, num_rows=3, cut=cut)


def test_a_cut_that_gives_a_split_far_too_little_is_warned_of(caplog):
    def cut(fractions):
        return Partition(np.array([0] * 97 + [1] + [2] * 2, np.int8), 2, 0.5, "groups", "items")

    section = TextDataConfig(
        train="train.csv",
        split={"by": "row", "validation_fraction": 0.03, "test_fraction": 0.03},
    )
    assign_rows(section, given=given("train"), marks=None, num_rows=100, cut=cut)
    assert [(r.message, r.split) for r in caplog.records] == [
        ("split smaller than asked for", "validation")
    ]
