"""Data as nobody should give it: what is said of each fault, and what reading it costs.

A fault is one row of two hundred, which is rejected, or that of a file, which ends the run.
"""

import gzip
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from job.errors import ConfigError, DataError, ExitCode, JobError
from tests.data.bad_data import (
    HUGE,
    NUM_ROWS,
    Build,
    arrays,
    bomb,
    class_folder,
    files,
    huge_png,
    huge_rows,
    ids,
    ids_of_rows,
    image,
    labelled,
    lengths_of_row,
    link_out,
    load,
    nothing,
    npy,
    npy_header,
    outside,
    put,
    sparse,
    text_file,
    texts,
    unchanged,
)

MAX_GROWTH = 300 << 20
# 2**26 steps of two features.
LONG = npy_header("(67108864, 2)")


@dataclass(frozen=True)
class BadRow:
    """A fault of one of NUM_ROWS rows.

    Args:
        name: What is wrong.
        build: Writes the data to a folder; returns the section that names them.
        reasons: Any of which it may be counted as.
        words: What is said of the row: a regular expression.
        key: Of the file that holds the row.
    """

    name: str
    build: Build
    reasons: tuple[str, ...]
    words: str
    key: str = "data.train"


@dataclass(frozen=True)
class BadFile:
    """A fault that ends the run.

    Args:
        name: What is wrong.
        build: Writes the data to a folder; returns the section that names them.
        words: The beginning of the message: a regular expression.
        error: Which error it is.
    """

    name: str
    build: Build
    words: str
    error: type[JobError] = DataError


