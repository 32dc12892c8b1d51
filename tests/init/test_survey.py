"""Files that are no table as `init` reads them: what was found, and what to do."""

import gzip
import re

import pytest

from job.errors import DataError
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
