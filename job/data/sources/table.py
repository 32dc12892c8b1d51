"""Opens tables: CSV, TSV or JSON lines, plain or gzip, in UTF-8.

No value is guessed to be missing: `nan`, `null` and `NA` are texts. A cell's meaning is decided
by `job.data.items.columns`; a file whose rows cannot be separated is an error::

    table = Table(path, key="data.train", name="pairs.csv")
    with table.records({"left": "left", "right": "right", "label": "label"}) as records:
        ...

A further format (Parquet, say) is a module with a `RecordReader` and an entry of
`TABLE_FORMATS`.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO, BinaryIO, Protocol, cast

from job.config.suggest import did_you_mean
from job.data.quarantine import Unit
from job.data.sources.table_records import (
    Record,
    Wanted,
    delimited_header,
    delimited_records,
    json_records,
)
from job.errors import ConfigError, DataError, PermissionDeniedError

# No real data compresses this well. A small file may expand without limit.
MAX_EXPANSION = 200
FREE_BYTES = 16 << 20


_NONE_OPTIONAL: Mapping[str, str] = MappingProxyType({})


def _ignore(file: BinaryIO) -> None:
    """Nobody watches the file."""


class RecordReader(Protocol):
    """Reads the records of a binary stream, the fields being those of the wanted columns."""

    def __call__(
        self,
        stream: IO[bytes],
        *,
        wanted: Wanted,
        where: str,
        optional: Mapping[str, str],
    ) -> Iterator[Record]: ...


@dataclass(frozen=True)
class TableFormat:
    """How the files of one extension are read.

    Attributes:
        records: Reads an open file.
        header: Reads the names of the columns of an open file; None: each row names its own.
        unit: The unit of `Record.line`.
    """

    records: RecordReader
    header: Callable[..., list[str]] | None = None
    unit: Unit = "line"


def _delimited(delimiter: str) -> TableFormat:
    return TableFormat(
        partial(delimited_records, delimiter=delimiter),
        partial(delimited_header, delimiter=delimiter),
    )


# Every format of tables, by extension; each may be followed by `.gz`.
TABLE_FORMATS: Mapping[str, TableFormat] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": TableFormat(json_records),
}


def extension(name: str) -> str:
    """The extension of a file name in lower case, without `.gz`: `.csv`, or "" for none."""
    return Path(name.lower().removesuffix(".gz")).suffix


def unknown_format(name: str, *, key: str, known: Sequence[str], hint: str = "") -> ConfigError:
    """The error for a name with an unknown extension.

    Args:
        name: The path as the configuration gives it.
        key: Dotted key that holds it.
        known: The extensions that this key accepts.
        hint: Additional sentences, with a leading space.
    """
    suffix = extension(name)
    received = f"{suffix!r} is not a known format" if suffix else "the name has no extension"
    tables = ", ".join(one for one in known if one in TABLE_FORMATS)
    others = "".join(f" Or {one}." for one in known if one not in TABLE_FORMATS)
    return ConfigError(
        f"{key}: {name!r}: {received}.{did_you_mean(suffix, known)} Known: {tables}, each also "
        f"with .gz.{others}{hint} Convert the file, or rename it if only its name is wrong."
    )


@dataclass(frozen=True)
class Table:
    """A table on this machine.

    Args:
        path: The file, links resolved.
        key: Dotted key that holds its path, for messages.
        name: The path as the configuration gives it; its extension selects the format.
    """

    path: Path
    key: str
    name: str

    @property
    def where(self) -> str:
        """Key and name, for messages."""
        return f"{self.key}: {self.name!r}"

    @property
    def unit(self) -> Unit:
        """The unit of `Record.line`."""
        return self._format.unit

    @contextmanager
    def records(
        self,
        wanted: Wanted,
        *,
        optional: Mapping[str, str] = _NONE_OPTIONAL,
        watch: Callable[[BinaryIO], object] = _ignore,
    ) -> Iterator[Iterable[Record]]:
        """Opens the file and yields its records.

        Args:
            wanted: Key below `data.columns` to the name of the column (CSV, TSV) or key (JSON
                lines), or to a list of them; two or more keys, in the order of the fields.
            optional: The same for columns that the file need not have; their fields follow.
            watch: Is given the open file, whose position shows how much was read.

        Raises:
            DataError: Here or while reading: the file is empty, lacks a column, is damaged, or
                is not UTF-8 text.
            PermissionDeniedError: The file may not be read.
        """
        with self._stream(watch) as stream:
            yield self._format.records(
                stream, wanted=wanted, where=self.where, optional=optional
            )

    def header(self) -> list[str] | None:
        """The names of the columns; None if each row names its own. Raises as `records`."""
        if self._format.header is None:
            return None
        with self._stream() as stream:
            return self._format.header(stream, where=self.where)

    def has_column(self, name: str) -> bool:
        """Whether the file has a column; of JSON lines, whether a row has the key.

        Raises as `records` does.
        """
        header = self.header()
        if header is not None:
            return name in header
        with self.records({}) as records:
            return any(name in record.row for record in records if record.row is not None)

    @contextmanager
    def _stream(self, watch: Callable[[BinaryIO], object] = _ignore) -> Iterator[IO[bytes]]:
        """The open file, decompressed."""
        with opened(self.path, where=self.where) as file:
            watch(file)
            stream: IO[bytes] = file
            if self.name.lower().endswith(".gz"):
                stream = cast(IO[bytes], _CappedGzip(file, where=self.where))
            try:
                yield stream
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DataError(
                    f"{self.where} is not intact gzip ({error}). Copy or compress the file "
                    "again."
                ) from error

    def no_rows(self, advice: str) -> DataError:
        """The error for a table without rows."""
        return DataError(f"{self.where} holds no rows. {advice}")

    @property
    def _format(self) -> TableFormat:
        return TABLE_FORMATS[extension(self.name)]


class _CappedGzip(gzip.GzipFile):
    """Decompresses a file, up to MAX_EXPANSION times its size.

    Args:
        file: The compressed file, positioned at its start.
        where: Key and file, for messages.
    """

    def __init__(self, file: BinaryIO, *, where: str) -> None:
        super().__init__(fileobj=file)
        packed = file.seek(0, 2)
        file.seek(0)
        self._where = where
        self._most = max(FREE_BYTES, MAX_EXPANSION * packed)

    def read1(self, size: int = -1) -> bytes:  # what io.TextIOWrapper calls
        data = super().read1(size)
        if self.tell() > self._most:
            raise DataError(
                f"{self._where} expands to more than {MAX_EXPANSION} times its size. Give the "
                "file uncompressed if it really holds that much."
            )
        return data


@contextmanager
def opened(path: Path, *, where: str) -> Iterator[BinaryIO]:
    """Opens a file for reading; raises as `disk_errors_named` does."""
    with disk_errors_named(path, where=where), path.open("rb") as file:
        yield file


@contextmanager
def disk_errors_named(path: Path, *, where: str) -> Iterator[None]:
    """Converts an OSError to an error that names the key and the file.

    Raises:
        DataError: The file cannot be read.
        PermissionDeniedError: The file may not be read.
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
