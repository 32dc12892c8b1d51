import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from job.data.items.item_store import _ROWS_AHEAD, ItemStore, NewItem, read_ahead
from job.data.items.readers import TextReader
from job.data.sources.sequence_file import Features
from job.types import Problem


@dataclass
class Files:
    """A reader of sequences: `3x2` is one of three steps with two features.

    Args:
        reads: How often each was read.
        gate: What each read waits for.
    """

    reads: Counter = field(default_factory=Counter)
    gate: threading.Event = field(default_factory=threading.Event)
    is_slow: bool = True
    is_remote: bool = False
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))

    def __post_init__(self):
        self.gate.set()

    def identity(self, cell):
        return cell.removeprefix("./") or Problem("empty", "is empty")

    def read(self, identity):
        self.gate.wait(timeout=1)
        self.reads[identity] += 1
        if identity == "denied":
            raise PermissionError("denied")
        if "x" not in identity:
            return Problem("no_file", "is not there")
        return np.ones(tuple(map(int, identity.split("x"))), np.float32)

    def named(self, problem, *, cell, column):
        return Problem(problem.reason, f"{column} {cell!r} {problem.detail}")


def kept(items: ItemStore, *cells: str) -> list[int]:
    return [items.keep(items.find(cell, column="left")) for cell in cells]


def test_texts_are_numbered_once_by_what_they_are():
    with ItemStore(TextReader(9), features=Features(None)) as items:
        assert not items.is_slow
        assert kept(items, "cat", "caf\u00e9", "cafe\u0301", "cat", "dog") == [0, 1, 1, 0, 2]
        ragged = items.finished()
    assert [ragged.row(i).tobytes().decode() for i in range(3)] == ["cat", "caf\u00e9", "dog"]


def test_an_item_that_is_found_but_not_kept_leaves_no_trace():
    with ItemStore(TextReader(9), features=Features(None)) as items:
        assert items.find("new", column="left").identity == "new"
        assert kept(items, "cat", "new") == [0, 1]


def test_a_problem_is_named_with_its_cell():
    with ItemStore(TextReader(2), features=Features(None)) as items:
        found = items.find("cat", column="left")
    assert found == Problem("too_long", "left has 3 characters (data.max_length is 2)")


def test_a_file_is_read_once_however_often_it_is_named():
    reader = Files()
    with ItemStore(reader, features=Features(None)) as items:
        assert items.is_slow
        for cell in ("2x2", "./2x2", "bad", "bad"):
            items.expect(cell)
        assert isinstance(items.find("2x2", column="left"), NewItem)
        assert items.find("bad", column="left") == Problem("no_file", "left 'bad' is not there")
        assert items.find("bad", column="right").detail == "right 'bad' is not there"
        assert kept(items, "2x2", "./2x2", "1x2") == [0, 0, 1]
        items.expect("2x2")
        # What was kept is not held a second time; what is bad is not read a second time.
        assert list(items._waiting) == ["bad"]
        ragged = items.finished()
    assert reader.reads == {"2x2": 1, "bad": 1, "1x2": 1}
    assert ragged.lengths.tolist() == [2, 1]


def test_what_bad_rows_asked_for_is_not_held():
    reader = Files()
    bad = [(f"{number}x1", "bad") for number in range(1, 40)]
    held = []
    with ItemStore(reader, features=Features(None)) as items:
        for row in read_ahead([*bad, ("7x1", "8x1")], items=items, cells=lambda row: row):
            found = [items.find(cell, column="left") for cell in row]
            if not any(isinstance(one, Problem) for one in found):
                assert [items.keep(one) for one in found] == [0, 1]
            held.append(len(items._waiting))
        assert list(items._waiting) == ["bad"]
        assert not items._expected
    # The row itself and those ahead.
    assert max(held) <= 2 * (1 + _ROWS_AHEAD)
    assert reader.reads["bad"] == 1


