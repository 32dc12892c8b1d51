"""Reads a pair file: CSV, TSV or JSON lines, plain or gzip, in UTF-8.

Nothing is guessed: no cell means "missing" but an absent one (`nan`, `null` and `NA` are
texts), and texts are taken as they stand, blanks and case included. A row that cannot be used
goes to the quarantine; a file whose rows cannot be told apart is an error. `records` does the
parsing::

    raw = read_pairs(path, key="data.train", name="pairs.csv", columns=ColumnsConfig(),
                     with_group=False, max_length=256)
"""

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import IO

from job.config.data import ColumnsConfig
from job.config.suggest import did_you_mean
from job.data.quarantine import SAMPLES_KEPT, BadRow, Quarantine, Reason, sample_of
from job.data.records import Problem, Record, delimited_records, json_records, text_of
from job.errors import ConfigError, DataError, PermissionDeniedError

EXTENSIONS = (".csv", ".tsv", ".jsonl")

# A column of 0 and 1 that once held a gap is written as 0.0 and 1.0. Words (true, yes) are
# refused: which of them mean a match is a guess.
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}

_FOREIGN_STARTS = (
    (b"\x1f\x8b", "is compressed with gzip, but its name does not end in .gz", "Add .gz"),
    (b"\xff\xfe", "is UTF-16", "Save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16", "Save it as UTF-8"),
)


@dataclass(frozen=True)
class RawPairs:
    """The good rows of one file in file order, and what was kept out.

    Attributes:
        left: First text of each row.
        right: Second text of each row.
        label: 0 or 1, one byte a row.
        group: Value of `data.columns.group` of each row; empty when it was not asked for.
        quarantine: The bad rows.
    """

    left: Sequence[str]
    right: Sequence[str]
    label: bytes
    group: Sequence[str]
    quarantine: Quarantine


def read_pairs(
    path: Path,
    *,
    key: str,
    name: str,
    columns: ColumnsConfig,
    with_group: bool,
    max_length: int,
) -> RawPairs:
    """Reads and checks every row of one pair file.

    Args:
        path: The file, links resolved.
        key: Dotted key it was given under, for messages.
        name: The path as the configuration gives it; its extension decides the format.
        columns: Names of the columns (CSV, TSV) or keys (JSON lines).
        with_group: Whether the column `columns.group` is read; then it must be named.
        max_length: Longest text allowed, in characters.

    Raises:
        ConfigError: The extension is unknown.
        DataError: The file is empty, lacks a column, is damaged, or is not UTF-8 text.
        PermissionDeniedError: The file may not be read.
    """
    kind = extension(name, key=key)
    where = f"{key}: {name!r}"
    wanted = [columns.left, columns.right, columns.label]
    if with_group and columns.group is not None:
        wanted.append(columns.group)
    rows = _Rows(name=name, wanted=wanted, max_length=max_length)
    with _opened(path, name=name, where=where) as stream:
        for record in _records(stream, kind=kind, columns=columns, wanted=wanted, where=where):
            rows.add(record)
    if rows.rows_read == 0:
        raise DataError(
            f"{where} holds no rows. Give a file with at least one match and one non-match."
        )
    return rows.finished()


def extension(name: str, *, key: str) -> str:
    """The format of a file by its name: one of EXTENSIONS, `.gz` set aside.

    Raises:
        ConfigError: The name ends in something else.
    """
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    if suffix in EXTENSIONS:
        return suffix
    received = f"{suffix!r} is no known format" if suffix else "the name has no extension"
    raise ConfigError(
        f"{key}: {name!r}: {received}.{did_you_mean(suffix, EXTENSIONS)} Known: "
        f"{', '.join(EXTENSIONS)}, each also with .gz. Convert the file, or rename it if only "
        "its name is wrong."
    )


def label_of(value: object) -> int | None:
    """The label a cell or a JSON value means, or None.

    0 and 1 as a number, and "0", "1", "0.0", "1.0" with blanks around; nothing else.
    """
    if isinstance(value, str):
        return _LABELS.get(value) if value in _LABELS else _LABELS.get(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool) and value in (0, 1):
        return int(value)
    return None


