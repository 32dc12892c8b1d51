"""Items as rows name them: each is read once and numbered by the first valid row that names it.

A row looks up its items first and adds them only if the whole row is valid, so a bad row uses
neither item numbers nor memory. One exception: its first valid sequence may set the number of
features of all::

    with ItemStore(TextReader(max_length=256), features=Features(None)) as items:
        ref = items.lookup("cat", column="left")
        number = items.add(ref)
    ragged = items.build()
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from job.data.items.array_items import ArrayItems
from job.data.items.readers import FileReader, Reader, Values
from job.data.quarantine import sample_of
from job.data.sources.sequence_file import Features, not_finite_problem
from job.preprocessing.ragged import RaggedArray, RaggedBuilder
from job.types import Problem

# Enough to hide the latency of a disk; decoding uses the cores there are.
_THREADS = 4
# Items read at a time; their values are in memory in addition to those that were added.
_ITEMS_READ = 64
# Rows announced at a time, so that the files of many items are copied from a bucket at once.
_ROWS_ANNOUNCED = 1024


class NewItem(NamedTuple):
    """A valid item that no row has added yet."""

    key: str
    values: Values


# What `lookup` returns for `add`; a number is that of an item that needs no reading.
ItemRef = int | NewItem


class Items(Protocol):
    """Gives the items that the cells of rows name."""

    def prefetch(self, cells: Iterable[str]) -> None:
        """Announces cells that will be looked up, in that order; may do nothing."""
        return None

    def lookup(self, cell: str, *, column: str | None) -> ItemRef | Problem:
        """Finds the item that a cell names.

        Args:
            cell: A text, a path or an ID.
            column: Its column, the subject of a problem; None: the problem has no subject.
        """
        ...

    def add(self, ref: ItemRef) -> int:
        """Makes an item part of the data and returns its number."""
        ...

    def build(self) -> RaggedArray:
        """Returns the items that were added; nothing may be looked up afterwards."""
        ...

    def drain(self) -> RaggedArray:
        """Returns the items that were added since the last call, in order.

        Their values are forgotten, their numbers are not.
        """
        ...


Row = TypeVar("Row")


def read_ahead(
    rows: Iterable[Row], *, items: Items, cells: Callable[[Row], Sequence[str]]
) -> Iterator[Row]:
    """Yields the rows unchanged and announces their cells some rows ahead.

    Args:
        rows: Read a block at a time.
        items: Told which cells follow.
        cells: The cells that a row will look up.
    """
    remaining = iter(rows)
    while block := list(islice(remaining, _ROWS_ANNOUNCED)):
        items.prefetch(cell for row in block for cell in cells(row))
        yield from block


class ItemStore:
    """Items from a reader, several read at a time where that waits for files.

    Args:
        reader: Reads them.
        features: The number of features of sequences.
    """

    def __init__(self, reader: Reader, *, features: Features) -> None:
        self._reader = reader
        self._features = features
        self._rows = RaggedBuilder(reader.dtype)
        self._first = 0  # number of the first of these rows
        self._numbers: dict[str, int] = {}
        # A bad item is small, and not read again.
        self._bad: dict[str, Problem] = {}
        # Announced keys, and the position of those that are not read yet.
        self._announced: list[str] = []
        self._position: dict[str, int] = {}
        self._read: dict[str, Values | Problem] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "read-items") if reader.is_slow else None

    def __enter__(self) -> "ItemStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._threads:
            self._threads.shutdown(cancel_futures=True)

    def prefetch(self, cells: Iterable[str]) -> None:
        if not self._threads:
            return
        keys = dict.fromkeys(map(self._reader.key, cells))
        self._announced = [
            key
            for key in keys
            if isinstance(key, str) and key not in self._numbers and key not in self._bad
        ]
        self._position = {key: position for position, key in enumerate(self._announced)}
        self._reader.fetch(self._announced)

    def locate(self, cell: str, path: Path) -> None:
        """Sets the file of an item; see `FileReader.locate`."""
        key = self._reader.key(cell)
        if isinstance(self._reader, FileReader) and isinstance(key, str):
            self._reader.locate(key, path)

    def lookup(self, cell: str, *, column: str | None) -> ItemRef | Problem:
        # The common case first. A cell under which an item was added is its own key.
        number = self._numbers.get(cell)
        if number is not None:
            return number
        key = self._reader.key(cell)
        if isinstance(key, Problem):
            return self._reader.named(key, cell=cell, column=column)
        number = self._numbers.get(key)
        if number is not None:
            return number
        values = self._bad.get(key) or self._checked(key)
        if isinstance(values, Problem):
            self._bad[key] = values
            return self._reader.named(values, cell=cell, column=column)
        return NewItem(key, values)

    def add(self, ref: ItemRef) -> int:
        if isinstance(ref, int):
            return ref
        following = self._first + len(self._rows)
        number = self._numbers.setdefault(ref.key, following)
        if number == following:
            self._rows.append(ref.values)
            self._read.pop(ref.key, None)
        return number

    def extend(self, stored: ArrayItems, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Adds rows of arrays.

        Args:
            stored: The arrays.
            rows: int64 (R,), the rows to add, each a further item.

        Returns:
            int64 (R,), the number of each.
        """
        first = self._first + len(self._rows)
        for row in rows.tolist():
            self._rows.append(stored.item(row))
        return np.arange(first, first + len(rows))

    def build(self) -> RaggedArray:
        return self._rows.finished()

    def drain(self) -> RaggedArray:
        built, self._rows = self._rows, RaggedBuilder(self._reader.dtype)
        self._first += len(built)
        return built.finished()

    def _checked(self, key: str) -> Values | Problem:
        values = self._values(key)
        if isinstance(values, Problem) or values.ndim != 2:
            return values
        # Only sequences have two axes.
        problem = self._features.known_problem(values.shape[1]) or not_finite_problem(values)
        if problem:
            return problem
        # Only now, so that a bad sequence does not set the number of features.
        of = f"the first sequence, {sample_of(key)},"
        return self._features.problem(values.shape[1], of=of) or values

    def _values(self, key: str) -> Values | Problem:
        """Reads an item and, if it was announced, those that follow it at the same time."""
        if key not in self._read and self._threads and key in self._position:
            first = self._position[key]
            keys = self._announced[first : first + _ITEMS_READ]
            for one in keys:
                self._position.pop(one, None)
            self._read = dict(
                zip(keys, self._threads.map(self._reader.read, keys), strict=True)
            )
        return self._read[key] if key in self._read else self._reader.read(key)
