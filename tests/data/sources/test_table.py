import gzip
import io
import os
import zlib
from pathlib import Path

import pytest

from job.data.sources.table import (
    FREE_BYTES,
    MAX_EXPANSION,
    TABLE_FORMATS,
    Table,
    TableFormat,
    extension,
    opened,
    unknown_format,
)
from job.data.sources.table_records import Record
from job.errors import DataError, PermissionDeniedError

CSV = b"left,right,label\ncat,kat,1\ncat,dog,0\n"
JSON = b'{"left": "cat", "right": "kat", "label": 1}\n'


def read(folder: Path, content: bytes, *, name: str = "a.csv", **wanted: str) -> list:
    """The fields of every record, those of `left` and `right` unless others are wanted."""
    path = folder / name
    path.write_bytes(content)
    wanted = wanted or {"left": "left", "right": "right"}
    with Table(path, key="data.train", name=name).records(wanted) as records:
        return [tuple(record.fields) for record in records]


def test_the_fields_are_those_that_are_wanted_in_that_order(tmp_path):
    assert read(tmp_path, CSV, label="label", left="left") == [("1", "cat"), ("0", "cat")]
    found = read(tmp_path, gzip.compress(CSV), name="A.CSV.GZ", right="right", left="left")
    assert found == [("kat", "cat"), ("dog", "cat")]
    assert read(tmp_path, JSON, name="a.jsonl", label="label", left="left") == [(1, "cat")]


def test_one_column_may_mean_two_things(tmp_path):
    found = read(tmp_path, b"item,kind\na,x\n", item="item", item_class="kind", group="kind")
    assert found == [("a", "x", "x")]


def test_a_missing_column_names_those_there_are_and_the_key_to_set(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, b"Item,x\na,b\n", item="item", item_class="class")
    message = str(caught.value)
    for words in (
        "'a.csv' has no column 'item' (data.columns.item). Did you mean 'Item'?",
        "no column 'class' (data.columns.item_class)",
        "Columns of the file: 'Item', 'x'. ",
        "`data.columns.item: NAME`",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|"), ("a.tsv", ",")]
)
def test_a_table_with_another_separator_is_named_as_such(tmp_path, name, separator):
    content = CSV.replace(b",", separator.encode())
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, name=name, left="left", right="right", label="label")
    assert f"data.train: '{name}' separates its columns by {separator!r}" in str(caught.value)


def test_of_a_thousand_columns_some_are_named(tmp_path):
    header = ",".join(f"c{number}" for number in range(1000)).encode()
    with pytest.raises(DataError) as caught:
        read(tmp_path, header + b"\n")
    assert "'c49'. Name" in str(caught.value)


def test_a_doubled_column_is_refused_but_nameless_ones_are_not(tmp_path):
    with pytest.raises(DataError, match="names the column 'left' 2 times"):
        read(tmp_path, b"left,right,label,left\na,b,1,c\n")
    assert read(tmp_path, b"left,right,label,,\na,b,1,,\n") == [("a", "b")]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", gzip.compress(CSV, mtime=0), "is not UTF-8 text"),
        ("a.csv", b"PK\x03\x04 and more", "is not UTF-8 text"),
        ("a.csv", CSV.decode().encode("utf-16"), "is not UTF-8 text"),
        ("a.csv", CSV.replace(b"\n", b"\r"), "cannot be read"),
        ("a.csv.gz", gzip.compress(gzip.compress(CSV, mtime=0), mtime=0), "is not UTF-8 text"),
    ],
)
def test_a_header_that_is_not_text_is_an_error_of_the_file(tmp_path, name, content, words):
    with pytest.raises(DataError, match=f"the first line should name the columns, but {words}"):
        read(tmp_path, content, name=name)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "flipped", "plain"])