def test_what_a_row_ahead_waits_for_is_held():
    reader = Files()
    rows = [("2x1", "bad"), ("2x1", "bad"), ("2x1", "3x1")]
    with ItemStore(reader, features=Features(None)) as items:
        for row in read_ahead(rows, items=items, cells=lambda row: row):
            found = [items.find(cell, column="left") for cell in row]
        kept = [items.keep(one) for one in found]
    assert kept == [0, 1]
    assert reader.reads == {"2x1": 1, "3x1": 1, "bad": 1}


@pytest.mark.parametrize("cell", ["denied", "2x1"])
def test_what_no_row_came_to_ask_for_goes_without_a_word(cell):
    with ItemStore(Files(), features=Features(None)) as items:
        for _ in read_ahead([(cell,)], items=items, cells=lambda row: row):
            pass
        assert not items._waiting


def test_an_item_kept_twice_by_one_row_has_one_number():
    with ItemStore(Files(), features=Features(None)) as items:
        left, right = (items.find("2x2", column=column) for column in ("left", "right"))
        assert [items.keep(left), items.keep(right)] == [0, 0]
        assert len(items.finished()) == 1


def test_the_first_sequence_sets_the_features_of_all():
    with ItemStore(Files(), features=Features(None)) as items:
        # Found and not kept: it is a good sequence, whatever is wrong with its row.
        items.find("4x3", column="left")
        assert items.find("4x2", column="left") == Problem(
            "shape", "left '4x2' has 2 features where the first sequence, '4x3', has 3"
        )
        assert kept(items, "1x3") == [0]


def test_what_a_thread_raises_ends_the_reading():
    with ItemStore(Files(), features=Features(None)) as items:
        items.expect("denied")
        with pytest.raises(PermissionError):
            items.find("denied", column="left")


def test_leaving_drops_what_was_not_begun():
    reader = Files()
    reader.gate.clear()
    with ItemStore(reader, features=Features(None)) as items:
        for number in range(1, 21):
            items.expect(f"{number}x1")
        # Those that are under way go on when the last one was dropped, not before.
        items._waiting["20x1"].add_done_callback(lambda _: reader.gate.set())
    assert sum(reader.reads.values()) <= 4
    assert not [thread for thread in threading.enumerate() if "read-items" in thread.name]


class Recorder:
    """What `read_ahead` asks of items."""

    is_remote = False

    def __init__(self, *, is_slow: bool):
        self.is_slow = is_slow
        self.expected: list[str] = []
        self.released: list[str] = []
        self.fetched: list[list[str]] = []

    def fetch(self, cells):
        self.fetched.append(list(cells))

    def expect(self, cell):
        self.expected.append(cell)

    def release(self, cell):
        self.released.append(cell)


def test_rows_are_expected_a_few_ahead_and_come_in_order():
    items = Recorder(is_slow=True)
    lead = []
    rows = read_ahead(range(30), items=items, cells=lambda row: (f"{row}a", f"{row}b"))
    for row in rows:
        lead.append(len(items.expected) // 2 - row)
        assert len(items.released) == 2 * row
    assert lead == [9] * 21 + list(range(9, 0, -1))
    assert items.expected == [f"{row}{side}" for row in range(30) for side in "ab"]
    assert items.released == items.expected


def test_what_needs_no_waiting_is_not_expected():
    items = Recorder(is_slow=False)
    taken = []
    rows = read_ahead(map(taken.append, range(5)), items=items, cells=lambda row: ("x",))
    next(rows)
    assert (taken, items.expected) == ([0], [])


def test_items_of_many_rows_are_brought_near_at_a_time(monkeypatch):
    monkeypatch.setattr("job.data.items.item_store._ROWS_FETCHED", 4)
    near, items = Recorder(is_slow=True), Recorder(is_slow=True)
    items.is_remote = True
    for one in (near, items):
        rows = read_ahead(range(10), items=one, cells=lambda row: (str(row),))
        assert list(rows) == list(range(10))
    assert near.fetched == []
    assert items.fetched == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
