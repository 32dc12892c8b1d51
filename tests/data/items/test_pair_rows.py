import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from job.config.data import ColumnsConfig
from job.data.items.columns import GroupSplitColumns
from job.data.items.item_store import Items, ItemStore
from job.data.items.pair_rows import read_pairs
from job.data.items.readers import TextReader
from job.data.quarantine import Quarantine
from job.data.sources import table_records
from job.data.sources.configured import DataSource
from job.data.sources.sequence_file import Features
from job.errors import DataError
from job.types import Problem


@dataclass
class Read:
    """The rows of a file with their texts."""

    rows: list[tuple[str, str, int]]
    group: list[int] | None
    split: list[int] | None
    quarantine: Quarantine


def read(
    folder: Path,
    content: bytes,
    *,
    name: str = "a.csv",
    columns: ColumnsConfig | None = None,
    marks: GroupSplitColumns | None = None,
    max_length: int = 20,
) -> Read:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    columns = columns or ColumnsConfig()
    with ItemStore(TextReader(max_length), features=Features(None)) as items:
        found = read_pairs(
            DataSource("data.train", name, path, "table"),
            marks or GroupSplitColumns(),
            items=items,
            columns=columns,
            by_id=False,
        )
        values = items.build()
    texts = [values.row(number).tobytes().decode() for number in range(len(values))]
    pairs = found.rows
    return Read(
        [
            (texts[left], texts[right], label)
            for left, right, label in zip(
                pairs.left.tolist(), pairs.right.tolist(), pairs.label.tolist(), strict=True
            )
        ],
        None if found.group is None else found.group.tolist(),
        None if found.split is None else found.split.tolist(),
        found.quarantine,
    )


CSV = b"left,right,label\ncat,kat,1\ncat,dog,0\n"
EXPECTED = [("cat", "kat", 1), ("cat", "dog", 0)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv.gz", CSV),
        ("A.CSV.GZ", CSV),
        ("a.csv", CSV.removesuffix(b"\n")),
        ("a.csv", CSV.replace(b"\n", b"\r\n")),
        ("a.csv", b"\xef\xbb\xbf" + CSV),
        ("a.csv", b"\n\n" + CSV + b"\n\n"),
        ("a.csv", b"id, label ,right,left\n7,1,kat,cat\n8,0,dog,cat\n"),
        ("a.tsv", CSV.replace(b",", b"\t")),
        ("a.tsv.gz", CSV.replace(b",", b"\t")),
        (
            "a.jsonl",
            b'{"left": "cat", "right": "kat", "label": 1}\n\n'
            b'{"label": 0, "x": {"y": [1]}, "right": "dog", "left": "cat"}',
        ),
        (
            "a.jsonl.gz",
            b'\xef\xbb\xbf{"left":"cat","right":"kat","label":"1"}\r\n'
            b'{"left":"cat","right":"dog","label":0.0}\r\n',
        ),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path, name, content):
    raw = read(tmp_path, content, name=name)
    assert raw.rows == EXPECTED
    assert raw.quarantine.rows_read == 2
    assert raw.quarantine.num_bad == 0


def test_words_that_other_readers_take_for_missing_are_texts(tmp_path):
    words = ["nan", "NaN", "null", "None", "NA", "N/A", "-", "0", "true", "inf"]
    content = "left,right,label\n" + "".join(f"{word},{word},1\n" for word in words)
    assert read(tmp_path, content.encode()).rows == [(word, word, 1) for word in words]


def test_texts_are_taken_as_they_stand(tmp_path):
    content = 'left,right,label\n" Ab ","x ""y"", z\r\nw",1\n'
    assert read(tmp_path, content.encode()).rows == [(" Ab ", 'x "y", z\r\nw', 1)]


def test_a_text_may_have_the_greatest_length(tmp_path):
    content = "left,right,label\n" + "\u00e9" * 20 + ",b,1\n"
    assert read(tmp_path, content.encode(), max_length=20).quarantine.num_bad == 0
    assert len(read(tmp_path, content.encode() + b"a,b,1\n", max_length=19).rows) == 1