BAD_ROWS = [
    BadRow("label 0.5", texts(b"a,b,0.5"), ("label",), r"label must be 0 or 1, got '0\.5'"),
    BadRow("invalid UTF-8", texts(b"a\xff,b,1"), ("undecodable",), r"left is not UTF-8 \(byte"),
    BadRow("a NUL", texts(b"a,b\0,1"), ("undecodable",), "right holds a NUL character"),
    BadRow("no text", texts(b"a,  ,1"), ("empty",), "right is empty"),
    BadRow(
        "a long text", texts(b"a" * 300 + b",b,1"), ("too_long",), "left has 300 characters"
    ),
    BadRow(
        "a column too few", texts(b"a,1"), ("missing",), "2 fields where the header names 3"
    ),
    BadRow("a broken quote", texts(b'"a"x,b,1'), ("malformed",), "not valid CSV"),
    BadRow(
        "marks without end",
        texts(b"a" + "\u0301\u0327".encode() * 30_000 + b",b,1"),
        ("too_long",),
        r"left has 60001 characters",
    ),
    BadRow(
        "a wrong feature count",
        files("sequence", npy(np.zeros((3, 5)))),
        ("shape",),
        r"right 'x/bad\.npy': has 5 features where the first sequence, '.*', has 2",
    ),
    BadRow(
        "NaN",
        files("sequence", npy(np.array([[0, 0], [0, np.nan]]))),
        ("not_finite",),
        r"'x/bad\.npy': holds NaN or a number beyond float32 in step 2",
    ),
    BadRow(
        "infinity",
        files("sequence", npy(np.array([[np.inf, 0]]))),
        ("not_finite",),
        "holds NaN or a number beyond float32 in step 1",
    ),
    BadRow(
        "an empty sequence",
        files("sequence", npy(np.zeros((0, 2)))),
        ("empty",),
        "has no time step",
    ),
    BadRow(
        "a long sequence",
        files("sequence", npy(np.zeros((9, 2))), max_length=8),
        ("too_long",),
        r"has 9 steps \(data\.max_length is 8\)",
    ),
    BadRow(
        "a sequence of gigabytes",
        files("sequence", sparse(LONG, len(LONG) + (1 << 30))),
        ("too_long",),
        "has 67108864 steps",
    ),
    BadRow(
        "a pickled sequence",
        files("sequence", npy(np.array([{}], object))),
        ("shape",),
        "holds Python objects",
    ),
    BadRow(
        "texts for numbers",
        files("sequence", npy(np.array([["a", "b"]]))),
        ("shape",),
        r"must be numbers of the shape \(time, features\), got <U1 \(1, 2\)",
    ),
    BadRow(
        "a shape that the file does not hold",
        files("sequence", npy_header("(1000000, 1000000)") + b"\0" * 16),
        ("undecodable",),
        "declares the shape .*, 8,000,000,000,000 bytes, and holds 16",
    ),
    BadRow(
        "a sequence cut short",
        files("sequence", npy(np.zeros((3, 2)))[:-5]),
        ("undecodable",),
        "48 bytes, and holds 43",
    ),
    BadRow(
        "a table for a sequence",
        files("sequence", b"0.1,0.2\n0.3,0.4\n"),
        ("format",),
        r"is not \.npy data",
    ),
    BadRow(
        "no bytes for a sequence", files("sequence", nothing), ("empty",), "the file is empty"
    ),
    BadRow("a missing file", files("sequence", b""), ("no_file",), "there is no such file"),
    BadRow(
        "a folder for a file",
        files("sequence", b"", path="x"),
        ("no_file",),
        "there is no such file",
    ),
    BadRow(
        "a path outside the data folder",
        files("sequence", b"", path="../../etc/passwd"),
        ("outside",),
        "leads out of data.root",
    ),
    BadRow(
        "an absolute path",
        files("image", b"", path="/etc/passwd"),
        ("outside",),
        "leads out of data.root",
    ),
    BadRow(
        "a link out of the data folder",
        files("image", link_out),
        ("outside",),
        r"right 'x/bad\.png': leads out of data\.root",
    ),
    BadRow(
        "a truncated PNG",
        files("image", image(size=64)[:2000]),
        ("damaged",),
        r"right 'x/bad\.png': ",
    ),
    BadRow("a PNG of 60,000 x 60,000", files("image", huge_png()), ("too_large",), "60,?000"),
    BadRow("a GIF named .png", files("image", image("GIF")), ("format",), "GIF"),
    BadRow("a CMYK JPEG", files("image", image("JPEG", mode="CMYK")), ("format",), "CMYK"),
    BadRow("no bytes for a image", files("image", nothing), ("empty",), "the file is empty"),
    BadRow(
        "a text named .png", files("image", b"left,right\n"), ("format",), r"'x/bad\.png': "
    ),
    BadRow(
        "a image of gigabytes",
        files("image", sparse(image(), 1 << 30)),
        ("too_large",),
        "has 1,073,741,824 bytes, at most",
    ),
    BadRow(
        "a pair with a missing item", ids("x1,x500,1"), ("no_item",), "no item 'x500' in item"
    ),
    BadRow(
        "a duplicate id",
        ids("x1,x2,1", last_item="x7,another"),
        ("duplicate",),
        "id 'x7' occurs before; the first one is used",
        key="data.items",
    ),
    BadRow(
        "infinity in an array of items by id",
        ids_of_rows,
        ("not_finite",),
        r"a\.npz row 200: holds NaN or a number beyond float32 in step 1 in 'x199'",
        key="data.items",
    ),
    BadRow(
        "an item of two classes",
        labelled("text 4,8,test"),
        ("class",),
        "item has the class '4' before and '8' here",
    ),
    BadRow("no class", labelled("text 500,,test"), ("empty",), "class is empty"),
    BadRow("an unknown split", labelled("text 500,1,dev"), ("split",), "split must be one of"),
    BadRow(
        "another file among images",
        class_folder("7/notes.txt", b"notes"),
        ("format",),
        r"train/7/notes\.txt: has no image extension",
    ),
    BadRow("a GIF among images", class_folder("7/a.png", image("GIF")), ("format",), "GIF"),
    BadRow(
        "a link out of a class folder",
        class_folder("7/a.png", link_out),
        ("outside",),
        r"train/7/a\.png: leads out of data\.root",
    ),
    BadRow(
        "NaN in an array",
        arrays(put("values", np.nan, -1, 0)),
        ("not_finite",),
        r"a\.npz row 200: holds NaN or a number beyond float32 in step 3",
    ),
    BadRow(
        "an empty sequence in an array",
        arrays(lengths_of_row(0)),
        ("empty",),
        r"a\.npz row 200: has no time step",
    ),
    BadRow(
        "a long sequence in an array",
        arrays(lengths_of_row(20_000)),
        ("too_long",),
        r"a\.npz row 200: has 20000 steps",
    ),
]

