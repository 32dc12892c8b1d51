"""Items as rows name them: each read once, numbered in the order of the first good row.

A row finds its items first and keeps them only when all of it is good, so a bad row leaves no
trace, neither in the numbers nor in memory, but that its first good sequence may say how many
features all have::

    with ItemStore(TextReader(max_length=256)) as items:
        found = items.find("cat", column="left")
        number = items.keep(found)
    ragged = items.finished()
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

# Enough to hide the waiting for a disk or a bucket; decoding is shared by the cores there are.
_THREADS = 4
# Rows that are read in advance: their items are in memory beside what is kept.
_ROWS_AHEAD = 2 * _THREADS
# Rows whose items are copied from a bucket at a time.
_ROWS_FETCHED = 1024


class NewItem(NamedTuple):
    """A good item that no row has kept so far."""

    identity: str
    values: Values


# What `find` gives to `keep`; a number stands for an item that needs no more reading.
Found = int | NewItem


class Items(Protocol):
    """What the cells of rows mean."""

    @property
    def is_slow(self) -> bool:
        """Whether to call `expect` some rows ahead."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether to call `fetch` for many rows at a time."""
        ...

    def fetch(self, cells: Iterable[str]) -> None:
        """Brings items near that will be asked for, many at a time."""
        ...

    def expect(self, cell: str) -> None:
        """Begins to read an item that will be asked for."""
        ...

    def release(self, cell: str) -> None:
        """Ends what `expect` began, once for each call: the row was judged."""
        ...

    def find(self, cell: str, *, column: str | None) -> Found | Problem:
        """The item that a cell means, or what is wrong with it.

        Args:
            cell: A text, a path or an id.
            column: Where it stands, for messages; None: what is wrong is said without.
        """
        ...

    def keep(self, found: Found) -> int:
        """The number of an item that is part of the data from now on."""
        ...

    def finished(self) -> RaggedArray:
        """The items that were kept; none may be found afterwards."""
        ...


Row = TypeVar("Row")


def read_ahead(
    rows: Iterable[Row], *, items: Items, cells: Callable[[Row], Sequence[str]]
) -> Iterator[Row]:
    """The same rows in the same order, while the items of those that follow are being read.

    A row is done with when the next one is asked for; what was read for it alone goes then.

    Args:
        rows: Taken some in advance.
        items: What reads.
        cells: What a row will ask for.
    """
    if not items.is_slow:
        yield from rows
        return
    waiting: deque[Row] = deque()
    for row in _fetched(rows, items=items, cells=cells):
        for cell in cells(row):
            items.expect(cell)
        waiting.append(row)
        if len(waiting) > _ROWS_AHEAD:
            yield from _judged(waiting.popleft(), items=items, cells=cells)
    for row in waiting:
        yield from _judged(row, items=items, cells=cells)


def _judged(row: Row, *, items: Items, cells: Callable[[Row], Sequence[str]]) -> Iterator[Row]:
    yield row
    for cell in cells(row):
        items.release(cell)


def _fetched(
    rows: Iterable[Row], *, items: Items, cells: Callable[[Row], Sequence[str]]
) -> Iterator[Row]:
    """The same rows, the items of many of them brought near at a time where they are far."""
    if not items.is_remote:
        yield from rows
        return
    left = iter(rows)
    while some := list(islice(left, _ROWS_FETCHED)):
        items.fetch(cell for row in some for cell in cells(row))
        yield from some


class ItemStore:
    """Items that a reader reads, a few in advance where that helps.

    Args:
        reader: Reads them.
        features: Of sequences: how many features they have.
    """

    def __init__(self, reader: Reader, *, features: Features) -> None:
        self._reader = reader
        self._features = features
        self._rows = RaggedBuilder(reader.dtype)
        self._numbers: dict[str, int] = {}
        # What was read of items that no good row has named yet, and the rows that wait for it.
        self._waiting: dict[str, Future[Values | Problem]] = {}
        self._expected: Counter[str] = Counter()
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

    @property
    def is_slow(self) -> bool:
        return self._threads is not None

    @property
    def is_remote(self) -> bool:
        return self._reader.is_remote

    def fetch(self, cells: Iterable[str]) -> None:
        identities = (self._reader.identity(cell) for cell in cells)
        self._reader.fetch(
            one
            for one in identities
            if not isinstance(one, Problem) and one not in self._numbers
        )

    def place(self, cell: str, path: Path) -> None:
        """Says where the file of an item is; see `FileReader.place`."""
        identity = self._reader.identity(cell)
        if isinstance(self._reader, FileReader) and not isinstance(identity, Problem):
            self._reader.place(identity, path)

    def expect(self, cell: str) -> None:
        identity = self._reader.identity(cell)
        if not isinstance(identity, Problem):
            self._expected[identity] += 1
            if identity not in self._numbers:
                self._begin(identity)

    def release(self, cell: str) -> None:
        identity = self._reader.identity(cell)
        if isinstance(identity, Problem):
            return
        self._expected[identity] -= 1
        if self._expected[identity] > 0:
            return
        del self._expected[identity]
        read = self._waiting.get(identity)
        # What is bad is small, and is not read a second time.
        if read and not _is_bad(read):
            read.cancel()
            del self._waiting[identity]

    def find(self, cell: str, *, column: str | None) -> Found | Problem:
        # The common case first. A cell under which an item was kept is its own identity.
        number = self._numbers.get(cell)
        if number is not None:
            return number
        identity = self._reader.identity(cell)
        if isinstance(identity, Problem):
            return self._reader.named(identity, cell=cell, column=column)
        number = self._numbers.get(identity)
        if number is not None:
            return number
        values = self._read(identity)
        if isinstance(values, Problem):
            return self._reader.named(values, cell=cell, column=column)
        return NewItem(identity, values)

    def keep(self, found: Found) -> int:
        if isinstance(found, int):
            return found
        number = self._numbers.setdefault(found.identity, len(self._rows))
        if number == len(self._rows):
            self._rows.append(found.values)
            self._waiting.pop(found.identity, None)
        return number

    def add(self, stored: ArrayItems, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keeps rows of arrays.

        Args:
            stored: The arrays; none of their rows was added before.
            rows: int64 (R,), which of them, each once.

        Returns:
            int64 (R,), the number of each.
        """
        first = len(self._rows)
        for row in rows.tolist():
            self._rows.append(stored.item(row))
        return np.arange(first, len(self._rows))

    def finished(self) -> RaggedArray:
        return self._rows.finished()

    def _read(self, identity: str) -> Values | Problem:
        future = self._begin(identity)
        values = future.result() if future else self._reader.read(identity)
        if isinstance(values, Problem) or values.ndim != 2:
            return values
        # Only time steps are vectors.
        problem = self._features.known_problem(values.shape[1]) or not_finite_problem(values)
        if problem:
            return problem
        # Only now, so that what is bad does not say how many features all others have.
        of = f"the first sequence, {sample_of(identity)},"
        return self._features.problem(values.shape[1], of=of) or values

    def _begin(self, identity: str) -> "Future[Values | Problem] | None":
        """Has an item read by another thread, once; None where that does not help."""
        if self._threads and identity not in self._waiting:
            self._waiting[identity] = self._threads.submit(self._reader.read, identity)
        return self._waiting.get(identity)


def _is_bad(read: "Future[Values | Problem]") -> bool:
    """Whether reading is over and found a problem; one that raised is raised when found."""
    return read.done() and not read.exception() and isinstance(read.result(), Problem)
