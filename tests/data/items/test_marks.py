import pytest

from job.config.data import ColumnsConfig
from job.data.items.columns import GroupAndSplit, GroupSplitColumns
from job.types import Problem


def test_groups_are_numbered_by_first_appearance_and_splits_by_their_order():
    marks = GroupSplitColumns(ColumnsConfig(group="who", split="part"), with_any=True)
    assert marks.wanted == {"group": "who", "split": "part"}
    for cells in (("x", "test"), (7, "train"), ("7", "validation"), ("x", "test")):
        marks.keep(marks.read(cells))
    assert marks.groups().tolist() == [0, 1, 1, 0]
    assert marks.splits().tolist() == [2, 0, 1, 2]


def test_groups_in_several_splits_are_known():
    marks = GroupSplitColumns(ColumnsConfig(group="who", split="part"), with_any=True)
    rows = [("x", "test"), ("y", "train"), ("x", "test"), ("z", "train"), ("y", "test")]
    for cells in (*rows, ("y", "validation"), ("z", "validation"), ("v", "test")):
        marks.keep(marks.read(cells))
    assert marks.straddling() == ["y", "z"]


@pytest.mark.parametrize("columns", [{"group": "who"}, {"split": "part"}, {}])
def test_nothing_straddles_without_both_columns(columns):
    marks = GroupSplitColumns(ColumnsConfig(**columns), with_any=True)
    for row in (("x", "test"), ("x", "train")):
        marks.keep(
            marks.read(
                [
                    cell
                    for cell, key in zip(row, ("group", "split"), strict=True)
                    if key in columns
                ]
            )
        )
    assert marks.straddling() == []


def test_a_mark_that_is_not_kept_leaves_no_number():
    marks = GroupSplitColumns(ColumnsConfig(group="who"), with_any=True)
    assert marks.read(("new",)) == GroupAndSplit("new", None)
    marks.keep(marks.read(("x",)))
    assert marks.groups().tolist() == [0]
    assert marks.splits() is None


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (("", "test"), Problem("empty", "who is empty")),
        ((1.5, "test"), Problem("malformed", "who must be a text or a whole number")),
        (
            ("x", "dev"),
            Problem("split", "part must be one of train, validation, test, got 'dev'"),
        ),
    ],
)
def test_a_bad_mark_is_named(cells, problem):
    marks = GroupSplitColumns(ColumnsConfig(group="who", split="part"), with_any=True)
    assert marks.read(cells) == problem


def test_files_of_one_split_have_no_marks():
    marks = GroupSplitColumns(ColumnsConfig(group="who", split="part"), with_any=False)
    assert marks.wanted == {}
    marks.keep(marks.read(()))
    assert (marks.groups(), marks.splits()) == (None, None)
