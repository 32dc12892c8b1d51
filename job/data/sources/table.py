"""Opens a table: CSV, TSV or JSON lines, plain or gzip, in UTF-8.

Nothing is guessed: no cell means "missing" but an absent one (`nan`, `null` and `NA` are
texts). What a cell means is the business of `cells`; a file whose rows cannot be told apart is
an error. `records` does the parsing::

    table = Table(path, key="data.train", name="pairs.csv")
    with table.records({"left": "left", "right": "right", "label": "label"}) as records:
        ...
"""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import IO, BinaryIO

from job.config.suggest import did_you_mean
from job.data.sources.table_records import Record, delimited_records, json_records, text_of
from job.errors import ConfigError, DataError, PermissionDeniedError

TABLES = (".csv", ".tsv", ".jsonl")
ARRAYS = ".npz"

# Deflate packs no real data this well, and small files may hold what they like.
MAX_EXPANSION = 200
FREE_BYTES = 16 << 20

_COLUMNS_SHOWN = 50
# Of tables that are called .csv: spreadsheets of many countries write semicolons.
_OTHER_SEPARATORS = (";", "\t", "|", ",")

_FOREIGN_STARTS = (
    (b"\x1f\x8b", "is compressed with gzip, but its name does not end in .gz", "Add .gz"),
    (b"PK\x03\x04", "is a zip archive", "Unpack it"),
    (b"\xff\xfe", "is UTF-16", "Save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16", "Save it as UTF-8"),
)


def extension(name: str) -> str:
    """How a file's name ends, in lower case, `.gz` set aside: `.csv`, or "" for none."""
    return Path(name.lower().removesuffix(".gz")).suffix


def unknown_format(name: str, *, key: str, known: Sequence[str], hint: str = "") -> ConfigError:
    """The error for a name that ends in nothing known.

    Args:
        name: The path as the configuration gives it.
        key: Dotted key it was given under.
        known: The formats that this key takes.
        hint: A sentence with its leading blank, or nothing.
    """
    suffix = extension(name)
    received = f"{suffix!r} is no known format" if suffix else "the name has no extension"
    tables = ", ".join(format for format in known if format in TABLES)
    arrays = f" Or {ARRAYS}." if ARRAYS in known else ""
    return ConfigError(
        f"{key}: {name!r}: {received}.{did_you_mean(suffix, known)} Known: {tables}, each also "
        f"with .gz.{arrays}{hint} Convert the file, or rename it if only its name is wrong."
    )


@dataclass(frozen=True)
class Table:
    """A table on this machine.

    Args:
        path: The file, links resolved.
        key: Dotted key it was given under, for messages.
        name: The path as the configuration gives it; its extension decides the format.
    """

    path: Path
    key: str
    name: str

    @property
    def where(self) -> str:
        """Key and name, for messages."""
        return f"{self.key}: {self.name!r}"

    @contextmanager
    def records(self, wanted: Mapping[str, str]) -> Iterator[Iterable[Record]]:
        """The records of the file, the fields of each those of the wanted columns.

        Args:
            wanted: Key below `data.columns` to the name of the column (CSV, TSV) or key (JSON
                lines), in the order of the fields; two at least.

        Raises:
            DataError: Here or while reading: the file is empty, lacks a column, is damaged, or
                is not UTF-8 text.
            PermissionDeniedError: The file may not be read.
        """
        with opened(self.path, where=self.where) as file:
            stream: IO[bytes] = file
            if self.name.lower().endswith(".gz"):
                stream = io.BufferedReader(_Inflated(file, where=self.where))
            try:
                _refuse_foreign(stream.peek(4), where=self.where)  # type: ignore[attr-defined]
                yield self._fields(stream, wanted)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DataError(
                    f"{self.where} is not intact gzip ({error}). Copy or compress the file "
                    "again."
                ) from error

    def no_rows(self, advice: str) -> DataError:
        """The error for a table of a header at most."""
        return DataError(f"{self.where} holds no rows. {advice}")

    def _fields(self, stream: IO[bytes], wanted: Mapping[str, str]) -> Iterator[Record]:
        kind = extension(self.name)
        if kind == ".jsonl":
            yield from json_records(stream, wanted=list(wanted.values()))
            return
        with text_of(stream) as text:
            delimiter = "\t" if kind == ".tsv" else ","
            header, records = delimited_records(text, delimiter=delimiter, where=self.where)
            _require_columns(header, wanted=wanted, where=self.where)
            pick = itemgetter(*map(header.index, wanted.values()))
            for record in records:
                yield (
                    record if record.problem else record._replace(fields=pick(record.fields))
                )


@contextmanager
def opened(path: Path, *, where: str) -> Iterator[BinaryIO]:
    """The file's bytes; see `disk_errors_named`."""
    with disk_errors_named(path, where=where), path.open("rb") as file:
        yield file


@contextmanager
def disk_errors_named(path: Path, *, where: str) -> Iterator[None]:
    """Turns what the disk refuses into an error that names what was read.

    Raises:
        DataError: It cannot be read.
        PermissionDeniedError: It may not be read.
    """
    try:
        yield
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{where} may not be read ({error.filename or path}: permission denied). Give this "
            "user read access."
        ) from error
    except OSError as error:
        raise DataError(
            f"{where} cannot be read ({error}). Check the disk or mount that holds {path}."
        ) from error


class _Inflated(io.RawIOBase):
    """What gzip packed, unless it is far more than data can be.

    Args:
        file: The packed bytes.
        where: Key and file, for messages.
    """

    def __init__(self, file: BinaryIO, *, where: str) -> None:
        self._file = file
        self._where = where
        self._unpacked = gzip.GzipFile(fileobj=file)
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        data = self._unpacked.read1(len(buffer))
        buffer[: len(data)] = data
        self._size += len(data)
        if self._size > max(FREE_BYTES, MAX_EXPANSION * self._file.tell()):
            raise DataError(
                f"{self._where} expands to more than {MAX_EXPANSION} times its size, as no "
                "data does. Give the file unpacked if that is what it should hold."
            )
        return len(data)


def _refuse_foreign(start: bytes, *, where: str) -> None:
    for magic, what, fix in _FOREIGN_STARTS:
        if start.startswith(magic):
            raise DataError(f"{where} {what}. Tables are UTF-8, plain or .gz. {fix}.")


def _require_columns(header: Sequence[str], *, wanted: Mapping[str, str], where: str) -> None:
    counts = Counter(filter(None, header))
    if counts and (most := counts.most_common(1)[0])[1] > 1:
        raise DataError(
            f"{where} names the column {most[0]!r} {most[1]} times. A name may occur once: "
            "rename or remove the other column."
        )
    missing = [(key, name) for key, name in wanted.items() if name not in header]
    if missing:
        what = " And ".join(
            f"no column {name!r} (data.columns.{key}).{did_you_mean(name, header)}"
            for key, name in missing
        )
        separator = _other_separator(header)
        if separator:
            raise DataError(
                f"{where} separates its columns by {separator!r}. A .csv has commas and a .tsv "
                "has tabs: save it as one of these."
            )
        has = ", ".join(repr(name) for name in header[:_COLUMNS_SHOWN])
        raise DataError(
            f"{where} has {what} Columns of the file: {has}. Name the column that holds it: "
            f"`data.columns.{missing[0][0]}: NAME`."
        )


def _other_separator(header: Sequence[str]) -> str | None:
    """What seems to separate the columns of a header that was read as one name."""
    if len(header) != 1:
        return None
    return next((one for one in _OTHER_SEPARATORS if one in header[0]), None)