BAD_FILES = [
    BadFile(
        "a pickled .npz",
        arrays(put("values", np.array([{}], object))),
        r"data\.train: 'a\.npz': the array 'values' holds Python objects",
    ),
    BadFile(
        "pickled classes",
        arrays(put("class", np.array(["a", None] * 100, object))),
        r"data\.train: 'a\.npz': the array 'class' holds Python objects",
    ),
    BadFile(
        "ragged lengths that do not add up",
        arrays(put("lengths", 4, -1)),
        r"data\.train: 'a\.npz': the array 'lengths' does not add up: 601 steps in all, where "
        "'values' holds 600",
    ),
    BadFile(
        "lengths that overflow",
        arrays(put("lengths", 2**62, 0)),
        r"data\.train: 'a\.npz': the array 'lengths' does not add up: more than there are",
    ),
    BadFile(
        "a negative length",
        arrays(put("lengths", -3, 7)),
        r"data\.train: 'a\.npz': the array 'lengths' holds -3 in row 8",
    ),
    BadFile(
        "values that are no matrix",
        arrays(put("values", np.zeros(600))),
        r"data\.train: 'a\.npz': the array 'values' must be numbers of the shape \(time steps",
    ),
    BadFile(
        "a class too few",
        arrays(put("class", np.arange(199))),
        r"data\.train: 'a\.npz': the array 'class' has 199 rows, where the file holds 200",
    ),
    BadFile(
        "images that are no bytes",
        arrays(put("images", np.zeros((200, 8, 8, 3))), kind="image"),
        r"data\.train: 'a\.npz': the array 'images' must hold uint8 of the shape",
    ),
    BadFile(
        "a truncated archive",
        arrays(unchanged, damage=lambda data: data[: len(data) // 2]),
        r"data\.train: 'a\.npz' is not an intact \.npz file",
    ),
    BadFile(
        "a flipped bit",
        arrays(
            unchanged, damage=lambda data: data.replace(b"\0" * 4096, b"\1" + b"\0" * 4095, 1)
        ),
        r"data\.train: 'a\.npz': the array '\w+' cannot be (unpacked|read) \(Bad CRC-32",
    ),
    BadFile(
        "an archive that unpacks to gigabytes",
        arrays(unchanged, damage=lambda _: bomb()),
        r"data\.train: 'a\.npz' expands from [\d,]+ to [\d,]+ bytes, more than 200 times",
    ),
    BadFile(
        "a table for an archive",
        arrays(unchanged, damage=lambda _: b"left,right,label\n"),
        r"data\.train: 'a\.npz' is not an intact \.npz file",
    ),
    BadFile(
        "rows that unpack to gigabytes",
        text_file(huge_rows, name="train.csv.gz"),
        r"data\.train: 'train\.csv\.gz' expands to more than 200 times its size",
    ),
    BadFile(
        "damaged gzip",
        text_file(lambda: gzip.compress(b"left,right,label\na,b,1\n")[:-9], name="a.csv.gz"),
        r"data\.train: 'a\.csv\.gz' is not intact gzip",
    ),
    BadFile(
        "one huge line",
        texts(b"x" * (64 << 20)),
        r"data\.train: 'train\.csv': line 201 has more than 4194304 characters",
    ),
    BadFile(
        "UTF-16",
        text_file(lambda: "left,right,label\na,b,1\n".encode("utf-16")),
        r"data\.train: 'train\.csv': the first line .* is not UTF-8 text",
    ),
    BadFile(
        "a spreadsheet",
        text_file(lambda: b"PK\x03\x04\x14\0"),
        r"data\.train: 'train\.csv': the first line .* is not UTF-8 text",
    ),
    BadFile(
        "a quote without end",
        text_file(lambda: b'left,right,label\n"a,b,1\nc,d,0\n'),
        r"data\.train: 'train\.csv': a quote opened on line 2 is not closed properly",
    ),
    BadFile(
        "no rows",
        text_file(lambda: b"left,right,label\n"),
        r"data\.train: 'train\.csv' holds no rows",
    ),
    BadFile(
        "a configured path outside the data folder",
        outside({"train": "../train.csv"}),
        r"data\.train: '\.\./train\.csv' leads to .* outside data\.root",
        ConfigError,
    ),
    BadFile(
        "a configured link out of the data folder",
        outside({"test": "link.csv"}),
        r"data\.test: 'link\.csv' leads to .* outside data\.root",
        ConfigError,
    ),
    BadFile(
        "an unknown format",
        text_file(lambda: b"", name="train.xlsx"),
        r"data\.train: 'train\.xlsx': '\.xlsx' is not a known format",
        ConfigError,
    ),
]

BY_NAME = {"argvalues": BAD_ROWS, "ids": [case.name for case in BAD_ROWS]}


@pytest.mark.parametrize("case", **BY_NAME)
def test_one_bad_row_of_two_hundred_is_rejected_and_counted(tmp_path, case):
    dataset = load(tmp_path, case.build(tmp_path))
    assert dataset.quarantine.num_bad == 1
    ((reason, count),) = dataset.quarantine.counts.items()
    assert reason in case.reasons
    assert count == 1
    (bad,) = dataset.quarantine.samples
    assert re.search(case.words, str(bad))
    assert len(str(bad)) < 500


@pytest.mark.parametrize("case", **BY_NAME)
def test_where_none_is_tolerated_a_bad_row_ends_the_run(tmp_path, case):
    section = case.build(tmp_path)
    with pytest.raises(DataError) as caught:
        load(tmp_path, section, max_bad_fraction=0.0)
    first, row, advice = str(caught.value).splitlines()
    assert re.fullmatch(
        rf"{case.key}: 1 of the {NUM_ROWS} rows of '[\w.]+' are bad \(0\.50%\), more than "
        r"data\.max_bad_fraction allows \(0\.00%\):",
        first,
    )
    assert re.search(case.words, row)
    assert advice.endswith(" Or raise data.max_bad_fraction to skip such rows.")
    assert caught.value.exit_code == ExitCode.DATA == 3


@pytest.mark.parametrize("case", BAD_FILES, ids=[case.name for case in BAD_FILES])
@pytest.mark.parametrize("allowed", [0.01, 1.0])
def test_a_bad_file_ends_the_run_whatever_is_tolerated(tmp_path, case, allowed):
    section = case.build(tmp_path)
    with pytest.raises(case.error) as caught:
        load(tmp_path, section, max_bad_fraction=allowed)
    assert re.match(case.words, str(caught.value))
    assert len(str(caught.value)) < 1000
    assert caught.value.exit_code == (2 if case.error is ConfigError else 3)


@pytest.mark.slow
def test_bad_data_costs_no_memory(tmp_path):
    for number, case in enumerate([*BAD_ROWS, *BAD_FILES]):
        folder = tmp_path / f"{number:03}"
        folder.mkdir()
        (folder / "section.json").write_text(json.dumps(case.build(folder)))
    finished = subprocess.run(
        [sys.executable, "-m", "tests.data.bad_data", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        check=True,
        stdout=subprocess.PIPE,
    )
    assert int(finished.stdout) < MAX_GROWTH < HUGE