def test_non_ascii_texts_survive(tmp_path):
    content = "left,right,label\n\u00e9\U0001f600,\u4e2d,1\n"
    assert read(tmp_path, content.encode()).rows == [("\u00e9\U0001f600", "\u4e2d", 1)]
    line = {"left": "\u00e9\U0001f600", "right": "\u4e2d", "label": 1}
    for ascii_only in (True, False):
        encoded = json.dumps(line, ensure_ascii=ascii_only).encode()
        assert read(tmp_path, encoded, name="a.jsonl").rows == [
            ("\u00e9\U0001f600", "\u4e2d", 1)
        ]


BAD_CSV_ROWS = [
    (b"a,b,2", "label", "label must be 0 or 1, got '2'"),
    (b"a,b,", "label", "label is empty: label it or leave the row out"),
    (b",b,1", "empty", "left is empty"),
    (b"a,  ,1", "empty", "right is empty"),
    (b"a," + b"x" * 21 + b",1", "too_long", "right has 21 characters (data.max_length is 20)"),
    (b"a,b", "missing", "2 fields where the header names 3"),
    (b"a,b,1,c", "malformed", "4 fields where the header names 3"),
    (b"a\xff,b,1", "undecodable", "left is not UTF-8 (byte 0xff)"),
    (b"a,\xed\xa0\x80,1", "undecodable", "right is not UTF-8 (byte 0xed)"),
    (b"a,b\x00,1", "undecodable", "right holds a NUL character"),
    (b'"a"x,b,1', "malformed", "not valid CSV"),
    (b"a\rb,c,1", "malformed", "not valid CSV"),
    (b"a," + b"x" * 140_000 + b",1", "too_long", "a field of more than 131072 characters"),
]


@pytest.mark.parametrize(("row", "reason", "detail"), BAD_CSV_ROWS)
def test_one_bad_csv_row_is_rejected_and_named(tmp_path, row, reason, detail):
    raw = read(tmp_path, CSV + row + b"\nend,ent,1\n")
    assert raw.rows == [*EXPECTED, ("end", "ent", 1)]
    assert raw.quarantine.rows_read == 4
    assert raw.quarantine.counts == {reason: 1}
    (bad,) = raw.quarantine.samples
    assert (bad.file, bad.line, bad.reason) == ("a.csv", 4, reason)
    assert detail in bad.detail
    assert len(bad.sample) <= 60


BAD_JSON_ROWS = [
    (b'{"left": "a", "right": "b"', "malformed", "not valid JSON"),
    (b'["a", "b", 1]', "malformed", "not a JSON object"),
    (b"[" * 100_000, "malformed", "not valid JSON"),
    (b'{"left": ' + b"9" * 5000 + b"}", "malformed", "not valid JSON"),
    (b'{"left": "a", "left": "b", "right": "c", "label": 1}', "malformed", "occurs twice"),
    (
        b'{"left": "a", "label": 1}',
        "missing",
        "key 'right' is missing or null (keys of the row",
    ),
    (b'{"left": "a", "right": null, "label": 1}', "missing", "key 'right' is missing or null"),
    (b'{"left": 5, "right": "b", "label": 1}', "malformed", "left must be a text, got 5"),
    (b'{"left": "a", "right": "b", "label": true}', "label", "0 or 1, got True"),
    (
        b'{"left": "a", "right": "\xff", "label": 1}',
        "undecodable",
        "right is not UTF-8 (byte 0xff)",
    ),
    (b'{"left": "\\ud800", "right": "b", "label": 1}', "undecodable", "not UTF-8 (U+D800)"),
    (b'{"left": "", "right": "b", "label": 1}', "empty", "left is empty"),
]


