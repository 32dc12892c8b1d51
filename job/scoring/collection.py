"""Reads the items of a collection, with all that its file says of them.

R rows, N items.

The readers and the rules for bad rows are those of training; classes are not needed::

    people = read_collection("people.csv", section=model.data, key="--within", access=access)
    people.items, people.item, people.rows
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.config.names import names_of, shown
from job.config.suggest import did_you_mean
from job.data.dataset import Form, ItemTable
from job.data.items.array_items import array_items
from job.data.items.columns import item_of, text_cells
from job.data.items.item_store import ItemRef, ItemStore, read_ahead
from job.data.items.readers import reader_of
from job.data.quarantine import Quarantine, QuarantineBuilder, Unit, check_bad_fraction
from job.data.sources.class_folders import walk
from job.data.sources.files import DataFiles
from job.data.sources.npz import Npz, open_npz
from job.data.sources.sequence_file import Features
from job.data.sources.table import (
    TABLE_FORMATS,
    Table,
    disk_errors_named,
    extension,
    unknown_format,
)
from job.data.sources.table_records import require_separated
from job.errors import DataError
from job.scoring.output import Row
from job.scoring.pairs_file import folder_of, input_file, input_folder
from job.storage.parallel import ParallelDownloader
from job.types import Problem

IntArray = NDArray[np.int64]

ARRAYS = ".npz"
_COLUMNS_SHOWN = 50
_ADVICE = "Give a file with one item on each row."


@dataclass(frozen=True, eq=False)
class Collection:
    """The valid rows of one collection, R of them, and their N items.

    Attributes:
        name: The file or folder as the command line gives it.
        items: Each item once, in order of first appearance.
        item: int64 (R,), the item of each row.
        text: The item of each row as it is named: a text, a path, or the number of its row.
        columns: Names of the columns of the file, those of JSON lines by first appearance.
        rows: The cells of each row, in the order of the columns; of JSON lines the object.
        quarantine: The rejected rows.
    """

    name: str
    items: ItemTable
    item: IntArray
    text: Sequence[str]
    columns: tuple[str, ...]
    rows: Sequence[Row]
    quarantine: Quarantine

    def __len__(self) -> int:
        return len(self.item)

    def column(self, name: str) -> list[str]:
        """The cells of one of the columns as texts; empty where a JSON row has none."""
        place = self.columns.index(name)
        cells = (row.get(name) if isinstance(row, Mapping) else row[place] for row in self.rows)
        return ["" if cell is None else str(cell) for cell in cells]


class _ItemRow(NamedTuple):
    """A row before its item is read.

    Attributes:
        line: Its line, or its number.
        raw: The row for display.
        cell: The text or path of its item.
        values: Its cells, or its object.
        problem: Why it cannot be used.
        file: Its file, if rows are files.
    """

    line: int
    raw: object
    cell: str = ""
    values: Row = ()
    problem: Problem | None = None
    file: str | None = None


def read_collection(
    place: str,
    *,
    section: Data,
    key: str,
    access: ParallelDownloader,
    root: str | None = None,
) -> Collection:
    """Reads a file of items, or a folder of images.

    Args:
        place: A .csv, .tsv, .jsonl (each also .gz) or .npz file, or a folder of images: a path
            of this machine or `gs://bucket/name`.
        section: The data section of the model: kind, columns and limits of items.
        key: The argument that names it, for messages.
        access: Reaches buckets.
        root: Folder or URI of the files that rows name; None: that of `place`.

    Raises:
        ConfigError: The format is unknown.
        DataError: There is no such file, it is empty or damaged, lacks a column, or too many of
            its rows are bad.
        PermissionDeniedError: It may not be read.
        JobError: A bucket fails.
    """
    is_array, is_table = extension(place) == ARRAYS, extension(place) in TABLE_FORMATS
    if not is_array and not is_table and not isinstance(section, ImageDataConfig):
        raise unknown_format(place, key=key, known=(*TABLE_FORMATS, ARRAYS))
    below = root if root is not None else folder_of(place)
    files = DataFiles.below(below, folder=Path.cwd(), access=access)
    reading = _Reading(section, files=files, key=key, place=place, is_array=is_array)
    with reading.store:
        if is_array:
            collection = reading.arrays(input_file(place, key=key, access=access))
        elif is_table:
            path = input_file(place, key=key, access=access)
            collection = reading.table(Table(path, key=key, name=place))
        else:
            collection = reading.folder(input_folder(place, key=key, access=access))
    if not collection.quarantine.rows_read:
        raise DataError(f"{key}: {place!r} holds no rows. {_ADVICE}")
    check_bad_fraction(
        collection.quarantine,
        key=key,
        file=place,
        allowed=section.max_bad_fraction,
    )
    return collection


class _Reading:
    """The reading of one place.

    Args:
        section: See `read_collection`.
        files: The files below the folder of the place.
        key: See `read_collection`.
        place: The place.
        is_array: Whether it is an `.npz`.
    """

    def __init__(
        self, section: Data, *, files: DataFiles, key: str, place: str, is_array: bool
    ) -> None:
        self._section = section
        self._key = key
        self._place = place
        size = section.num_features if isinstance(section, SequenceDataConfig) else None
        self._features = Features(size)
        self._form: Form = "text" if isinstance(section, TextDataConfig) else "sequence"
        if isinstance(section, ImageDataConfig):
            self._form = "decoded" if is_array else section.storage
        reader = reader_of(section, files=files, form=self._form, features=self._features)
        self.store = ItemStore(reader, features=self._features)

    def table(self, table: Table) -> Collection:
        """Reads CSV, TSV or JSON lines."""
        column = self._section.columns.item
        header = table.header()
        if header is not None:
            _require_columns(header, table=table, item=column)
        # A reader of CSV picks two columns or more.
        wanted = {"item": column, "cell": column}
        with table.records(wanted) as records:
            rows = (
                _ItemRow(record.line, record.raw, problem=record.problem)
                if record.row is None
                else self._named(record.line, record.raw, record.fields[0], record.row)
                for record in records
            )
            return self._collected(rows, unit=table.unit, header=header)

    def folder(self, path: Path) -> Collection:
        """Reads every image below a folder, in class folders or not."""
        with disk_errors_named(path, where=f"{self._key}: {self._place!r}"):
            return self._collected(self._images(path), unit="file", header=["path"])

    def arrays(self, path: Path) -> Collection:
        """Reads an `.npz`."""
        with open_npz(path, where=f"{self._key}: {self._place!r}") as arrays:
            if isinstance(self._section, TextDataConfig):
                return self._texts(arrays)
            stored = array_items(arrays, self._section, features=self._features)
            ids = self._ids(arrays, num_rows=stored.num_rows)
        rejected = QuarantineBuilder(self._place, unit="row")
        rejected.rows_read = stored.num_rows
        for row, problem in sorted(stored.problems.items()):
            rejected.reject(row + 1, problem)
        rows = np.array(
            [row for row in range(stored.num_rows) if row not in stored.problems], np.int64
        )
        item = self.store.extend(stored, rows)
        numbers = (
            [row + 1 for row in rows.tolist()] if ids is None else [ids[row] for row in rows]
        )
        text = list(map(str, numbers))
        return Collection(
            self._place,
            ItemTable(self._form, self.store.drain()),
            item,
            text,
            ("row" if ids is None else self._section.columns.id,),
            [(name,) for name in text],
            rejected.quarantine(),
        )

    def _texts(self, arrays: Npz) -> Collection:
        columns = self._section.columns
        texts = text_cells(arrays, columns.item)
        ids = self._ids(arrays, num_rows=len(texts))
        named = [
            tuple(map(str, text)) if isinstance(text, tuple) else (str(text),) for text in texts
        ]
        if ids is not None:
            named = [(str(name), *text) for name, text in zip(ids, named, strict=True)]
        header = [*([] if ids is None else [columns.id]), *names_of(columns.item)]
        both = enumerate(zip(texts, named, strict=True), start=1)
        rows = (self._named(line, text, text, row) for line, (text, row) in both)
        return self._collected(rows, unit="row", header=header)

    def _ids(self, arrays: Npz, *, num_rows: int) -> list[str | int] | None:
        name = self._section.columns.id
        return arrays.names(name, key="id", num_rows=num_rows) if arrays.has(name) else None

    def _images(self, path: Path) -> Iterator[_ItemRow]:
        for line, entry in enumerate(walk(path), start=1):
            cell = f"{self._place.rstrip('/')}/{entry.path}"
            # Only training needs a class.
            problem = (
                entry.problem if entry.problem and entry.problem.reason != "class" else None
            )
            if not problem:
                self.store.locate(cell, path / entry.path)
            shown = cell.encode("utf-8", "backslashreplace").decode()
            yield _ItemRow(line, None, cell, (shown,), problem, shown)

    def _collected(
        self, rows: Iterable[_ItemRow], *, unit: Unit, header: Sequence[str] | None
    ) -> Collection:
        """Reads the items of the rows; a header of None: each row names its columns."""
        rejected = QuarantineBuilder(self._place, unit=unit)
        item, text = array("q"), list[str]()
        values: list[Row] = []
        for row in read_ahead(rows, items=self.store, cells=_cells):
            rejected.rows_read += 1
            ref = row.problem or self._lookup(row)
            if isinstance(ref, Problem):
                rejected.reject(row.line, ref, raw=row.raw, file=row.file)
                continue
            item.append(self.store.add(ref))
            text.append(row.cell)
            values.append(row.values)
        if header is None:
            objects = (row for row in values if isinstance(row, Mapping))
            header = list(dict.fromkeys(key for row in objects for key in row))
        return Collection(
            self._place,
            ItemTable(self._form, self.store.drain()),
            np.array(item, np.int64),
            text,
            tuple(header),
            values,
            rejected.quarantine(),
        )

    def _named(self, line: int, raw: object, cell: object, values: Row) -> _ItemRow:
        item = item_of(cell, column=self._section.columns.item)
        if isinstance(item, Problem):
            return _ItemRow(line, raw, problem=item)
        return _ItemRow(line, raw, item, values)

    def _lookup(self, row: _ItemRow) -> ItemRef | Problem:
        # The quarantine names the file of a folder already.
        return self.store.lookup(
            row.cell, column=None if row.file else shown(self._section.columns.item)
        )


def _require_columns(header: Sequence[str], *, table: Table, item: str | Sequence[str]) -> None:
    missing = [name for name in names_of(item) if name not in header]
    if missing:
        require_separated(header, where=table.where)
        has = ", ".join(map(repr, header[:_COLUMNS_SHOWN]))
        raise DataError(
            f"{table.where} has no column {missing[0]!r}, which should hold the items."
            f"{did_you_mean(missing[0], header)} Columns of the file: {has}. Name the column "
            "that holds them: --item COLUMN."
        )


def _cells(row: _ItemRow) -> Sequence[str]:
    return () if row.problem else (row.cell,)
