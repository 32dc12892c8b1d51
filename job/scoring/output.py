"""Writes a table of results to a file or a bucket: all of it, or nothing.

::

    with replacing_output("a.csv.gz") as stream:
        writer = table_writer("a.csv.gz", stream, header=("left", "right"), added=("score",))
        writer.write([("cat", "hat")], [("0.25",)])

A file is written under another name beside its own and renamed at the end. For a bucket it is
written to the temporary folder and uploaded at the end.
"""

import csv
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from job.config.uris import is_in_bucket
from job.data.sources.table import TABLE_FORMATS, extension, unknown_format
from job.errors import (
    ConfigError,
    DiskFullError,
    JobError,
    LockHeldError,
    PermissionDeniedError,
)
from job.storage.filesystem import lock_exclusively, sync_folder
from job.storage.object_store import ObjectStore, checked_name
from job.storage.open_store import local_folder, open_store
from job.storage.os_errors import DENIED, FULL, MessageContext
from job.storage.temporary import temporary_errors_named

KEY = "OUT"
OUTPUT = MessageContext(
    key=KEY,
    content="results",
    role="roles/storage.objectUser",
    when_full="",
    afterwards="the command starts over",
)
_PARTIAL = ".partial"
# Faster than gzip's own default by half, and a tenth larger.
_GZIP_LEVEL = 4

# The cells of a row: strings by the columns of the header, values by name, or a whole line of
# JSON lines, which only such a file can keep to the letter.
Row = Sequence[str] | Mapping[str, object] | str


def require_table_name(out: str) -> None:
    """Refuses a name whose extension is that of no table.

    Raises:
        ConfigError: It is.
    """
    if extension(out) not in TABLE_FORMATS:
        raise unknown_format(out, key=KEY, known=tuple(TABLE_FORMATS))


@dataclass(frozen=True)
class _Pending:
    """A file that is being written.

    Attributes:
        stream: Takes its bytes.
        complete: Makes them last, under another name.
        publish: Gives them the name.
    """

    stream: IO[bytes]
    complete: Callable[[], None]
    publish: Callable[[], None]


@contextmanager
def replacing_output(
    out: str, *, open_place: Callable[[str], ObjectStore] = open_store
) -> Iterator[IO[bytes]]:
    """Opens a stream whose bytes become the content of `out` when the block succeeds.

    Args:
        out: See `replacing_outputs`, which this is for one file.
        open_place: Opens a bucket.
    """
    with replacing_outputs([out], open_place=open_place) as [stream]:
        yield stream


@contextmanager
def replacing_outputs(
    outs: Sequence[str], *, open_place: Callable[[str], ObjectStore] = open_store
) -> Iterator[list[IO[bytes]]]:
    """Opens streams whose bytes become the content of files when the block succeeds.

    Whatever ends the block, an exception or Ctrl-C, the files are as they were and nothing is
    beside them. A killed process leaves `<out>.partial` in its folder, which the next one
    replaces.

    Every file is complete before the first one gets its name, and the first of `outs` gets its
    name last. So where a kill comes between two names, the first file is the old one.

    Args:
        outs: Paths, or `gs://bucket/name`; compressed if they end in `.gz`.
        open_place: Opens a bucket.

    Raises:
        ConfigError: One cannot be a file, or there is no such folder or bucket.
        PermissionDeniedError: It may not be written.
        DiskFullError: There is no space for it.
        LockHeldError: Another process is writing it.
        StorageOutageError: The bucket does not answer.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(_pending(out, open_place)) for out in outs]
        yield [file.stream for file in files]
        for file in files:
            file.complete()
        for file in reversed(files):
            file.publish()


@contextmanager
def _pending(out: str, open_place: Callable[[str], ObjectStore]) -> Iterator[_Pending]:
    write_file = _to_bucket if is_in_bucket(out) else _to_folder
    with write_file(out, open_place) as file:
        if not out.lower().endswith(".gz"):
            yield file
            return
        # No name and no time: equal results are equal bytes.
        packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, file.stream, mtime=0)

        def complete() -> None:
            packed.close()
            file.complete()

        yield _Pending(cast(IO[bytes], packed), complete, file.publish)


@contextmanager
def _to_folder(out: str, open_place: Callable[[str], ObjectStore]) -> Iterator[_Pending]:
    path = _path_of(out)
    partial = path.with_name(f"{path.name}{_PARTIAL}")
    with _named_errors(path):
        file = _own(partial)
        is_published = False

        def complete() -> None:
            with _named_errors(path):
                file.flush()
                os.fsync(file.fileno())

        def publish() -> None:
            nonlocal is_published
            with _named_errors(path):
                os.rename(partial, path)
                is_published = True
                sync_folder(path.parent)

        try:
            yield _Pending(file, complete, publish)
        finally:
            # By another name it may be that of another process by now.
            if not is_published:
                with suppress(OSError):
                    partial.unlink()
            with suppress(OSError):  # what could not be flushed
                file.close()


@contextmanager
def _to_bucket(out: str, open_place: Callable[[str], ObjectStore]) -> Iterator[_Pending]:
    place, _, name = out.rpartition("/")
    try:
        store = open_place(place)
        checked_name(name)
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{KEY}: {out!r} names no object of a bucket ({error}).") from error
    # A bucket that is away or refuses is found now, and not when all the work is done.
    if store.stat(name) is None:
        store.list(name)
    with (
        temporary_errors_named(),
        tempfile.NamedTemporaryFile(prefix="siamese-out-") as file,
    ):

        def publish() -> None:
            store.write_file(name, Path(file.name), if_generation=None)

        yield _Pending(cast(IO[bytes], file), file.flush, publish)


def _path_of(out: str) -> Path:
    path = local_folder(out, key=KEY)
    if path is None or not path.name:
        raise ConfigError(f"{KEY}: {out!r} is not a file. Give the path of one.")
    path = Path(os.path.realpath(path))  # of a symbolic link, the file
    if path.is_dir():
        raise ConfigError(f"{KEY}: {out!r} is a folder. Give the path of a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(
            f"{KEY}: {out!r}: there is no folder '{path.parent}'. Make it, or give another "
            "path."
        )
    return path


def _own(partial: Path) -> IO[bytes]:
    """Opens the incomplete file, empty and locked."""
    while True:
        fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        file = open(fd, "wb", buffering=1 << 20)
        try:
            if not lock_exclusively(fd, path=partial, blocking=False, purpose=OUTPUT):
                raise LockHeldError(
                    f"{KEY}: another process is writing '{partial}'. Wait for it, or give "
                    "another OUT."
                )
            # Another process may have renamed it between opening and locking.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(partial)):
                    os.ftruncate(fd, 0)
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Translates what the operating system says of a file that is written."""
    try:
        yield
    except JobError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(
                f"{KEY}: no space for '{path}' ({error.strerror}); nothing was written. Free "
                "some space, give another OUT, or let it end in .gz."
            ) from error
        if error.errno in DENIED:
            raise PermissionDeniedError(
                f"{KEY}: '{path}' may not be written ({error.strerror}). Give this user write "
                "access to its folder, or give another OUT."
            ) from error
        raise


