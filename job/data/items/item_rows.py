"""Reads the rows of labelled items: an item, and its class.

A table, an `.npz` and a folder of class folders all end in the same form::

    labelled = LabelledItems(items, columns=section.columns)
    train = labelled.of_table(table, marks=marks)
    train.item  # numbers into the items
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from job.config.data import ColumnsConfig
from job.data.items.array_items import ArrayItems
from job.data.items.columns import GroupAndSplit, GroupSplitColumns, item_of, name_of
from job.data.items.item_store import ItemRef, ItemStore, read_ahead
from job.data.quarantine import Quarantine, QuarantineBuilder, sample_of
from job.data.sources.class_folders import walk
from job.data.sources.configured import DataSource
from job.data.sources.npz import Npz
from job.data.sources.table import Table, disk_errors_named
from job.errors import DataError
from job.types import Problem


@dataclass(frozen=True, eq=False)
class ItemRows:
    """The good rows of one file, in file order, and what was kept out.

    Args:
        item: int64 (R,), the number of each row's item; one that repeats has the same.
        group: int64 (R,), the group of each, numbered from 0; None without such a column.
        split: int8 (R,), index into SPLITS of each; None without such a column.
        quarantine: The bad rows.
    """

    item: NDArray[np.int64]
    group: NDArray[np.int64] | None
    split: NDArray[np.int8] | None
    quarantine: Quarantine


_WANTED = "Give at least two classes, and a class of at least two items, for each split."


class _Row(NamedTuple):
    """A row that is good as far as its cells show; `problem` is set if it is not.

    Attributes:
        line: Where it is.
        raw: Something of it to show.
        cell: The text or path of the item.
        item_class: Name of its class.
        mark: Its group and split.
        problem: Why it cannot be used.
        file: The file itself, where the rows are files of a folder.
    """

    line: int
    raw: object
    cell: str = ""
    item_class: str = ""
    mark: GroupAndSplit = GroupAndSplit(None, None)
    problem: Problem | None = None
    file: str | None = None


class LabelledItems:
    """Items and the class of each, over all files of a data set.

    Args:
        items: Gives the items that rows name, and numbers them.
        columns: Names of the columns.
    """

    def __init__(self, items: ItemStore, *, columns: ColumnsConfig) -> None:
        self._items = items
        self._columns = columns
        self._classes: dict[str, int] = {}
        # The class of each item, by the number of either.
        self._item_class = array("q")

    def item_class(self) -> NDArray[np.int64]:
        """int64 (N,), the class of each item, numbered by first appearance."""
        return np.array(self._item_class, np.int64)

    def of_table(self, table: Table, *, marks: GroupSplitColumns) -> ItemRows:
        """Reads and checks every row of a table.

        Args:
            table: The file.
            marks: New ones, for the group and split of each row.

        Raises:
            DataError: The file is empty, lacks a column, is damaged, or is not UTF-8 text.
            PermissionDeniedError: It, or a file that it names, may not be read.
        """
        wanted = {"item": self._columns.item, "item_class": self._columns.item_class}
        with table.records(wanted | marks.wanted) as records:
            rows = (
                _Row(record.line, record.raw, problem=record.problem)
                if record.problem
                else self._row(record.line, record.raw, record.fields, marks)
                for record in records
            )
            found = self._collected(
                rows, QuarantineBuilder(table.name, unit=table.unit), marks=marks
            )
        if not found.quarantine.rows_read:
            raise table.no_rows(_WANTED)
        return found

    def of_texts(self, arrays: Npz, *, name: str, marks: GroupSplitColumns) -> ItemRows:
        """Reads and checks every row of an `.npz` of texts.

        Args:
            arrays: The file.
            name: The file as the configuration names it.
            marks: New ones.

        Raises:
            DataError: An array is missing or is not what it has to be.
        """
        texts = arrays.names(self._columns.item, key="item")
        rows = (
            self._row(line, fields[0], fields, marks)
            for line, fields in enumerate(
                zip(texts, *self._names(arrays, marks, num_rows=len(texts)), strict=True),
                start=1,
            )
        )
        return self._collected(rows, QuarantineBuilder(name, unit="row"), marks=marks)

    def of_rows(
        self, arrays: Npz, stored: ArrayItems, *, name: str, marks: GroupSplitColumns
    ) -> ItemRows:
        """Reads and checks every row of an `.npz` of sequences or pictures; see `of_texts`.

        Args:
            arrays: The file.
            stored: Its items.
            name: The file as the configuration names it.
            marks: New ones.
        """
        sieve = QuarantineBuilder(name, unit="row")
        rows, classes = array("q"), array("q")
        names = self._names(arrays, marks, num_rows=stored.num_rows)
        for row, (class_cell, *mark_cells) in enumerate(zip(*names, strict=True)):
            sieve.rows_read += 1
            item_class = name_of(class_cell, column=self._columns.item_class)
            mark = marks.read(mark_cells)
            problem = stored.problems.get(row)
            if problem:
                sieve.reject(row + 1, problem)
            elif isinstance(item_class, Problem):
                sieve.reject(row + 1, item_class)
            elif isinstance(mark, Problem):
                sieve.reject(row + 1, mark)
            else:
                rows.append(row)
                classes.append(self._class_number(item_class))
                marks.keep(mark)
        item = self._items.extend(stored, np.array(rows, np.int64))
        self._item_class.extend(classes)
        return ItemRows(item, marks.groups(), marks.splits(), sieve.quarantine())

    def of_folder(self, given: DataSource, *, marks: GroupSplitColumns) -> ItemRows:
        """Reads and checks every picture of a folder of class folders.

        Args:
            given: The folder.
            marks: New ones.

        Raises:
            DataError: It holds nothing, or cannot be read.
            PermissionDeniedError: It, or a file in it, may not be read.
        """
        with disk_errors_named(given.path, where=given.where):
            rows = self._pictures(given)
            found = self._collected(
                rows, QuarantineBuilder(given.name, unit="file"), marks=marks
            )
        if not found.quarantine.rows_read:
            raise DataError(f"{given.where} holds no files. {_WANTED}")
        return found

    def _pictures(self, given: DataSource) -> Iterator[_Row]:
        for line, entry in enumerate(walk(given.path), start=1):
            cell = f"{given.name.rstrip('/')}/{entry.path}"
            if given.is_copy and not entry.problem:
                self._items.locate(cell, given.path / entry.path)
            yield _Row(
                line,
                None,
                cell=cell,
                item_class=normalize("NFC", entry.item_class),
                problem=entry.problem,
                file=_printable(cell),
            )

    def _row(
        self, line: int, raw: object, fields: Sequence[object], marks: GroupSplitColumns
    ) -> _Row:
        """What the cells mean, those of the item and its class first."""
        cell = item_of(fields[0], column=self._columns.item)
        if isinstance(cell, Problem):
            return _Row(line, raw, problem=cell)
        item_class = name_of(fields[1], column=self._columns.item_class)
        if isinstance(item_class, Problem):
            return _Row(line, raw, problem=item_class)
        mark = marks.read(fields[2:])
        if isinstance(mark, Problem):
            return _Row(line, raw, problem=mark)
        return _Row(line, raw, cell, item_class, mark)

    def _names(
        self, arrays: Npz, marks: GroupSplitColumns, *, num_rows: int
    ) -> list[list[str | int]]:
        """The arrays of classes and marks, an entry at a time."""
        wanted = {"item_class": self._columns.item_class, **marks.wanted}
        return [arrays.names(name, key=key, num_rows=num_rows) for key, name in wanted.items()]

    def _collected(
        self, rows: Iterable[_Row], sieve: QuarantineBuilder, *, marks: GroupSplitColumns
    ) -> ItemRows:
        item = array("q")
        for row in read_ahead(rows, items=self._items, cells=_cells):
            sieve.rows_read += 1
            found = row.problem or self._found(row)
            if isinstance(found, Problem):
                sieve.reject(row.line, found, raw=row.raw, file=row.file)
                continue
            number = self._items.add(found)
            if number == len(self._item_class):
                self._item_class.append(self._class_number(row.item_class))
            item.append(number)
            marks.keep(row.mark)
        return ItemRows(
            np.array(item, np.int64), marks.groups(), marks.splits(), sieve.quarantine()
        )

    def _found(self, row: _Row) -> ItemRef | Problem:
        # A file of a folder is named by the quarantine already.
        column = None if row.file else self._columns.item
        found = self._items.lookup(row.cell, column=column)
        if not isinstance(found, int):
            return found
        known = self._item_class[found]
        if self._classes.get(row.item_class) == known:
            return found
        before = sample_of(list(self._classes)[known])
        return Problem(
            "class",
            f"{self._columns.item} has the class {before} before and "
            f"{sample_of(row.item_class)} here; an item has one, and the first stands",
        )

    def _class_number(self, name: str) -> int:
        return self._classes.setdefault(name, len(self._classes))


def _cells(row: _Row) -> Sequence[str]:
    return () if row.problem else (row.cell,)


def _printable(path: str) -> str:
    """A path as a message can hold it: file names need not be UTF-8."""
    return path.encode("utf-8", "backslashreplace").decode()