def test_damaged_gzip_is_an_error_of_the_file(tmp_path, name, damage):
    line = CSV if name == "a.csv.gz" else JSON
    whole = bytearray(gzip.compress(line + os.urandom(300).hex().encode()))
    if damage == "truncated":
        whole = whole[:-20]
    elif damage == "garbage":
        whole += b"garbage behind the end"
    elif damage == "flipped":
        whole[len(whole) // 2] ^= 0xFF
    else:
        whole = bytearray(line)
    with pytest.raises(DataError, match="is not intact gzip"):
        read(tmp_path, bytes(whole), name=name)


def packed(size: int) -> bytes:
    """A table of about that many bytes, packed as well as deflate can."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb") as file:
        file.write(b"left,right\n")
        for _ in range(size >> 16):
            file.write(b"a," + b"b" * ((1 << 16) - 3) + b"\n")
    return stream.getvalue()


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(tmp_path):
    bomb = packed(FREE_BYTES + (1 << 20))
    assert len(bomb) * MAX_EXPANSION < FREE_BYTES
    with pytest.raises(
        DataError, match=r"'a\.csv\.gz' expands to more than 200 times its size"
    ):
        read(tmp_path, bomb, name="a.csv.gz")


def test_a_small_file_may_be_packed_as_well_as_it_likes(tmp_path):
    assert len(read(tmp_path, packed(1 << 20), name="a.csv.gz")) == 16


def test_a_large_file_of_real_data_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("job.data.sources.table.FREE_BYTES", 1 << 10)
    rows = b"".join(b"%x,%x\n" % (zlib.crc32(b"%d" % i), i) for i in range(10_000))
    found = read(tmp_path, gzip.compress(b"left,right\n" + rows), name="a.csv.gz")
    assert len(found) == 10_000


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.csv", ".csv"),
        ("A.TSV.GZ", ".tsv"),
        ("x/a.b.jsonl", ".jsonl"),
        ("a.npz", ".npz"),
        ("folder", ""),
        ("a.csv.zip", ".zip"),
    ],
)
def test_the_extension_is_without_gz_and_in_lower_case(name, suffix):
    assert extension(name) == suffix


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.txt", "'.txt' is not a known format"),
        ("a.json", "Did you mean '.jsonl'?"),
        ("a.parquet.gz", "'.parquet' is not a known format"),
        ("pairs", "the name has no extension"),
        ("a.csv.zip", "'.zip' is not a known format"),
    ],
)
def test_an_unknown_extension_is_explained(name, words):
    known = (".csv", ".tsv", ".jsonl")
    message = str(unknown_format(name, key="data.test", known=known))
    assert message.startswith(f"data.test: {name!r}: ")
    assert words in message
    assert "Known: .csv, .tsv, .jsonl, each also with .gz. Convert" in message
    message = str(unknown_format(name, key="data.test", known=(*known, ".npz"), hint=" So."))
    assert "Known: .csv, .tsv, .jsonl, each also with .gz. Or .npz. So. Convert" in message


def test_a_further_format_is_one_entry(tmp_path, monkeypatch):
    def numbered(stream, *, wanted, where, optional):
        for number, row in enumerate(stream.read().decode().split(";"), start=1):
            yield Record(number, [row] * len(wanted), row)

    formats = {**TABLE_FORMATS, ".semi": TableFormat(numbered, unit="row")}
    monkeypatch.setattr("job.data.sources.table.TABLE_FORMATS", formats)
    assert read(tmp_path, b"a;b", name="x.semi") == [("a", "a"), ("b", "b")]
    assert Table(tmp_path / "x.semi", key="data.train", name="x.semi").unit == "row"


def test_an_unreadable_file_is_permission_denied(open_folder: Path, unprivileged):
    path = open_folder / "a.csv"
    path.write_bytes(CSV)
    path.chmod(0)
    table = Table(path, key="data.train", name="a.csv")
    with (
        unprivileged(),
        pytest.raises(PermissionDeniedError, match=r"data\.train: 'a\.csv' may not be read"),
        table.records({"left": "left"}),
    ):
        raise AssertionError("it was read")


def test_an_error_of_the_disk_names_the_file():
    # The memory of this process: opens, and fails to be read at address 0.
    table = Table(Path("/proc/self/mem"), key="data.train", name="a.csv")
    with (
        pytest.raises(DataError, match=r"data\.train: 'a\.csv' cannot be read"),
        table.records({"left": "left"}) as records,
    ):
        list(records)
    with (
        pytest.raises(DataError, match="x cannot be read"),
        opened(Path("/proc/self/mem"), where="x") as file,
    ):
        file.read(1)