@pytest.mark.parametrize(("row", "reason", "detail"), BAD_JSON_ROWS)
def test_one_bad_json_line_is_rejected_and_named(tmp_path, row, reason, detail):
    good = b'{"left": "cat", "right": "kat", "label": 1}\n'
    raw = read(tmp_path, good + row + b"\n" + good, name="a.jsonl")
    assert raw.rows == [("cat", "kat", 1)] * 2
    assert raw.quarantine.counts == {reason: 1}
    (bad,) = raw.quarantine.samples
    assert bad.line == 2
    assert detail in bad.detail
    assert len(bad.sample) <= 60


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_beyond_the_limit_is_an_error_of_the_file(tmp_path, monkeypatch, name):
    monkeypatch.setattr(table_records, "MAX_LINE", 100)
    good = b"left,right,label\n" if name == "a.csv" else b"{}\n"
    with pytest.raises(DataError, match=rf"'{name}': line 2 has more than 100 characters"):
        read(tmp_path, good + b"x" * 101 + b"\n", name=name)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_of_exactly_the_limit_is_read(tmp_path, monkeypatch, name):
    row = {"a.csv": b"a,b,1\n", "a.jsonl": b'{"left": "a", "right": "b", "label": 1}\n'}[name]
    row = row if name == "a.jsonl" else b"aaaaaaaaaaaaaaaaaaa,bbbbbbbbbbbbbbbbb,1\n"
    assert len(row) == 40
    monkeypatch.setattr(table_records, "MAX_LINE", 40)
    head = b"left,right,label\n" if name == "a.csv" else b""
    assert read(tmp_path, head + row, name=name).quarantine.num_bad == 0


def test_rows_are_numbered_by_the_line_they_begin_on(tmp_path):
    content = b'left,right,label\n\n"two\nlines",b,1\n"three\n\nlines",b,9\nc,d,9\n'
    raw = read(tmp_path, content)
    assert [bad.line for bad in raw.quarantine.samples] == [5, 8]


def test_reading_leaves_the_csv_module_as_it_was(tmp_path):
    before = csv.field_size_limit()
    read(tmp_path, CSV)
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CSV + b'"open,b,1\nc,d,0\ne,f,1\n', "a quote opened on line 4 is not closed"),
        (CSV + b'"open,b,1\nsay "hi",d,0\n', "a quote opened on line 4 is not closed"),
        (CSV + b'"open', "a quote opened on line 4 is not closed"),
        (CSV + b'"' + (b"x" * 70_000 + b"\n") * 2 + b'",b,1\n', "a quote opened on line 4"),
    ],
)
def test_a_quote_that_swallows_lines_is_an_error_of_the_file(tmp_path, content, words):
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"data.train: 'a.csv': {words}")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, name, content):
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path, content, name=name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b"left,right,label\n"), ("a.jsonl", b""), ("a.jsonl", b"\n \n")],
)
def test_a_file_without_rows_is_refused(tmp_path, name, content):
    with pytest.raises(DataError, match="holds no rows"):
        read(tmp_path, content, name=name)


def test_a_missing_column_names_those_there_are_and_the_key_to_set(tmp_path):
    with pytest.raises(DataError) as caught:
        read(tmp_path, b"Left,question2,label\na,b,1\n")
    message = str(caught.value)
    assert message.startswith("data.train: 'a.csv' has no column 'left' (data.columns.left).")
    assert "Did you mean 'Left'?" in message
    assert "no column 'right' (data.columns.right)" in message
    assert "Columns of the file: 'Left', 'question2', 'label'" in message
    assert "`data.columns.left: NAME`" in message


def test_columns_can_be_named(tmp_path):
    columns = ColumnsConfig(left="question1", right="question2", label="is_duplicate")
    raw = read(tmp_path, b"question1,question2,is_duplicate\na,b,1\n", columns=columns)
    assert raw.rows == [("a", "b", 1)]


