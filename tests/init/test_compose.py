"""The choices of the data section, and the reason beside each."""

import csv
from pathlib import Path

import pytest

from job.init.compose import compose
from job.init.look import look


def reason_of_columns(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    choices = compose(look(path, given={}, seed=0), folder=path.parent, seed=0)
    [choice] = [choice for choice in choices if choice.key == "data.columns"]
    return choice.value, choice.why


@pytest.mark.parametrize(
    ("sides", "named", "why"),
    [
        (("left", "right"), {}, ""),
        (
            ("name_1", "name_2"),
            {"left": "name_1", "right": "name_2"},
            "their names belong together; ",
        ),
    ],
)
def test_the_group_of_pairs_has_a_reason_of_its_own(tmp_path, sides, named, why):
    rows = [(f"a{n}", f"b{n}", n % 2, f"u{n // 2 % 20}") for n in range(200)]
    found = reason_of_columns(tmp_path / "a.csv", (*sides, "label", "user"), rows)
    reported = "the quality on test is reported for each 'user'"
    assert found == ({**named, "group": "user"}, why + reported)


def test_the_group_of_items_keeps_rows_together(tmp_path):
    rows = [(f"text {n}", f"c{n % 40}", f"u{n % 40 // 2}") for n in range(240)]
    columns, why = reason_of_columns(tmp_path / "a.csv", ("text", "class", "user"), rows)
    assert columns == {"item": "text", "group": "user"}
    assert why == "the class repeats, the item does not; rows of one 'user' stay in one split"


def test_a_column_of_splits_has_a_reason_of_its_own(tmp_path):
    parts = ("train", "train", "validation", "test")
    rows = [(f"a{n}", f"b{n}", n % 2, parts[n // 2 % 4]) for n in range(200)]
    found = reason_of_columns(tmp_path / "a.csv", ("left", "right", "label", "part"), rows)
    assert found == ({"split": "part"}, "the column 'part' names the splits")
