"""Surveys a file before its columns are known: their names, what they hold, how often.

    survey_table(Path("pairs.csv")).columns

A table is read once, whole, and nothing of it is kept but samples and counts.
"""

import codecs
import csv
import gzip
import io
import json
import re
import shlex
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from job.data.items.array_items import IMAGES, LENGTHS, VALUES
from job.data.sources.class_folders import IMAGE_EXTENSIONS
from job.data.sources.npz import open_npz
from job.data.sources.table import extension
from job.data.sources.table_records import require_separated
from job.errors import DataError, PermissionDeniedError
from job.storage.os_errors import FULL
from job.types import SPLITS, Kind

# Rows that decide what a column is: enough for classes of few items in a shuffled file. The
# rest is only counted.
_MAX_ROWS = 200_000
TEXTS = "item"
_VALUES_KEPT = 2_000
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_HEAD_BYTES = 1024
_LABELS = frozenset({"0", "1", "0.0", "1.0"})
# Rows whose class another row has, at least, for a column to be one of classes.
_SHARE_REPEATED = 0.5
_IMAGES_OPENED = 200
_USUAL_SIDE = 64
# Longer values are compared by their beginning.
_MAX_CHARACTERS = 200


@dataclass(frozen=True)
class Column:
    """What a column of a table, or an array of an `.npz`, holds.

    Attributes:
        name: As in the file.
        values: Distinct values as texts, in order of appearance, the first thousands.
        num_rows: Rows that were read.
        num_distinct: Distinct values among them.
        share_repeated: Share of the rows whose value another row has.
        mean_length: Characters of a value.
    """

    name: str
    values: Sequence[str]
    num_rows: int
    num_distinct: int
    share_repeated: float
    mean_length: float

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the name: `ltable_Title2` has `ltable`, `title` and `2`."""
        apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name)
        return tuple(re.findall(r"[^\W\d_]+|\d+", apart.lower()))

    @property
    def is_binary(self) -> bool:
        """Whether it holds labels: 0 and 1, or one of them."""
        return 0 < self.num_distinct <= 4 and {v.strip() for v in self.values} <= _LABELS

    @property
    def is_split(self) -> bool:
        """Whether it names the splits, all three of them."""
        return {value.strip() for value in self.values} == set(SPLITS)

    @property
    def is_number(self) -> bool:
        """Whether every value that is there is a number."""
        return not self.is_empty and all(map(_is_number, filter(str.strip, self.values)))

    @property
    def is_empty(self) -> bool:
        """Whether no value says anything."""
        return not any(value.strip() for value in self.values)

    @property
    def has_classes(self) -> bool:
        """Whether it can be a class: not all values differ, not all are equal."""
        return self.num_distinct > 1 and self.share_repeated >= _SHARE_REPEATED

    @property
    def kind(self) -> Kind:
        """What its values are as items: texts, or paths of images or sequences."""
        ends = [value.lower() for value in self.values[:1000] if value.strip()]
        if ends and all(end.endswith(IMAGE_EXTENSIONS) for end in ends):
            return "image"
        return "sequence" if ends and all(end.endswith(".npy") for end in ends) else "text"


@dataclass(frozen=True)
class Survey:
    """What a file holds.

    Attributes:
        kind: What its items are; None for a table, whose columns tell.
        columns: Its columns, or arrays, in order.
        num_rows: Its rows.
        image_side: Longer side of the images of an `.npz`, in pixels; 0 otherwise.
    """

    kind: Kind | None
    columns: Sequence[Column]
    num_rows: int
    image_side: int = 0


class Tally:
    """Counts the values of one column."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[str] = Counter()
        self._rows = 0
        self._length = 0

    def add(self, value: str) -> None:
        self._counts[value[:_MAX_CHARACTERS]] += 1
        self._rows += 1
        self._length += len(value)

    def column(self) -> Column:
        """What was counted."""
        repeated = sum(count for count in self._counts.values() if count > 1)
        return Column(
            name=self._name,
            values=tuple(list(self._counts)[:_VALUES_KEPT]),
            num_rows=self._rows,
            num_distinct=len(self._counts),
            share_repeated=repeated / max(self._rows, 1),
            mean_length=self._length / max(self._rows, 1),
        )


def survey_table(path: Path) -> Survey:
    """Reads a CSV, TSV or JSONL file, plain or .gz.

    Raises:
        DataError: It is empty, damaged or not a table.
        PermissionDeniedError: It may not be read.
    """
    tallies: dict[str, Tally] = {}
    num_rows = 0
    with opened_table(path) as rows:
        for row in rows:
            num_rows += 1
            for name, value in row.items() if num_rows <= _MAX_ROWS else ():
                tallies.setdefault(name, Tally(name)).add(value)
    if not tallies:
        raise DataError(
            f"init: {path.name!r} holds no rows. Give a file whose first line names the "
            "columns, with one row on each line below."
        )
    return Survey(None, [tally.column() for tally in tallies.values()], num_rows)