def test_the_group_is_read_where_it_is_asked_for(tmp_path):
    marks = GroupSplitColumns({"group": "family"})
    content = b"left,right,label,family\na,b,1,x\nc,d,0,\n"
    raw = read(tmp_path, content, marks=marks)
    assert raw.group == [0]
    assert raw.quarantine.samples[0].detail == "family is empty"
    with pytest.raises(DataError, match=r"no column 'family' \(data\.columns\.group\)"):
        read(tmp_path, CSV, marks=marks)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_may_lack_optional_groups_and_loses_no_row_for_them(tmp_path, name):
    def marks() -> GroupSplitColumns:
        return GroupSplitColumns(optional={"group": "family"})

    rows = {"x": "a,b,1,x\n", "": "c,d,0,\n", "y": "e,f,0,y\n"}
    head, plain = "left,right,label", "a,b,1\nc,d,0\ne,f,0\n"
    content = f"{head},family\n{''.join(rows.values())}"
    if name == "a.jsonl":
        row = {"left": "a", "right": "b", "label": 1}
        families = [{"family": "x"}, {}, {"family": "y"}]
        content = "\n".join(json.dumps(row | family) for family in families)
        head, plain = "", "\n".join([json.dumps(row)] * 3)
    raw = read(tmp_path, content.encode(), name=name, marks=marks())
    assert (raw.group, raw.quarantine.num_bad) == ([0, -1, 1], 0)
    raw = read(tmp_path, f"{head}\n{plain}".encode(), name=name, marks=marks())
    assert (raw.group, len(raw.rows)) == (None, 3)


def test_a_json_group_may_be_a_integer_but_nothing_else(tmp_path):
    lines = [
        json.dumps({"left": "a", "right": "b", "label": 1, "family": family})
        for family in (7, "x", 1.5, True)
    ]
    raw = read(
        tmp_path,
        "\n".join(lines).encode(),
        name="a.jsonl",
        marks=GroupSplitColumns({"group": "family"}),
    )
    assert raw.group == [0, 1]
    assert [bad.line for bad in raw.quarantine.samples] == [3, 4]


def test_the_split_is_read_where_it_is_asked_for(tmp_path):
    marks = GroupSplitColumns({"group": "who", "split": "part"})
    content = b"left,right,label,part,who\na,b,1,test,x\nc,d,0,train,y\ne,f,0,dev,x\n"
    raw = read(tmp_path, content, marks=marks)
    assert (raw.split, raw.group) == ([2, 0], [0, 1])
    assert raw.quarantine.samples[0].detail == (
        "part must be one of train, validation, test, got 'dev'"
    )
    assert read(tmp_path, content).split is None


def test_two_ways_to_write_a_text_are_one_item(tmp_path):
    content = "left,right,label\ncaf\u00e9,cafe\u0301,1\n\u212b,\u00c5,1\n"
    raw = read(tmp_path, content.encode())
    assert raw.rows == [("caf\u00e9", "caf\u00e9", 1), ("\u00c5", "\u00c5", 1)]


@pytest.mark.parametrize("bad", ["new,x,2", "new,,1", ",new,1", "new," + "x" * 21 + ",1"])
def test_a_bad_row_leaves_no_trace_in_the_items(tmp_path, bad):
    numbers = []
    for name, rows in (("with.csv", [bad, "cat,new,1"]), ("without.csv", ["cat,new,1"])):
        content = "\n".join(["left,right,label", *rows])
        (tmp_path / name).write_text(content)
        with ItemStore(TextReader(20), features=Features(None)) as items:
            found = read_pairs(
                DataSource("data.train", name, tmp_path / name, "table"),
                GroupSplitColumns(),
                items=items,
                columns=ColumnsConfig(),
                by_id=False,
            )
        numbers.append((found.rows.left.tolist(), found.rows.right.tolist()))
    assert numbers == [([0], [1])] * 2


class Ids(Items):
    """Items that are known by IDs."""

    def __init__(self):
        self.announced = []

    def prefetch(self, cells):
        self.announced += cells

    def lookup(self, cell, *, column):
        if cell == "7":
            return 0
        return Problem("no_item", f"{column}: no item {cell!r}")

    def add(self, ref):
        return ref


def test_cells_may_hold_ids_and_those_may_be_integers(tmp_path):
    lines = [
        {"left": 7, "right": "7", "label": 1},
        {"left": "8", "right": 7, "label": 1},
        {"left": 1.5, "right": 7, "label": 1},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    items = Ids()
    found = read_pairs(
        DataSource("data.train", "a.jsonl", path, "table"),
        GroupSplitColumns(),
        items=items,
        columns=ColumnsConfig(),
        by_id=True,
    )
    assert found.rows.left.tolist() == [0]
    assert items.announced == ["7", "7", "8", "7"]
    assert [bad.detail for bad in found.quarantine.samples] == [
        "left: no item '8'",
        "left must be a text or an integer",
    ]
