"""Reads the rows of labelled items: an item, and its class.

A table, an `.npz` and a folder of class folders give the same rows::

    labelled = LabelledItems(store, section=section, features=features)
    train = labelled.read(source, GroupSplitColumns({"group": "who"}))
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, TextDataConfig
from job.config.names import shown
from job.data.dataset import FileRows, LabelledRows
from job.data.items.array_items import ArrayItems, array_items
from job.data.items.columns import (
    GroupAndSplit,
    GroupSplitColumns,
    item_of,
    name_of,
    text_cells,
)
from job.data.items.item_store import ItemRef, ItemStore, read_ahead
from job.data.quarantine import QuarantineBuilder, Unit, sample_of
from job.data.sources.class_folders import walk
from job.data.sources.configured import DataSource
from job.data.sources.npz import Npz, open_npz
from job.data.sources.sequence_file import Features
from job.data.sources.table import disk_errors_named
from job.errors import DataError
from job.preprocessing.ragged import RaggedArray
from job.types import Problem

_WANTED = "Give at least two classes, and a class of at least two items, for each split."


class _Row(NamedTuple):
    """A row, valid as far as its cells show unless `problem` is set.

    Attributes:
        line: Its line, or its number.
        raw: The row for display.
        cell: The text or path of the item.
        item_class: Name of its class.
        mark: Its group and split.
        problem: Why it cannot be used.
        file: Its file, if the rows are the files of a folder.
    """

    line: int
    raw: object
    cell: str = ""
    item_class: str = ""
    mark: GroupAndSplit = GroupAndSplit(None, None)
    problem: Problem | None = None
    file: str | None = None


class LabelledItems:
    """The items of all files of a data set, and the class of each.

    Args:
        store: Reads and numbers the items.
        section: The data section.
        features: The number of features of sequences.
    """

    def __init__(self, store: ItemStore, *, section: Data, features: Features) -> None:
        self._store = store
        self._section = section
        self._columns = section.columns
        self._features = features
        self._classes: dict[str, int] = {}
        # The number of the class of each item, by the number of the item.
        self._item_class = array("q")

    def item_class(self) -> NDArray[np.int64]:
        """int64 (N,), the class of each item, numbered by first appearance."""
        return np.array(self._item_class, np.int64)

    def class_names(self) -> RaggedArray:
        """The name of each class in UTF-8, uint8 rows, by its number."""
        return RaggedArray.from_bytes([_printable(name).encode() for name in self._classes])

    def read(self, source: DataSource, marks: GroupSplitColumns) -> FileRows:
        """Reads and checks every row of one source.

        Args:
            source: A table, an `.npz` or a folder.
            marks: Empty; collects the group and the split of each row.

        Raises:
            DataError: The source is empty or damaged, or lacks a column or array.
            PermissionDeniedError: The source, or a file that it names, may not be read.
        """
        if source.form == "table":
            return self._read_table(source, marks)
        if source.form == "folder":
            return self._read_folder(source, marks)
        with open_npz(source.path, where=source.where) as arrays:
            if isinstance(self._section, TextDataConfig):
                return self._read_texts(arrays, marks, name=source.name)
            stored = array_items(arrays, self._section, features=self._features)
            return self._read_arrays(arrays, stored, marks, name=source.name)

    def _read_table(self, source: DataSource, marks: GroupSplitColumns) -> FileRows:
        table = source.table()
        wanted = {"item": self._columns.item, "item_class": self._columns.item_class}
        with table.records({**wanted, **marks.wanted}) as records:
            rows = (
                _Row(record.line, record.raw, problem=record.problem)
                if record.problem
                else self._row(record.line, record.raw, record.fields, marks)
                for record in records
            )
            found = self._collect(rows, marks, file=table.name, unit=table.unit)
        if not found.quarantine.rows_read:
            raise table.no_rows(_WANTED)
        return found

    def _read_folder(self, source: DataSource, marks: GroupSplitColumns) -> FileRows:
        with disk_errors_named(source.path, where=source.where):
            rows = self._images(source)
            found = self._collect(rows, marks, file=source.name, unit="file")
        if not found.quarantine.rows_read:
            raise DataError(f"{source.where} holds no files. {_WANTED}")
        return found

    def _read_texts(self, arrays: Npz, marks: GroupSplitColumns, *, name: str) -> FileRows:
        texts = text_cells(arrays, self._columns.item)
        others = self._names(arrays, marks, num_rows=len(texts))
        rows = (
            self._row(line, fields[0], fields, marks)
            for line, fields in enumerate(zip(texts, *others, strict=True), start=1)
        )
        return self._collect(rows, marks, file=name, unit="row")

    def _read_arrays(
        self, arrays: Npz, stored: ArrayItems, marks: GroupSplitColumns, *, name: str
    ) -> FileRows:
        """Adds each valid row as a further item."""
        rejected = QuarantineBuilder(name, unit="row")
        rows, classes = array("q"), array("q")
        names = self._names(arrays, marks, num_rows=stored.num_rows)
        for row, (class_cell, *mark_cells) in enumerate(zip(*names, strict=True)):
            rejected.rows_read += 1
            item_class = name_of(class_cell, column=self._columns.item_class)
            mark = marks.read(mark_cells)
            problem = stored.problems.get(row)
            if problem:
                rejected.reject(row + 1, problem)
            elif isinstance(item_class, Problem):
                rejected.reject(row + 1, item_class)
            elif isinstance(mark, Problem):
                rejected.reject(row + 1, mark)
            else:
                rows.append(row)
                classes.append(self._class_number(item_class))
                marks.add(mark)
        item = self._store.extend(stored, np.array(rows, np.int64))
        self._item_class.extend(classes)
        labelled = LabelledRows(item, np.array(classes, np.int64))
        return marks.file_rows(labelled, rejected.quarantine())

    def _images(self, source: DataSource) -> Iterator[_Row]:
        for line, entry in enumerate(walk(source.path), start=1):
            cell = f"{source.name.rstrip('/')}/{entry.path}"
            if source.is_copy and not entry.problem:
                self._store.locate(cell, source.path / entry.path)
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
        """Checks the cells of a row: item, class, and those of `marks`."""
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
        """The arrays of classes, groups and splits."""
        wanted = {"item_class": self._columns.item_class, **marks.wanted}
        return [arrays.names(name, key=key, num_rows=num_rows) for key, name in wanted.items()]

    def _collect(
        self, rows: Iterable[_Row], marks: GroupSplitColumns, *, file: str, unit: Unit
    ) -> FileRows:
        rejected = QuarantineBuilder(file, unit=unit)
        item = array("q")
        for row in read_ahead(rows, items=self._store, cells=_cells):
            rejected.rows_read += 1
            ref = row.problem or self._lookup(row)
            if isinstance(ref, Problem):
                rejected.reject(row.line, ref, raw=row.raw, file=row.file)
                continue
            number = self._store.add(ref)
            if number == len(self._item_class):
                self._item_class.append(self._class_number(row.item_class))
            item.append(number)
            marks.add(row.mark)
        items = np.array(item, np.int64)
        labelled = LabelledRows(items, self.item_class()[items])
        return marks.file_rows(labelled, rejected.quarantine())

    def _lookup(self, row: _Row) -> ItemRef | Problem:
        # The quarantine names the file of a folder already.
        column = None if row.file else shown(self._columns.item)
        ref = self._store.lookup(row.cell, column=column)
        if not isinstance(ref, int):
            return ref
        known = self._item_class[ref]
        if self._classes.get(row.item_class) == known:
            return ref
        before = sample_of(list(self._classes)[known])
        return Problem(
            "class",
            f"{shown(self._columns.item)} has the class {before} before and "
            f"{sample_of(row.item_class)} here; an item has one class, and the first one is "
            "used",
        )

    def _class_number(self, name: str) -> int:
        return self._classes.setdefault(name, len(self._classes))


def _cells(row: _Row) -> Sequence[str]:
    return () if row.problem else (row.cell,)


def _printable(name: str) -> str:
    """A path, or the name of a class, for messages: names of files need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()
