import pytest

from job.data.dataset import FileRows
from job.data.items.columns import GroupAndSplit, GroupSplitColumns
from job.data.quarantine import NOTHING_QUARANTINED
from job.types import Problem
from tests.data.conftest import pair_table


def rows_of(marks: GroupSplitColumns) -> FileRows:
    return marks.file_rows(pair_table([]), NOTHING_QUARANTINED)


def test_groups_are_numbered_by_first_appearance_and_splits_by_their_order():
    marks = GroupSplitColumns({"group": "who", "split": "part"})
    for cells in (("x", "test"), (7, "train"), ("7", "validation"), ("x", "test")):
        marks.add(marks.read(cells))
    assert rows_of(marks).group.tolist() == [0, 1, 1, 0]
    assert rows_of(marks).split.tolist() == [2, 0, 1, 2]


def test_groups_in_several_splits_are_known():
    marks = GroupSplitColumns({"group": "who", "split": "part"})
    rows = [("x", "test"), ("y", "train"), ("x", "test"), ("z", "train"), ("y", "test")]
    for cells in (*rows, ("y", "validation"), ("z", "validation"), ("v", "test")):
        marks.add(marks.read(cells))
    assert rows_of(marks).groups_in_several_splits == ("y", "z")


@pytest.mark.parametrize("columns", [{"group": "who"}, {"split": "part"}, {}])
def test_no_group_is_in_several_splits_without_both_columns(columns):
    marks = GroupSplitColumns(columns)
    for row in (("x", "test"), ("x", "train")):
        marks.add(
            marks.read(
                [
                    cell
                    for cell, key in zip(row, ("group", "split"), strict=True)
                    if key in columns
                ]
            )
        )
    assert rows_of(marks).groups_in_several_splits == ()


def test_a_mark_that_is_not_added_leaves_no_number():
    marks = GroupSplitColumns({"group": "who"})
    assert marks.read(("new",)) == GroupAndSplit("new", None)
    marks.add(marks.read(("x",)))
    assert rows_of(marks).group.tolist() == [0]
    assert rows_of(marks).split is None


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (("", "test"), Problem("empty", "who is empty")),
        ((1.5, "test"), Problem("malformed", "who must be a text or an integer")),
        (
            ("x", "dev"),
            Problem("split", "part must be one of train, validation, test, got 'dev'"),
        ),
    ],
)
def test_a_bad_mark_is_named(cells, problem):
    marks = GroupSplitColumns({"group": "who", "split": "part"})
    assert marks.read(cells) == problem


def test_no_cell_is_read_without_a_column():
    marks = GroupSplitColumns()
    marks.add(marks.read(()))
    assert (rows_of(marks).group, rows_of(marks).split) == (None, None)


def test_an_optional_group_follows_the_wanted_cells_and_loses_no_row():
    marks = GroupSplitColumns({"split": "part"}, optional={"group": "who"})
    for cells in (("test", "x"), ("train", ""), ("test", None), ("test", 1.5), ("test", "\0")):
        marks.add(marks.read(cells))
    assert rows_of(marks).group.tolist() == [0, -1, -1, -1, -1]
    assert rows_of(marks).split.tolist() == [2, 0, 2, 2, 2]
    assert marks.malformed == {"malformed": 1, "undecodable": 1}
