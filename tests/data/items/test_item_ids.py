import json
from pathlib import Path

import numpy as np
import pytest

from job.config.data import ColumnsConfig, SequenceDataConfig
from job.data.items.array_items import array_items
from job.data.items.item_ids import (
    ArrayItemsById,
    ItemIndex,
    ItemsById,
    index_of_rows,
    index_of_table,
    index_of_texts,
)
from job.data.items.item_store import ItemStore
from job.data.items.readers import TextReader
from job.data.quarantine import NOTHING_QUARANTINED
from job.data.sources.npz import open_npz
from job.data.sources.sequence_file import Features
from job.data.sources.table import Table
from job.errors import DataError
from job.types import Problem
from tests.data.archives import npz_of

COLUMNS = ColumnsConfig()
READER = TextReader(9)


def of_table(folder: Path, content: str, *, name: str = "items.csv") -> ItemIndex[str]:
    path = folder / name
    path.write_text(content)
    return index_of_table(
        Table(path, key="data.items", name=name), columns=COLUMNS, reader=READER
    )


def of_texts(path: Path) -> ItemIndex[str]:
    with open_npz(path, where="data.items: 'items.npz'") as arrays:
        return index_of_texts(arrays, name="items.npz", columns=COLUMNS, reader=READER)


def shown(index: ItemIndex) -> list[str]:
    return [str(bad) for bad in index.quarantine.samples]


def test_a_table_gives_each_id_its_text(tmp_path):
    found = of_table(tmp_path, "item,id\ncat,x1\ncafe\u0301,2\nnan,nan\n")
    assert found.cells == {"x1": "cat", "2": "caf\u00e9", "nan": "nan"}
    assert found.quarantine.rows_read == 3
    lines = [{"id": 1, "item": "cat"}, {"id": "x", "item": "dog"}]
    content = "\n".join(map(json.dumps, lines))
    assert of_table(tmp_path, content, name="a.jsonl").cells == {"1": "cat", "x": "dog"}


def test_bad_rows_of_a_table_are_named(tmp_path):
    rows = ["x1,cat", "x1,dog", "x2,", "x2,dog", ",emu", "x3", "x4,aaaaaaaaaa", "x5,ok"]
    found = of_table(tmp_path, "\n".join(["id,item", *rows]))
    assert found.cells == {"x1": "cat", "x5": "ok"}
    assert found.bad == {"x2": 4, "x4": 8}
    assert shown(found) == [
        "items.csv line 3: id 'x1' occurs before; the first one is used in ['x1', 'dog']",
        "items.csv line 4: item is empty in ['x2', '']",
        "items.csv line 5: id 'x2' occurs before; the first one is used in ['x2', 'dog']",
        "items.csv line 6: id is empty in ['', 'emu']",
        "items.csv line 7: 1 fields where the header names 2 in ['x3']",
        "items.csv line 8: item has 10 characters (data.max_length is 9) in "
        "['x4', 'aaaaaaaaaa']",
    ]
    assert found.quarantine.counts == {
        "duplicate": 2,
        "empty": 2,
        "missing": 1,
        "too_long": 1,
    }
    assert found.quarantine.rows_read == 8


def test_a_table_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.items: 'items\.csv' holds no rows\. Give a"):
        of_table(tmp_path, "id,item\n")


def test_an_id_that_is_not_there_says_why(tmp_path):
    found = of_table(tmp_path, "id,item\nx1,cat\nx2,\n")
    assert found.find("x1") == "cat"
    assert found.find("x17") == Problem("no_item", "no item 'x17' in items.csv")
    assert found.find("x2") == Problem("no_item", "item 'x2' is bad (items.csv, line 3)")
    assert len(found.find("x" * 10_000).detail) < 100


