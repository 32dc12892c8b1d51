"""Items by an id: `data.items`, and what the ids in pair files mean.

An id stands for a cell of a table (a text or a path, read when a pair first names it) or for a
row of an `.npz`::

    catalogue = catalogue_of_table(table, columns=section.columns, reader=reader)
    items = ItemsById(catalogue, ItemStore(reader, features=Features(None)))
    items.find("x17", column="left")
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from job.config.data import ColumnsConfig
from job.data.items.array_items import ArrayItems
from job.data.items.columns import item_of, name_of
from job.data.items.item_store import Found, ItemStore
from job.data.items.readers import Reader
from job.data.quarantine import Quarantine, QuarantineBuilder, Unit, sample_of
from job.data.sources.npz import Npz
from job.data.sources.table import Table
from job.preprocessing.ragged import RaggedArray, RaggedBuilder
from job.types import Problem

# A text, a path, or the number of a row.
Cell = TypeVar("Cell", str, int)


@dataclass(frozen=True)
class ItemIndex(Generic[Cell]):
    """What each id means.

    Args:
        name: The file as the configuration names it.
        cells: Id to what it stands for.
        bad: Id to the line or row that was kept out.
        unit: In what these are counted.
        quarantine: What was kept out.
    """

    name: str
    cells: Mapping[str, Cell]
    bad: Mapping[str, int]
    unit: Unit
    quarantine: Quarantine

    def find(self, name: str) -> Cell | Problem:
        """What an id stands for."""
        cell = self.cells.get(name)
        if cell is not None:
            return cell
        if name in self.bad:
            where = f"{self.name}, {self.unit} {self.bad[name]}"
            return Problem("no_item", f"item {sample_of(name)} is bad ({where})")
        return Problem("no_item", f"no item {sample_of(name)} in {self.name}")


class _Row(NamedTuple, Generic[Cell]):
    """One row of `data.items`: where it is, its id, what that stands for, and what to show."""

    line: int
    name: object
    cell: Cell | Problem
    raw: object


def catalogue_of_table(
    table: Table, *, columns: ColumnsConfig, reader: Reader
) -> ItemIndex[str]:
    """The catalogue of a table with a column of ids and one of texts or paths.

    Args:
        table: The file.
        columns: Names the columns.
        reader: Reads the items; it is asked for none yet.

    Raises:
        DataError: The table cannot be read.
    """
    with table.records({"id": columns.id, "item": columns.item}) as records:
        rows = (
            _Row(record.line, record.problem, "", record.raw)
            if record.problem
            else _Row(
                record.line,
                record.fields[0],
                _checked(record.fields[1], column=columns.item, reader=reader),
                record.raw,
            )
            for record in records
        )
        catalogue = _catalogue(rows, file=table.name, unit=table.unit, column=columns.id)
    if not catalogue.quarantine.rows_read:
        raise table.no_rows("Give a file with one item on each line.")
    return catalogue


def catalogue_of_texts(
    arrays: Npz, *, name: str, columns: ColumnsConfig, reader: Reader
) -> ItemIndex[str]:
    """The catalogue of an `.npz` with an array of ids and one of texts.

    Args:
        arrays: The file.
        name: The file as the configuration names it.
        columns: Names the arrays.
        reader: Checks the texts.

    Raises:
        DataError: An array is missing or is not what it has to be.
    """
    texts = arrays.names(columns.item, key="item")
    cells = (_checked(text, column=columns.item, reader=reader) for text in texts)
    return _of_arrays(arrays, cells, num_rows=len(texts), name=name, column=columns.id)


def catalogue_of_rows(
    arrays: Npz, stored: ArrayItems, *, name: str, columns: ColumnsConfig
) -> ItemIndex[int]:
    """The catalogue of an `.npz` that holds sequences or pictures; see `catalogue_of_texts`.

    Args:
        arrays: The file.
        stored: Its items.
        name: The file as the configuration names it.
        columns: Names the array of ids.
    """
    cells = (stored.problems.get(row, row) for row in range(stored.num_rows))
    return _of_arrays(arrays, cells, num_rows=stored.num_rows, name=name, column=columns.id)


def _of_arrays(
    arrays: Npz, cells: Iterable[Cell | Problem], *, num_rows: int, name: str, column: str
) -> ItemIndex[Cell]:
    ids = arrays.names(column, key="id", num_rows=num_rows)
    rows = (
        _Row(row, item, cell, item)
        for row, (item, cell) in enumerate(zip(ids, cells, strict=True), start=1)
    )
    return _catalogue(rows, file=name, unit="row", column=column)


def _checked(cell: object, *, column: str, reader: Reader) -> str | Problem:
    """The text or path of an item, as far as that can be judged without opening a file."""
    text = item_of(cell, column=column)
    if isinstance(text, Problem):
        return text
    identity = reader.identity(text)
    if isinstance(identity, Problem):
        return reader.named(identity, cell=text, column=column)
    return identity


def _catalogue(
    rows: Iterable[_Row[Cell]], *, file: str, unit: Unit, column: str
) -> ItemIndex[Cell]:
    sieve = QuarantineBuilder(file, unit=unit)
    cells: dict[str, Cell] = {}
    bad: dict[str, int] = {}
    for row in rows:
        sieve.rows_read += 1
        name = row.name if isinstance(row.name, Problem) else name_of(row.name, column=column)
        cell = row.cell
        if isinstance(name, Problem):
            sieve.reject(row.line, name, raw=row.raw)
        elif name in cells or name in bad:
            detail = f"{column} {sample_of(name)} occurs before; the first one stands"
            sieve.reject(row.line, Problem("duplicate", detail), raw=row.raw)
        elif isinstance(cell, Problem):
            bad[name] = row.line
            sieve.reject(row.line, cell, raw=row.raw)
        else:
            cells[name] = cell
    return ItemIndex(file, cells, bad, unit, sieve.quarantine())


class ItemsById:
    """Items that cells name by their ids, and a reader reads.

    Args:
        catalogue: What the ids mean.
        items: Reads them.
    """

    def __init__(self, catalogue: ItemIndex[str], items: ItemStore) -> None:
        self._catalogue = catalogue
        self._items = items

    @property
    def is_slow(self) -> bool:
        return self._items.is_slow

    @property
    def is_remote(self) -> bool:
        return self._items.is_remote

    def fetch(self, cells: Iterable[str]) -> None:
        paths = map(self._catalogue.find, cells)
        self._items.fetch(path for path in paths if not isinstance(path, Problem))

    def expect(self, cell: str) -> None:
        path = self._catalogue.find(cell)
        if not isinstance(path, Problem):
            self._items.expect(path)

    def release(self, cell: str) -> None:
        path = self._catalogue.find(cell)
        if not isinstance(path, Problem):
            self._items.release(path)

    def find(self, cell: str, *, column: str | None) -> Found | Problem:
        path = self._catalogue.find(cell)
        if isinstance(path, Problem):
            return path
        return self._items.find(path, column=f"{column} {sample_of(cell)}, which is")

    def keep(self, found: Found) -> int:
        return self._items.keep(found)

    def finished(self) -> RaggedArray:
        return self._items.finished()


class ArrayItemsById:
    """Items that cells name by their ids, and that are rows of arrays.

    Args:
        catalogue: What the ids mean.
        stored: The arrays; they stay open until `finished` was called.
    """

    def __init__(self, catalogue: ItemIndex[int], stored: ArrayItems) -> None:
        self._catalogue = catalogue
        self._stored = stored
        self._numbers: dict[int, int] = {}

    @property
    def is_slow(self) -> bool:
        return False

    @property
    def is_remote(self) -> bool:
        return False

    def fetch(self, cells: Iterable[str]) -> None:
        """Nothing is far away."""

    def expect(self, cell: str) -> None:
        """Nothing is read yet."""

    def release(self, cell: str) -> None:
        """Nothing was read."""

    def find(self, cell: str, *, column: str | None) -> Found | Problem:
        return self._catalogue.find(cell)

    def keep(self, found: Found) -> int:
        if not isinstance(found, int):
            raise TypeError(f"rows are kept by their number, got {type(found).__name__}")
        return self._numbers.setdefault(found, len(self._numbers))

    def finished(self) -> RaggedArray:
        kept = RaggedBuilder(self._stored.dtype)
        # A dict keeps its order: that of the numbers.
        for row in self._numbers:
            kept.append(self._stored.item(row))
        return kept.finished()