@contextmanager
def opened_table(path: Path) -> Iterator[Iterable[Mapping[str, str]]]:
    """Opens a table as rows of texts by column; a row of another length is left out.

    Raises:
        DataError: Here or while reading: the file is damaged or not a table.
        PermissionDeniedError: It may not be read.
        OSError: The block has no space to write to.
    """
    limit = csv.field_size_limit(sys.maxsize)
    try:
        _require_no_utf16(path)
        with _text(path) as stream:
            yield _records(stream, path=path)
    except PermissionError as error:
        raise PermissionDeniedError(
            f"init: {path.name!r} may not be read ({error.filename or path}: permission "
            "denied). Give this user read access."
        ) from error
    except (OSError, EOFError, zlib.error, csv.Error, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise  # reading needs no space: it is what the block writes
        raise DataError(
            f"init: {path.name!r} cannot be read ({error}). Give a table in UTF-8 (.csv, .tsv "
            "or .jsonl, plain or .gz)."
        ) from error
    finally:
        csv.field_size_limit(limit)


def _require_no_utf16(path: Path) -> None:
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    # Without a byte order mark, every other byte of Latin text is zero, and only that.
    even, odd = (2 * half.count(0) > len(half) for half in (head[::2], head[1::2]))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or even != odd:
        raise DataError(
            f"init: {path.name!r} is text in UTF-16, which spreadsheets call Unicode text. "
            "Save it in UTF-8, or convert it: iconv -f UTF-16 -t UTF-8 "
            f"{shlex.quote(path.name)} > NEW."
        )


def _text(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return io.TextIOWrapper(
            gzip.open(path), encoding="utf-8-sig", errors="replace", newline=""
        )
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _records(stream: TextIO, *, path: Path) -> Iterator[Mapping[str, str]]:
    suffix = extension(path.name)
    if suffix == ".jsonl":
        for line in stream:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield {str(name): _shown(value) for name, value in row.items()}
        return
    reader = csv.reader(stream, delimiter=_DELIMITERS[suffix])
    header = [name.strip() for name in next(filter(None, reader), [])]
    _require_header(header, path=path)
    for fields in reader:
        if len(fields) == len(header):
            row = dict(zip(header, fields, strict=True))
            row.pop("", None)  # spreadsheets export columns without a name
            yield row


def longer_side(paths: Iterable[Path]) -> int:
    """Longer side of the middle one of some images, in pixels; reads their headers only.

    Returns:
        64 if none can be read: training then says why.
    """
    from PIL import Image, UnidentifiedImageError

    sides = []
    for path in islice(paths, _IMAGES_OPENED):
        try:
            with warnings.catch_warnings(), path.open("rb") as file:
                # A huge image is worth a warning when it is decoded, which it is not here.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                sides.append(max(Image.open(file, formats=("PNG", "JPEG")).size))
        except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
            continue
    return int(np.median(sides)) if sides else _USUAL_SIDE


def _require_header(header: Sequence[str], *, path: Path) -> None:
    require_separated(header, where=f"init: {path.name!r}")
    names = list(filter(None, header))
    if len(names) < 2 or len(set(names)) != len(names):
        raise DataError(
            f"init: the first line of {path.name!r} should name two columns or more, each once "
            f"(got {', '.join(map(repr, header[:10])) or 'nothing'}). A .csv file separates "
            "them by commas, a .tsv file by tabs."
        )


def _shown(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def survey_arrays(path: Path) -> Survey:
    """Reads the arrays of an `.npz` that have an entry for each item.

    Raises:
        DataError: The file is damaged, or has no items.
    """
    with open_npz(path, where=f"init: {path.name!r}") as arrays:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
        kind: Kind | None = None
        if IMAGES in names:
            kind, holder = "image", IMAGES
        elif VALUES in names and LENGTHS in names:
            kind, holder = "sequence", LENGTHS
        elif TEXTS in names:
            kind, holder = "text", TEXTS
        if kind is None:
            raise DataError(
                f"init: {path.name!r} holds the arrays {', '.join(names) or 'none'}. Needed: "
                "`values` and `lengths` of sequences, `images`, or `item` of texts, and an "
                "array of classes."
            )
        shape = arrays.header(holder).shape
        found = []
        for name in names:
            header = arrays.header(name)
            if name in (IMAGES, VALUES, LENGTHS, TEXTS) or header.shape != shape[:1]:
                continue
            if header.dtype.kind in "Uiu":
                tally = Tally(name)
                for value in arrays.array(name).tolist():
                    tally.add(str(value))
                found.append(tally.column())
        return Survey(kind, found, shape[0], max(shape[1:3], default=0))


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