def test_arrays_of_texts_give_each_id_its_text(tmp_path):
    path = npz_of(
        tmp_path / "a.npz",
        id=np.array([3, 1, 1, 2]),
        item=np.array(["cat", "cafe\u0301", "dog", ""]),
    )
    found = of_texts(path)
    assert found.cells == {"3": "cat", "1": "caf\u00e9"}
    assert found.find("2") == Problem("no_item", "item '2' is bad (items.npz, row 4)")
    assert shown(found) == [
        "items.npz row 3: id '1' occurs before; the first one is used in 1",
        "items.npz row 4: item is empty in 2",
    ]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"item": np.array(["a"])}, "has no array 'id' (data.columns.id)"),
        ({"id": np.array(["a"])}, "has no array 'item' (data.columns.item)"),
        (
            {"id": np.arange(2), "item": np.array(["a"])},
            "the array 'id' has 2 rows, where the file holds 1 items",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, words):
    with pytest.raises(DataError) as caught:
        of_texts(npz_of(tmp_path / "a.npz", **arrays))
    assert words in str(caught.value)


def test_items_named_by_a_table_are_read_when_they_are_named():
    index = ItemIndex(
        "items.csv", {"x1": "cat", "x2": "dog", "x3": "cat"}, {}, "line", NOTHING_QUARANTINED
    )
    with ItemStore(READER, features=Features(None)) as read:
        items = ItemsById(index, read)
        assert items.lookup("gone", column="left") == Problem(
            "no_item", "no item 'gone' in items.csv"
        )
        numbers = [items.add(items.lookup(name, column="left")) for name in ("x3", "x2", "x1")]
        ragged = items.build()
    # Two ids of one text are one item.
    assert numbers == [0, 1, 0]
    assert [ragged.row(i).tobytes() for i in range(2)] == [b"cat", b"dog"]


class Failing:
    """A reader of files that are all missing."""

    is_slow = True
    dtype = np.dtype(np.uint8)

    def __init__(self):
        self.fetched = []

    def key(self, cell):
        return cell

    def fetch(self, keys):
        self.fetched += keys

    def read(self, key):
        return Problem("no_file", "there is no such file")

    def named(self, problem, *, cell, column):
        return Problem(problem.reason, f"{column} {cell!r}: {problem.detail}")


def test_a_bad_file_is_named_with_its_id_and_path():
    index = ItemIndex("items.csv", {"x1": "a.png"}, {}, "line", NOTHING_QUARANTINED)
    reader = Failing()
    with ItemStore(reader, features=Features(None)) as read:
        items = ItemsById(index, read)
        items.prefetch(["gone", "x1"])
        assert items.lookup("x1", column="left") == Problem(
            "no_file", "left 'x1', which is 'a.png': there is no such file"
        )
    assert reader.fetched == ["a.png"]


def test_items_that_are_rows_of_arrays_are_numbered_as_they_are_named(tmp_path):
    values = np.array([[0.0], [1], [np.nan], [3], [4]])
    path = npz_of(
        tmp_path / "a.npz",
        values=values,
        lengths=np.array([2, 1, 2]),
        id=np.array(["a", "bad", "c"]),
    )
    with open_npz(path, where="data.items: 'a.npz'") as arrays:
        section = SequenceDataConfig(train="x.csv", items="a.npz")
        stored = array_items(arrays, section, features=Features(None))
        index = index_of_rows(arrays, stored, name="a.npz", columns=COLUMNS)
        items = ArrayItemsById(index, stored)
        numbers = [items.add(items.lookup(name, column="left")) for name in "cac"]
        assert items.lookup("bad", column="left") == Problem(
            "no_item", "item 'bad' is bad (a.npz, row 2)"
        )
        ragged = items.build()
    assert numbers == [0, 1, 0]
    assert [ragged.row(i).tolist() for i in range(2)] == [[[3.0], [4.0]], [[0.0], [1.0]]]
    assert shown(index) == [
        "a.npz row 2: holds NaN or a number beyond float32 in step 1 in 'bad'"
    ]
