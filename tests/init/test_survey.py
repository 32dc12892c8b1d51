"""Files that are no table as `init` reads them: what was found, and what to do."""

import gzip
import re

import pytest

from job.data.sources.table import Table
from job.errors import DataError
from job.init.sample import write_rows
from job.init.survey import survey_table

TABLE = "left,right,label\n" + "".join(f"a{n},b{n},{n % 2}\n" for n in range(40))


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|"), ("a.tsv", ",")]
)
def test_another_separator_is_named(tmp_path, name, separator):
    path = tmp_path / name
    path.write_text(TABLE.replace(",", separator))
    said = re.escape(f"init: '{name}' separates its columns by {separator!r}.")
    with pytest.raises(DataError, match=f"^{said}.*save it as one of these"):
        survey_table(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl"])
def test_utf16_is_named(tmp_path, name, encoding):
    path = tmp_path / name
    data = TABLE.encode(encoding)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(DataError, match=rf"'{name}' is text in UTF-16.*iconv -f UTF-16"):
        survey_table(path)


@pytest.mark.parametrize("content", [b"", b"a", b"\0\0\0"])
def test_a_short_file_is_not_taken_for_utf16(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="should name two columns"):
        survey_table(path)


def test_a_byte_order_mark_of_utf8_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(TABLE, encoding="utf-8-sig")
    assert survey_table(path).columns[0].name == "left"


@pytest.mark.parametrize("header", [",left,right,label,,", "left,,,right, ,label"])
def test_columns_without_a_name_are_left_out(tmp_path, header):
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n" + "1,2,3,4,5,6\n" * 3)
    found = survey_table(path)
    assert [column.name for column in found.columns] == ["left", "right", "label"]
    assert found.num_rows == 3


@pytest.mark.parametrize("header", ["left,left", ",left", ",,"])
def test_a_header_without_two_names_is_refused(tmp_path, header):
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n1,2\n")
    with pytest.raises(DataError, match="should name two columns"):
        survey_table(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "left,price\n" + "a,1.5\nb,\nc, \n" * 10),
        ("a.jsonl", ('{"left": "a", "price": 1.5}\n{"left": "b", "price": null}\n') * 10),
    ],
)
def test_a_column_of_numbers_may_have_gaps(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content)
    left, price = survey_table(path).columns
    assert price.is_number
    assert not left.is_number


def test_a_column_without_a_value_holds_no_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("left,price\n" + "a,\n" * 10)
    price = survey_table(path).columns[1]
    assert price.is_empty
    assert not price.is_number


def test_a_sampled_row_is_read_back_whatever_line_ends_are_in_it(tmp_path):
    rows = [["a\rb", "c\nd"], ["e\r\nf", "g"]]
    write_rows(tmp_path / "a.csv", ["left", "right"], rows)
    with Table(tmp_path / "a.csv", key="data.train", name="a.csv").records(
        {"left": "left", "right": "right"}
    ) as records:
        assert [record.fields for record in records] == [tuple(row) for row in rows]


def test_a_column_of_paths_may_have_gaps(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("left,label\n" + "a.png,1\n,0\n" * 10)
    assert survey_table(path).columns[0].kind == "image"