class _Rows:
    """Collects good rows; the others go to the quarantine."""

    def __init__(self, *, name: str, wanted: Sequence[str], max_length: int) -> None:
        self.rows_read = 0
        self._name = name
        self._wanted = wanted
        self._max_length = max_length
        self._good: list[tuple[str, ...]] = []
        self._label = bytearray()
        self._counts: Counter[Reason] = Counter()
        self._samples: list[BadRow] = []

    def add(self, record: Record) -> None:
        self.rows_read += 1
        texts_or_problem = record.problem or self._checked(record.fields)
        if not isinstance(texts_or_problem, Problem):
            self._good.append(texts_or_problem)
            return
        reason, detail = texts_or_problem
        self._counts[reason] += 1
        if len(self._samples) < SAMPLES_KEPT:
            sample = sample_of(record.raw)
            self._samples.append(BadRow(self._name, record.line, reason, detail, sample))

    def finished(self) -> RawPairs:
        left, right, *group = zip(*self._good, strict=True) if self._good else ((), ())
        return RawPairs(
            left=left,
            right=right,
            label=bytes(self._label),
            group=group[0] if group else (),
            quarantine=Quarantine(self.rows_read, dict(self._counts), tuple(self._samples)),
        )

    def _checked(self, fields: Sequence[object]) -> tuple[str, ...] | Problem:
        """The texts of a good row (its label is put aside), or what is wrong with it."""
        left, right, label = fields[:3]
        problem = self._text_problem(left, 0) or self._text_problem(right, 1)
        if problem:
            return problem
        number = label_of(label)
        if number is None:
            return Problem("label", f"{self._wanted[2]} must be 0 or 1, got {sample_of(label)}")
        group = fields[3:]
        if group and (isinstance(group[0], bool) or not isinstance(group[0], str | int)):
            return Problem("malformed", f"{self._wanted[3]} must be a text or a whole number")
        if group and group[0] == "":
            return Problem("empty", f"{self._wanted[3]} is empty")
        self._label.append(number)
        return (str(left), str(right), *map(str, group))

    def _text_problem(self, text: object, column: int) -> Problem | None:
        name = self._wanted[column]
        if not isinstance(text, str):
            return Problem("malformed", f"{name} must be a text, got {sample_of(text)}")
        if not text.strip():
            return Problem("empty", f"{name} is empty")
        if len(text) > self._max_length:
            allowed = f"data.max_length is {self._max_length}"
            return Problem("too_long", f"{name} has {len(text)} characters ({allowed})")
        if "\0" in text:
            return Problem("undecodable", f"{name} holds a NUL character")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                code = ord(text[error.start])
                # 0xdc80 to 0xdcff stand for the bytes 0x80 to 0xff that did not decode.
                what = f"byte 0x{code - 0xDC00:02x}" if code >= 0xDC80 else f"U+{code:04X}"
                return Problem("undecodable", f"{name} is not UTF-8 ({what})")
        return None


def _require_columns(
    header: Sequence[str], *, columns: ColumnsConfig, wanted: Sequence[str], where: str
) -> None:
    doubled = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if doubled:
        raise DataError(
            f"{where} names the column {doubled[0]!r} {header.count(doubled[0])} times. A name "
            "may occur once: rename or remove the other column."
        )
    keys = dict(zip(wanted, ("left", "right", "label", "group"), strict=False))
    missing = [
        f"no column {name!r} (data.columns.{keys[name]}).{did_you_mean(name, header)}"
        for name in wanted
        if name not in header
    ]
    if missing:
        has = ", ".join(repr(name) for name in header)
        first = next(keys[name] for name in wanted if name not in header)
        raise DataError(
            f"{where} has {' And '.join(missing)} Columns of the file: {has}. Name the column "
            f"that holds it: `data.columns.{first}: NAME`."
        )


def _records(
    stream: IO[bytes], *, kind: str, columns: ColumnsConfig, wanted: Sequence[str], where: str
) -> Iterator[Record]:
    """The records of a file, their fields those of the wanted columns."""
    if kind == ".jsonl":
        yield from json_records(stream, wanted=wanted)
        return
    with text_of(stream) as text:
        delimiter = "\t" if kind == ".tsv" else ","
        header, records = delimited_records(text, delimiter=delimiter, where=where)
        _require_columns(header, columns=columns, wanted=wanted, where=where)
        pick = itemgetter(*map(header.index, wanted))
        for record in records:
            yield record if record.problem else record._replace(fields=pick(record.fields))


@contextmanager
def _opened(path: Path, *, name: str, where: str) -> Iterator[IO[bytes]]:
    """The decompressed bytes of a file; what goes wrong while reading names the file."""
    compressed = name.lower().endswith(".gz")
    try:
        with path.open("rb") as file:
            stream = io.BufferedReader(gzip.GzipFile(fileobj=file)) if compressed else file
            _refuse_foreign(stream.peek(2)[:2], where=where)
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{where} is not intact gzip ({error}). Copy or compress the file again."
        ) from error
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{where} may not be read ({path}: permission denied). Give this user read access."
        ) from error
    except OSError as error:
        raise DataError(
            f"{where} cannot be read ({error}). Check the disk or mount that holds {path}."
        ) from error


def _refuse_foreign(start: bytes, *, where: str) -> None:
    for magic, what, fix in _FOREIGN_STARTS:
        if start == magic:
            raise DataError(f"{where} {what}. Pair files are UTF-8, plain or .gz. {fix}.")
