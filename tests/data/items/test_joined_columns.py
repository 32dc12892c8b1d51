"""Lists of columns, whose cells together are the text of an item."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from job.config.data import Data
from job.data.dataset import Dataset
from job.data.load import load_dataset
from job.errors import DataError

COLUMNS = {"left": ["name", "town"], "right": ["name2", "town2"]}
HEADER = "name,town,name2,town2,label\n"
ROWS = ["ann,york,an,york,1", "bob,,rob,bath,0", " cy ,ely,,ely,1", "di,hull,dee,deal,0"]
TEXTS = ["ann | york", "an | york", "bob | ", "rob | bath", "cy | ely", " | ely"]


def load(folder: Path, **data: object) -> Dataset:
    everything = {"kind": "text", "columns": COLUMNS, "max_bad_fraction": 0.5, **data}
    for split in ("validation", "test"):
        everything.setdefault(split, everything["train"])
    section = TypeAdapter(Data).validate_python(everything)
    return load_dataset(section, folder=folder, seed=0)


def texts(dataset: Dataset) -> list[str]:
    return dataset.items.texts(np.arange(len(dataset.items)))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text(HEADER + "\n".join(ROWS))
    return tmp_path


def test_the_cells_of_a_table_are_joined(table):
    dataset = load(table, train="a.csv")
    assert texts(dataset)[:6] == TEXTS
    assert dataset.pairs["train"].label.tolist() == [1, 0, 1, 0]


def test_a_list_gives_what_the_joined_column_gives(table):
    lines = ["left,right,label"]
    for row in ROWS:
        name, town, name2, town2, label = (cell.strip() for cell in row.split(","))
        lines.append(f"{name} | {town},{name2} | {town2},{label}")
    (table / "b.csv").write_text("\n".join(lines))
    joined = load(table, train="b.csv", columns={})
    assert load(table, train="a.csv").fingerprint == joined.fingerprint


def test_json_lines_give_the_same_and_null_is_an_empty_cell(table):
    keys = HEADER.strip().split(",")
    records = [dict(zip(keys, row.split(","), strict=True)) for row in ROWS]
    for record in records:
        record |= {"town": record["town"] or None, "label": int(record["label"])}
    (table / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    given = [load(table, train=name).fingerprint for name in ("a.csv", "a.jsonl")]
    assert given[0] == given[1]
    del records[1]["town"]
    (table / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    [bad] = load(table, train="a.jsonl", test="a.csv", validation="a.csv").quarantine.samples
    assert (bad.line, bad.reason) == (2, "missing")
    assert bad.detail.startswith("key 'town' is missing (keys of the row: 'name'")


def test_a_bad_cell_is_named_by_its_column_or_the_list(table):
    bad = ["x" * 300 + ",ely,cy,ely,1", ",,cy,ely,0", "ann,york,cy,\0,0", "ann,york,cy,ely,"]
    (table / "b.csv").write_text(HEADER + "\n".join([*ROWS, *bad]))
    found = load(table, train="b.csv", test="a.csv", validation="a.csv").quarantine
    assert [(row.reason, row.detail) for row in found.samples] == [
        ("too_long", "name | town has 306 characters (data.max_length is 256)"),
        ("empty", "every cell of name | town is empty"),
        ("undecodable", "name2 | town2 holds a NUL character"),
        ("label", "label is empty: label it or leave the row out"),
    ]


def test_a_column_that_is_missing_is_named(table):
    with pytest.raises(DataError, match=r"no column 'city' \(data\.columns\.left\)"):
        load(table, train="a.csv", columns=COLUMNS | {"left": ["name", "city"]})


def items(folder: Path) -> dict[str, object]:
    rows = [("ann", "york", "1"), ("an", "york", "1"), ("bob", "", "2"), ("rob", "bath", "2")]
    (folder / "i.csv").write_text("\n".join(map(",".join, [("name", "town", "class"), *rows])))
    name, town, item_class = (np.array(cells) for cells in zip(*rows, strict=True))
    arrays = {"name": name, "town": town, "class": item_class, "id": np.arange(4)}
    np.savez(folder / "i.npz", **arrays)
    return {"rows": "items", "columns": {"item": ["name", "town"]}}


def test_labelled_items_of_a_table_and_of_arrays_are_joined(tmp_path):
    data = items(tmp_path)
    given = [load(tmp_path, train=name, **data) for name in ("i.csv", "i.npz")]
    assert texts(given[0]) == ["ann | york", "an | york", "bob | ", "rob | bath"]
    assert given[0].fingerprint == given[1].fingerprint


def test_items_by_an_id_are_joined(tmp_path):
    items(tmp_path)
    lines = (tmp_path / "i.csv").read_text().splitlines()
    ids = ["id", "0", "1", "2", "3"]
    table = [f"{line},{name}" for line, name in zip(lines, ids, strict=True)]
    (tmp_path / "i.csv").write_text("\n".join(table))
    (tmp_path / "p.csv").write_text("left,right,label\n0,1,1\n2,3,0\n")
    columns = {"item": ["name", "town"]}
    given = [
        load(tmp_path, train="p.csv", items=name, columns=columns)
        for name in ("i.csv", "i.npz")
    ]
    assert texts(given[0]) == ["ann | york", "an | york", "bob | ", "rob | bath"]
    assert given[0].fingerprint == given[1].fingerprint


def test_arrays_of_a_list_need_one_length(tmp_path):
    data = items(tmp_path)
    arrays = {"name": np.array(["a", "b"]), "town": np.array(["c"]), "class": np.arange(2)}
    np.savez(tmp_path / "i.npz", **arrays)
    with pytest.raises(DataError, match="'town' has 1 rows, where the file holds 2 items"):
        load(tmp_path, train="i.npz", **data)
