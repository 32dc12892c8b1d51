"""Items by ID: what `data.items` holds, and what the IDs in pair files name.

An ID names a cell of a table (a text or a path, read when a pair first names it) or a row of an
`.npz`::

    index = index_of_table(table, columns=section.columns, reader=reader)
    items = ItemsById(index, ItemStore(reader, features=Features(None)))
    items.lookup("x17", column="left")
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from job.config.data import ColumnsConfig
from job.config.names import shown
from job.data.items.array_items import ArrayItems
from job.data.items.columns import item_of, name_of, text_cells
from job.data.items.item_store import ItemRef, Items, ItemStore
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
    """What each ID names.

    Args:
        name: The file as the configuration gives it.
        cells: Each ID and what it names.
        bad: Each ID whose item was rejected, and the line or row of it.
        unit: The unit of the lines.
        quarantine: The rejected rows.
    """

    name: str
    cells: Mapping[str, Cell]
    bad: Mapping[str, int]
    unit: Unit
    quarantine: Quarantine

    def find(self, item_id: str) -> Cell | Problem:
        """What an ID names."""
        cell = self.cells.get(item_id)
        if cell is not None:
            return cell
        if item_id in self.bad:
            where = f"{self.name}, {self.unit} {self.bad[item_id]}"
            return Problem("no_item", f"item {sample_of(item_id)} is bad ({where})")
        return Problem("no_item", f"no item {sample_of(item_id)} in {self.name}")


class _Row(NamedTuple, Generic[Cell]):
    """One row of `data.items`: its line, its ID, what that names, and the row for display."""

    line: int
    item_id: object
    cell: Cell | Problem
    raw: object


def index_of_table(table: Table, *, columns: ColumnsConfig, reader: Reader) -> ItemIndex[str]:
    """Indexes a table with a column of IDs and one of texts or paths.

    Args:
        table: The file.
        columns: Names of the columns.
        reader: Checks the cells; it reads no item yet.

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
        index = _index(rows, file=table.name, unit=table.unit, column=columns.id)
    if not index.quarantine.rows_read:
        raise table.no_rows("Give a file with one item on each line.")
    return index


def index_of_texts(
    arrays: Npz, *, name: str, columns: ColumnsConfig, reader: Reader
) -> ItemIndex[str]:
    """Indexes an `.npz` with an array of IDs and one of texts.

    Args:
        arrays: The file.
        name: The file as the configuration gives it.
        columns: Names of the arrays.
        reader: Checks the texts.

    Raises:
        DataError: An array is missing, or has another type or length.
    """
    texts = text_cells(arrays, columns.item)
    cells = (_checked(text, column=columns.item, reader=reader) for text in texts)
    return _index_of_arrays(arrays, cells, num_rows=len(texts), name=name, column=columns.id)


def index_of_rows(
    arrays: Npz, stored: ArrayItems, *, name: str, columns: ColumnsConfig
) -> ItemIndex[int]:
    """Indexes an `.npz` of sequences or images; see `index_of_texts`.

    Args:
        arrays: The file.
        stored: Its items.
        name: The file as the configuration gives it.
        columns: Names of the arrays.
    """
    cells = (stored.problems.get(row, row) for row in range(stored.num_rows))
    return _index_of_arrays(
        arrays, cells, num_rows=stored.num_rows, name=name, column=columns.id
    )


def _index_of_arrays(
    arrays: Npz, cells: Iterable[Cell | Problem], *, num_rows: int, name: str, column: str
) -> ItemIndex[Cell]:
    ids = arrays.names(column, key="id", num_rows=num_rows)
    rows = (
        _Row(row, item_id, cell, item_id)
        for row, (item_id, cell) in enumerate(zip(ids, cells, strict=True), start=1)
    )
    return _index(rows, file=name, unit="row", column=column)


def _checked(cell: object, *, column: str | Sequence[str], reader: Reader) -> str | Problem:
    """The text or path of an item, checked as far as possible without opening a file."""
    text = item_of(cell, column=column)
    if isinstance(text, Problem):
        return text
    key = reader.key(text)
    if isinstance(key, Problem):
        return reader.named(key, cell=text, column=shown(column))
    return key


def _index(
    rows: Iterable[_Row[Cell]], *, file: str, unit: Unit, column: str
) -> ItemIndex[Cell]:
    rejected = QuarantineBuilder(file, unit=unit)
    cells: dict[str, Cell] = {}
    bad: dict[str, int] = {}
    for row in rows:
        rejected.rows_read += 1
        item_id = (
            row.item_id
            if isinstance(row.item_id, Problem)
            else name_of(row.item_id, column=column)
        )
        cell = row.cell
        if isinstance(item_id, Problem):
            rejected.reject(row.line, item_id, raw=row.raw)
        elif item_id in cells or item_id in bad:
            detail = f"{column} {sample_of(item_id)} occurs before; the first one is used"
            rejected.reject(row.line, Problem("duplicate", detail), raw=row.raw)
        elif isinstance(cell, Problem):
            bad[item_id] = row.line
            rejected.reject(row.line, cell, raw=row.raw)
        else:
            cells[item_id] = cell
    return ItemIndex(file, cells, bad, unit, rejected.quarantine())


class ItemsById(Items):
    """Items that cells name by ID, and a reader reads.

    Args:
        index: What the IDs name.
        items: Reads and numbers the items.
    """

    def __init__(self, index: ItemIndex[str], items: ItemStore) -> None:
        self._index = index
        self._items = items

    def prefetch(self, cells: Iterable[str]) -> None:
        found = map(self._index.find, cells)
        self._items.prefetch(cell for cell in found if not isinstance(cell, Problem))

    def lookup(self, cell: str, *, column: str | None) -> ItemRef | Problem:
        found = self._index.find(cell)
        if isinstance(found, Problem):
            return found
        return self._items.lookup(found, column=f"{column} {sample_of(cell)}, which is")

    def add(self, ref: ItemRef) -> int:
        return self._items.add(ref)

    def build(self) -> RaggedArray:
        return self._items.build()


class ArrayItemsById(Items):
    """Items that cells name by ID, and that are rows of arrays: there is nothing to prefetch.

    Args:
        index: What the IDs name.
        stored: The arrays.
    """

    def __init__(self, index: ItemIndex[int], stored: ArrayItems) -> None:
        self._index = index
        self._stored = stored
        self._numbers: dict[int, int] = {}

    def lookup(self, cell: str, *, column: str | None) -> ItemRef | Problem:
        return self._index.find(cell)

    def add(self, ref: ItemRef) -> int:
        if not isinstance(ref, int):
            raise TypeError(f"rows are added by number, got {type(ref).__name__}")
        return self._numbers.setdefault(ref, len(self._numbers))

    def build(self) -> RaggedArray:
        rows = RaggedBuilder(self._stored.dtype)
        for row in self._numbers:  # a dict keeps its order: that of the item numbers
            rows.append(self._stored.item(row))
        return rows.finished()
