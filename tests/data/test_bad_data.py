"""Data as nobody should give it: what is said of each fault, and what reading it costs.

A fault is one row of two hundred, which is rejected, or that of a file, which ends the run.
"""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from job.errors import ConfigError, DataError, ExitCode, JobError
from tests.data.bad_data import (
    HUGE,
    NUM_ROWS,
    Build,
    Make,
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

MAX_GROWTH = 75 << 20
# 2**26 steps of two features.
LONG = npy_header("(67108864, 2)")


@dataclass(frozen=True)
class BadRow:
    """A fault of one of NUM_ROWS rows.

    Args:
        name: What is wrong.
        build: Writes the data to a folder; returns the section that names them.
        reason: What it is counted as.
        words: What is said of the row: a regular expression.
        key: Of the file that holds the row.
    """

    name: str
    build: Build
    reason: str
    words: str
    key: str = "data.train"


@dataclass(frozen=True)
class BadFile:
    """A fault that ends the run.

    Args:
        name: What is wrong.
        build: Writes the data to a folder; returns the section that names them.
        words: What is said of the file: a regular expression.
        error: Which error it is.
        key: Of the file.
    """

    name: str
    build: Build
    words: str
    error: type[JobError] = DataError
    key: str = "data.train"


def steps(make: Make, **more: object) -> Build:
    return files("sequence", make, **more)


def picture(make: Make, **more: object) -> Build:
    return files("image", make, **more)


MARKS = "\u0301\u0327".encode() * 30_000
PASSWD = "/etc/passwd"
BAD_ROWS = [
    BadRow("label 0.5", texts(b"a,b,0.5"), "label", r"label .* got '0\.5'"),
    BadRow("invalid UTF-8", texts(b"a\xff,b,1"), "undecodable", "left is not UTF-8"),
    BadRow("a NUL", texts(b"a,b\0,1"), "undecodable", "right holds a NUL"),
    BadRow("no text", texts(b"a,  ,1"), "empty", "right is empty"),
    BadRow("a long text", texts(b"a" * 300 + b",b,1"), "too_long", "left has 300 char"),
    BadRow("a column too few", texts(b"a,1"), "missing", "2 fields where .* 3"),
    BadRow("a broken quote", texts(b'"a"x,b,1'), "malformed", "not valid CSV"),
    BadRow("marks without end", texts(b"a" + MARKS + b",b,1"), "too_long", "left has 60001"),
    BadRow("too many features", steps(npy(np.zeros((3, 5)))), "shape", "5 features .* has 2"),
    BadRow("NaN", steps(npy(np.array([[0, 0], [0, np.nan]]))), "not_finite", "in step 2"),
    BadRow("infinity", steps(npy(np.array([[np.inf, 0]]))), "not_finite", "in step 1"),
    BadRow("an empty sequence", steps(npy(np.zeros((0, 2)))), "empty", "has no time step"),
    BadRow(
        "a long sequence",
        steps(npy(np.zeros((9, 2))), max_length=8),
        "too_long",
        r"9 steps \(data\.max_length is 8\)",
    ),
    BadRow(
        "a sequence of gigabytes",
        steps(sparse(LONG, len(LONG) + (1 << 30))),
        "too_long",
        "has 67108864 steps",
    ),
    BadRow("pickled", steps(npy(np.array([{}], object))), "shape", "holds Python objects"),
    BadRow("texts for numbers", steps(npy(np.array([["a", "b"]]))), "shape", r"<U1 \(1, 2\)"),
    BadRow(
        "a shape that the file does not hold",
        steps(npy_header("(1000000, 1000000)") + b"\0" * 16),
        "undecodable",
        "8,000,000,000,000 bytes, and holds 16",
    ),
    BadRow("cut short", steps(npy(np.zeros((3, 2)))[:-5]), "undecodable", "48 .* holds 43"),
    BadRow("a table for a sequence", steps(b"0.1,0.2\n"), "format", r"is not \.npy data"),
    BadRow("no bytes for a sequence", steps(nothing), "empty", "the file is empty"),
    BadRow("a missing file", steps(b""), "no_file", "no such file"),
    BadRow("a folder for a file", steps(b"", path="x"), "no_file", "no such file"),
    BadRow("a path outside", steps(b"", path=f"../..{PASSWD}"), "outside", r"data\.root"),
    BadRow("an absolute path", picture(b"", path=PASSWD), "outside", r"data\.root"),
    BadRow("a link to the outside", picture(link_out), "outside", r"right 'x/bad\.png': "),
    BadRow("a truncated PNG", picture(image(size=64)[:2000]), "damaged", r"right 'x/bad\.png'"),
    BadRow("a PNG of 60,000 x 60,000", picture(huge_png()), "too_large", "60,?000"),
    BadRow("a GIF named .png", picture(image("GIF")), "format", "GIF"),
    BadRow("a CMYK JPEG", picture(image("JPEG", mode="CMYK")), "format", "CMYK"),
    BadRow("no bytes for an image", picture(nothing), "empty", "the file is empty"),
    BadRow("a text named .png", picture(b"left,right\n"), "format", r"'x/bad\.png': "),
    BadRow(
        "an image of gigabytes", picture(sparse(image(), 1 << 30)), "too_large", "1,073,741"
    ),
    BadRow("a pair with a missing item", ids("x1,x500,1"), "no_item", "no item 'x500'"),
    BadRow(
        "a duplicate id",
        ids("x1,x2,1", last_item="x7,another"),
        "duplicate",
        "id 'x7' occurs before",
        "data.items",
    ),
    BadRow("infinity by id", ids_of_rows, "not_finite", "row 200: .* 'x199'", "data.items"),
    BadRow("an item of two classes", labelled("text 4,8,test"), "class", "'4' before and '8'"),
    BadRow("no class", labelled("text 500,,test"), "empty", "class is empty"),
    BadRow("an unknown split", labelled("text 500,1,dev"), "split", "split must be one of"),
    BadRow(
        "another file among images",
        class_folder("7/notes.txt", b"notes"),
        "format",
        r"train/7/notes\.txt: ",
    ),
    BadRow("a GIF among images", class_folder("7/a.png", image("GIF")), "format", "GIF"),
    BadRow(
        "a link out of a class folder",
        class_folder("7/a.png", link_out),
        "outside",
        r"train/7/a\.png: .* data\.root",
    ),
    BadRow("NaN in an array", arrays(put("values", np.nan, -1, 0)), "not_finite", "row 200: "),
    BadRow("no steps in an array", arrays(lengths_of_row(0)), "empty", "row 200: "),
    BadRow("many steps in an array", arrays(lengths_of_row(20_000)), "too_long", "row 200: "),
]


def damaged(damage: Callable[[bytes], bytes]) -> Build:
    return arrays(unchanged, damage=damage)


def flipped(data: bytes) -> bytes:
    return data.replace(b"\0" * 4096, b"\1" + b"\0" * 4095, 1)


BAD_FILES = [
    BadFile(
        "a pickled .npz",
        arrays(put("values", np.array([{}], object))),
        "'values' holds Python objects",
    ),
    BadFile(
        "pickled classes",
        arrays(put("class", np.array(["a", None] * 100, object))),
        "'class' holds Python objects",
    ),
    BadFile("lengths that do not add up", arrays(put("lengths", 4, -1)), "601 steps .* 600"),
    BadFile("lengths that overflow", arrays(put("lengths", 2**62, 0)), "more than there are"),
    BadFile("a negative length", arrays(put("lengths", -3, 7)), "'lengths' holds -3 in row 8"),
    BadFile("no matrix", arrays(put("values", np.zeros(600))), r"'values' .*\(time steps"),
    BadFile("a class too few", arrays(put("class", np.arange(199))), "'class' has 199 .* 200"),
    BadFile(
        "images that are no bytes",
        arrays(put("images", np.zeros((200, 8, 8, 3))), kind="image"),
        "'images' must hold uint8",
    ),
    BadFile(
        "a truncated archive", damaged(lambda data: data[: len(data) // 2]), "not an intact"
    ),
    BadFile("a flipped bit", damaged(flipped), "Bad CRC-32"),
    BadFile("an archive of gigabytes", damaged(lambda _: bomb()), "more than 200 times"),
    BadFile("a table for an archive", damaged(lambda _: b"left,right\n"), "not an intact"),
    BadFile("rows of gigabytes", text_file(huge_rows, name="a.csv.gz"), "more than 200 times"),
    BadFile(
        "damaged gzip",
        text_file(lambda: gzip.compress(b"left,right,label\na,b,1\n")[:-9], name="a.csv.gz"),
        "is not intact gzip",
    ),
    BadFile("one huge line", texts(b"x" * (64 << 20)), "line 201 has more than 4194304 char"),
    BadFile("UTF-16", text_file(lambda: "left,right\n".encode("utf-16")), "is not UTF-8 text"),
    BadFile("a spreadsheet", text_file(lambda: b"PK\x03\x04\x14\0"), "is not UTF-8 text"),
    BadFile(
        "a quote without end",
        text_file(lambda: b'left,right,label\n"a,b,1\nc,d,0\n'),
        "a quote opened on line 2",
    ),
    BadFile("no rows", text_file(lambda: b"left,right,label\n"), "holds no rows"),
    BadFile(
        "a configured path to the outside",
        outside({"train": "../train.csv"}),
        r"outside data\.root",
        ConfigError,
    ),
    BadFile(
        "a configured link to the outside",
        outside({"test": "link.csv"}),
        r"outside data\.root",
        ConfigError,
        "data.test",
    ),
    BadFile(
        "an unknown format",
        text_file(lambda: b"", name="train.xlsx"),
        r"'\.xlsx' is not a known format",
        ConfigError,
    ),
]

BY_NAME = {"argvalues": BAD_ROWS, "ids": [case.name for case in BAD_ROWS]}


@pytest.mark.parametrize("case", **BY_NAME)
def test_one_bad_row_of_two_hundred_is_rejected_and_counted(tmp_path, case):
    dataset = load(tmp_path, case.build(tmp_path))
    assert dataset.quarantine.num_bad == 1
    assert dataset.quarantine.counts == {case.reason: 1}
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
    assert re.match(rf"{case.key}: '\S+'.*{case.words}", str(caught.value))
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
