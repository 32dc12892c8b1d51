"""Collections whose column of items is missing, or has another name."""

import pytest
from pydantic import TypeAdapter

from job.commands.shared import reads_bucket
from job.config.data import Data
from job.errors import DataError
from job.scoring.collection import read_collection


def read(path, **columns):
    section = {"kind": "text", "train": "a.csv", "columns": columns}
    return read_collection(
        str(path),
        section=TypeAdapter(Data).validate_python(section),
        key="--within",
        access=reads_bucket(),
    )


@pytest.mark.parametrize(
    ("columns", "name"),
    [({}, "item"), ({"item": "title"}, "title"), ({"item": ["name", "street"]}, "street")],
)
def test_a_missing_column_is_named_as_the_command_line_does(tmp_path, columns, name):
    path = tmp_path / "a.csv"
    path.write_text("name,town\nabc,x\n")
    with pytest.raises(DataError, match=rf"no column '{name}'.*--item COLUMN") as caught:
        read(path, **columns)
    assert "data.columns" not in str(caught.value)


def test_another_separator_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id;item\n1;abc\n")
    with pytest.raises(DataError, match="separates its columns by ';'"):
        read(path)


def test_several_columns_are_one_item(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("name,town\nabc,x\nabc,y\nabc,x\n")
    found = read(path, item=["name", "town"])
    assert (len(found), len(found.items)) == (3, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,item\n7,abc\n,abd\n,abe\n"),
        ("a.jsonl", '{"id": 7, "item": "abc"}\n{"item": "abd"}\n{"id": null, "item": "abe"}\n'),
    ],
)
def test_a_row_may_lack_the_cell_of_a_column(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    assert read(path).column("id") == ["7", "", ""]