class TableWriter(Protocol):
    """Writes rows with further columns."""

    def write(self, rows: Sequence[Row], added: Sequence[Sequence[str]]) -> None:
        """Writes rows.

        Args:
            rows: All of one form.
            added: The cells of the further columns, as many as rows; JSON lines have them as
                they are, so each is a number.
        """
        ...


def table_writer(
    out: str,
    stream: IO[bytes],
    *,
    header: Sequence[str] | None,
    added: Sequence[str],
) -> TableWriter:
    """The writer of the format that a name ends in.

    Args:
        out: The name.
        stream: Where to.
        header: The columns of the rows; None: each row names its own.
        added: Names of the further columns.
    """
    suffix = extension(out)
    if suffix == ".jsonl":
        return _JsonWriter(stream, header=header, added=added)
    delimiter = {".csv": ",", ".tsv": "\t"}[suffix]
    return _DelimitedWriter(stream, delimiter=delimiter, header=header, added=added)


class _DelimitedWriter:
    """CSV and TSV; see `table_writer`."""

    def __init__(
        self,
        stream: IO[bytes],
        *,
        delimiter: str,
        header: Sequence[str] | None,
        added: Sequence[str],
    ) -> None:
        self._stream = stream
        self._lines: list[str] = []
        # csv quotes a line end in a cell only if it is one of its own, so it ends lines with
        # both, and `_LineFeeds` with one.
        self._csv = csv.writer(_LineFeeds(self._lines), delimiter=delimiter)
        self._added = added
        self._columns: Sequence[str] | None = None
        if header is not None:
            self._begin(header)

    def write(self, rows: Sequence[Row], added: Sequence[Sequence[str]]) -> None:
        if self._columns is None and rows:
            # JSON lines without a header: the first row names the columns of all.
            self._begin(list(cast(Mapping[str, object], rows[0])))
        both = zip(rows, added, strict=True)
        self._csv.writerows([*self._cells(row), *more] for row, more in both)
        self._flush()

    def _begin(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._csv.writerow([*columns, *self._added])
        self._flush()

    def _cells(self, row: Row) -> Sequence[str]:
        if not isinstance(row, Mapping):
            return row
        columns = self._columns or ()
        if not row.keys() <= set(columns):
            extra = next(name for name in row if name not in columns)
            raise ConfigError(
                f"{KEY}: a row has the key {extra!r}, which the first row does not have; in a "
                "table every row has the same columns. Let OUT end in .jsonl."
            )
        return [_cell(row.get(name)) for name in columns]

    def _flush(self) -> None:
        # Bytes that were not UTF-8 are written as they were read.
        self._stream.write("".join(self._lines).encode("utf-8", "surrogateescape"))
        self._lines.clear()


class _LineFeeds:
    """Takes lines that end in CR LF, and keeps them with LF."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, line: str) -> None:
        self._lines.append(f"{line[:-2]}\n")


class _JsonWriter:
    """JSON lines; see `table_writer`."""

    def __init__(
        self, stream: IO[bytes], *, header: Sequence[str] | None, added: Sequence[str]
    ) -> None:
        self._stream = stream
        self._header = header
        self._names = [json.dumps(name) for name in added]

    def write(self, rows: Sequence[Row], added: Sequence[Sequence[str]]) -> None:
        lines = []
        for row, more in zip(rows, added, strict=True):
            cells = ", ".join(map(": ".join, zip(self._names, more, strict=True)))
            lines.append(f"{self._line(row).removesuffix('}')}, {cells}}}\n")
        self._stream.write("".join(lines).encode("utf-8", "surrogateescape"))

    def _line(self, row: Row) -> str:
        if isinstance(row, str):
            return row
        if isinstance(row, Mapping):
            return _dumped(row)
        return _dumped(dict(zip(self._header or (), row, strict=True)))


def _dumped(value: object) -> str:
    """JSON; a character that is not UTF-8 is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def _cell(value: object) -> str:
    """A value of a JSON line in a table: texts as they are, null as an empty cell."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
