"""Cuts a large table, or a folder of many images, down to what can be read in seconds.

Pairs are cut in blocks of rows, so that pairs of one item, which are often neighbours, stay
together. Items are cut by class, so that a class keeps its size, or by row where there are few
classes.
"""

import csv
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from job.data.sources.class_folders import walk
from job.data.sources.table import disk_errors_named
from job.init.survey import opened_table
from job.types import Kind

# Rows that are read: of texts, and of paths of files that are opened and decoded.
MAX_ROWS: Mapping[Kind, int] = {"text": 60_000, "image": 2_000, "sequence": 2_000}

_ROWS_IN_BLOCK = 500
# Classes that a sample by class leaves, at least.
_LEAST_CLASSES = 100
PATH, CLASS = "path", "class"


@dataclass(frozen=True)
class Cut:
    """Which share of the rows is kept.

    Attributes:
        one_in: One in so many; 1: all.
        by_class: Whether whole classes are kept.
    """

    one_in: int
    by_class: bool

    @classmethod
    def to(cls, limit: int, *, num_rows: int, num_classes: int) -> "Cut":
        """The cut that leaves about `limit` rows; `num_classes` is 0 for pairs."""
        one_in = -(-num_rows // limit)
        return cls(one_in, num_classes >= one_in * _LEAST_CLASSES)

    def keeps(self, number: int, *, item_class: str | None) -> bool:
        """Whether the row of that number, from 0, is kept."""
        if item_class is None:
            return number // _ROWS_IN_BLOCK % self.one_in == 0
        if self.by_class:
            return zlib.crc32(item_class.encode(errors="replace")) % self.one_in == 0
        return number % self.one_in == 0


def write_cut_table(
    source: Path, target: Path, *, cut: Cut, columns: Sequence[str], class_column: str | None
) -> None:
    """Writes the kept rows of a table as CSV, the given columns of them."""
    with opened_table(source) as rows:
        write_rows(
            target,
            columns,
            (
                [row.get(name, "") for name in columns]
                for number, row in enumerate(rows)
                if cut.keeps(number, item_class=class_column and row.get(class_column, ""))
            ),
        )


def write_cut_folder(folder: Path, target: Path, *, limit: int) -> int:
    """Writes the paths and classes of some images of a folder; returns how many there are.

    Raises:
        DataError: The folder cannot be read.
        PermissionDeniedError: A folder below it may not be read.
    """
    with disk_errors_named(folder, where=f"init: {folder.name!r}"):
        entries = [entry for entry in walk(folder) if entry.problem is None]
    num_classes = len({entry.item_class for entry in entries})
    cut = Cut.to(limit, num_rows=len(entries), num_classes=num_classes)
    kept = (
        [f"{folder.name}/{entry.path}", entry.item_class]
        for number, entry in enumerate(entries)
        if cut.keeps(number, item_class=entry.item_class)
    )
    write_rows(target, (PATH, CLASS), kept)
    return len(entries)


def write_rows(target: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Writes a CSV file."""
    with target.open("w", newline="", encoding="utf-8") as file:
        # csv quotes a line end in a cell only if it is one of its own: these are both.
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(_encodable(rows))


def _encodable(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    # JSON can hold lone surrogates, which no file can.
    for row in rows:
        yield [value.encode(errors="replace").decode() for value in row]
