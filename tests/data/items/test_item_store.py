import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from job.data.items.item_store import _ITEMS_READ, Items, ItemStore, NewItem, read_ahead
from job.data.items.readers import TextReader
from job.data.sources.sequence_file import Features
from job.types import Problem


@dataclass
class Files:
    """A reader of sequences: `3x2` is one of three steps with two features.

    Args:
        reads: How often each was read.
        fetched: The keys of each call of `fetch`.
        barrier: Waited for by each read.
    """

    reads: Counter = field(default_factory=Counter)
    fetched: list[list[str]] = field(default_factory=list)
    barrier: threading.Barrier | None = None
    is_slow: bool = True
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))

    def key(self, cell):
        return cell.removeprefix("./") or Problem("empty", "is empty")

    def fetch(self, keys):
        self.fetched.append(list(keys))

    def read(self, key):
        if self.barrier:
            self.barrier.wait(timeout=10)
        self.reads[key] += 1
        if key == "denied":
            raise PermissionError("denied")
        if "x" not in key:
            return Problem("no_file", "is not there")
        return np.ones(tuple(map(int, key.split("x"))), np.float32)

    def named(self, problem, *, cell, column):
        return Problem(problem.reason, f"{column} {cell!r} {problem.detail}")


def added(items: ItemStore, *cells: str) -> list[int]:
    return [items.add(items.lookup(cell, column="left")) for cell in cells]


def test_texts_are_numbered_once_by_what_they_are():
    with ItemStore(TextReader(9), features=Features(None)) as items:
        assert added(items, "cat", "caf\u00e9", "cafe\u0301", "cat", "dog") == [0, 1, 1, 0, 2]
        ragged = items.build()
    assert [ragged.row(i).tobytes().decode() for i in range(3)] == ["cat", "caf\u00e9", "dog"]


def test_an_item_that_is_looked_up_but_not_added_leaves_no_trace():
    with ItemStore(TextReader(9), features=Features(None)) as items:
        assert items.lookup("new", column="left").key == "new"
        assert added(items, "cat", "new") == [0, 1]


def test_a_problem_is_named_with_its_cell():
    with ItemStore(TextReader(2), features=Features(None)) as items:
        found = items.lookup("cat", column="left")
    assert found == Problem("too_long", "left has 3 characters (data.max_length is 2)")


@pytest.mark.parametrize("announced", [(), ("2x2", "./2x2", "bad", "", "bad", "1x2")])
def test_a_file_is_read_once_however_often_it_is_named(announced):
    reader = Files()
    with ItemStore(reader, features=Features(None)) as items:
        items.prefetch(announced)
        assert isinstance(items.lookup("2x2", column="left"), NewItem)
        assert added(items, "2x2", "./2x2") == [0, 0]
        assert items.lookup("bad", column="left") == Problem(
            "no_file", "left 'bad' is not there"
        )
        assert items.lookup("bad", column="right").detail == "right 'bad' is not there"
        assert added(items, "2x2", "1x2") == [0, 1]
        ragged = items.build()
    # What was not announced is read for each lookup.
    assert reader.reads == {"2x2": 1 if announced else 2, "bad": 1, "1x2": 1}
    assert reader.fetched == [["2x2", "bad", "1x2"] if announced else []]
    assert ragged.lengths.tolist() == [2, 1]


def test_what_is_known_is_not_fetched_again():
    reader = Files()
    with ItemStore(reader, features=Features(None)) as items:
        assert added(items, "2x2") == [0]
        items.lookup("bad", column="left")
        items.prefetch(["2x2", "bad", "3x2"])
    assert reader.fetched == [["3x2"]]


def test_announced_items_are_read_several_at_a_time():
    reader = Files(barrier=threading.Barrier(4))
    with ItemStore(reader, features=Features(None)) as items:
        items.prefetch(["1x1", "2x1", "3x1", "4x1"])
        # Each read waits until four threads read.
        assert added(items, "1x1", "2x1", "3x1", "4x1") == [0, 1, 2, 3]


def test_of_the_items_read_ahead_few_are_held():
    reader = Files()
    rows = [f"{number}x1" for number in range(1, 1 + 3 * _ITEMS_READ)]
    held = []
    with ItemStore(reader, features=Features(None)) as items:
        for row in read_ahead(rows, items=items, cells=lambda row: (row,)):
            items.lookup(row, column="left")  # a bad row adds nothing
            held.append(len(items._read))
    assert max(held) == _ITEMS_READ
    assert set(reader.reads.values()) == {1}


def test_an_item_of_a_bad_row_is_read_again_alone():
    reader = Files()
    rows = [f"{number}x1" for number in range(1, 1 + 2 * _ITEMS_READ)]
    with ItemStore(reader, features=Features(None)) as items:
        items.prefetch(rows)
        items.lookup(rows[0], column="left")
        items.lookup(rows[-1], column="left")
        assert added(items, rows[0]) == [0]
    assert reader.reads == {rows[0]: 2, **dict.fromkeys(rows[1:_ITEMS_READ], 1), rows[-1]: 1}


def test_an_item_added_twice_by_one_row_has_one_number():
    with ItemStore(Files(), features=Features(None)) as items:
        left, right = (items.lookup("2x2", column=column) for column in ("left", "right"))
        assert [items.add(left), items.add(right)] == [0, 0]
        assert len(items.build()) == 1


def test_the_first_valid_sequence_sets_the_features_of_all():
    with ItemStore(Files(), features=Features(None)) as items:
        # Looked up and not added: it is a valid sequence, whatever is wrong with its row.
        items.lookup("4x3", column="left")
        assert items.lookup("4x2", column="left") == Problem(
            "shape", "left '4x2' has 2 features where the first sequence, '4x3', has 3"
        )
        assert added(items, "1x3") == [0]


def test_an_exception_of_a_thread_ends_the_reading():
    with ItemStore(Files(), features=Features(None)) as items:
        items.prefetch(["1x1", "denied"])
        with pytest.raises(PermissionError):
            items.lookup("1x1", column="left")
    assert not [thread for thread in threading.enumerate() if "read-items" in thread.name]


class Recorder(Items):
    """Records what `read_ahead` announces."""

    def __init__(self):
        self.announced: list[list[str]] = []

    def prefetch(self, cells):
        self.announced.append(list(cells))


def test_rows_come_in_order_and_their_cells_are_announced_in_blocks(monkeypatch):
    monkeypatch.setattr("job.data.items.item_store._ROWS_ANNOUNCED", 2)
    items, taken = Recorder(), []
    rows = read_ahead(range(5), items=items, cells=lambda row: (f"{row}a", f"{row}b"))
    for row in rows:
        taken.append((row, len(items.announced)))
    assert taken == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3)]
    assert items.announced == [["0a", "0b", "1a", "1b"], ["2a", "2b", "3a", "3b"], ["4a", "4b"]]
