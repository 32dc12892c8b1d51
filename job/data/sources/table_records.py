"""Cuts an open byte stream into records, and says which of them cannot be read.

Knows formats, not meanings: which field is a label is the business of `reading`. One record is
in memory at a time, and no line of it is longer than MAX_LINE::

    with text_of(stream) as text:
        header, records = delimited_records(text, delimiter=",", where="data.train: 'a.csv'")
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from job.errors import DataError
from job.types import Problem, Reason

# Bytes (JSON lines) or characters (CSV, TSV). Far above what `data.max_length` lets through,
# low enough that a file without line ends, or a gzip bomb, does not fill the memory.
MAX_LINE = 1 << 22


class Record(NamedTuple):
    """One record of a file.

    Attributes:
        line: Line on which it begins, counted from 1; only a line feed ends a line.
        fields: Its values; () when `problem` is set.
        raw: Something to show a person.
        problem: Why it cannot be read; None for a good one.
    """

    line: int
    fields: Sequence[object]
    raw: object
    problem: Problem | None = None


class _LineTooLongError(Exception):
    """A line exceeds MAX_LINE; the stream stands behind it."""


class _Lines:
    """Physical lines of a text stream, numbered, none longer than MAX_LINE.

    A class and not a generator, because the iteration goes on after an error.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_LINE and not line.endswith("\n"):
            while (rest := self._stream.readline(MAX_LINE)) and not rest.endswith("\n"):
                pass
            raise _LineTooLongError
        return line


def text_of(stream: IO[bytes]) -> io.TextIOWrapper:
    """The stream as text for `delimited_records`; closing it closes the stream.

    Bytes that are not UTF-8 become lone surrogates (PEP 383), so that one bad cell does not
    cost the file. Only a line feed ends a line: lines are counted as editors and sed do it,
    and a carriage return inside quotes stays part of the text.
    """
    return io.TextIOWrapper(
        stream, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
    )


def delimited_records(
    stream: IO[str], *, delimiter: str, where: str
) -> tuple[list[str], Iterator[Record]]:
    """The header and the records of a CSV or TSV file (RFC 4180 quoting in both).

    Args:
        stream: What `text_of` gave, at its beginning.
        delimiter: What separates two fields.
        where: Key and file, for messages.

    Returns:
        The column names, blanks around them removed, and the records; the number of fields of a
        good one is that of the names.

    Raises:
        DataError: There is no readable header. While iterating: a quoted field that spans lines
            is damaged, so that it is unknown where the next record begins.
    """
    lines = _Lines(stream)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(filter(None, reader))]
    except StopIteration:
        raise DataError(
            f"{where} is empty. Give a file whose first line names the columns, with one row "
            "on each line below."
        ) from None
    except (csv.Error, _LineTooLongError) as error:
        raise DataError(
            f"{where}: line {lines.number} should name the columns, but cannot be read "
            f"({error}). Give a file with line feeds (or CRLF) between lines and quotes in "
            "pairs."
        ) from error
    return header, _rows(reader, lines, width=len(header), where=where)


def _rows(
    reader: Iterator[list[str]], lines: _Lines, *, width: int, where: str
) -> Iterator[Record]:
    while True:
        start = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, _LineTooLongError) as error:
            yield Record(start, (), "", _damage(error, start=start, lines=lines, where=where))
            continue
        if len(fields) == width:
            yield Record(start, fields, fields)
        elif fields:  # a blank line is no row
            last = lines.number
            until = "" if last == start else f" (they reach to line {last})"
            detail = f"{len(fields)} fields{until} where the header names {width}"
            reason: Reason = "missing" if len(fields) < width else "malformed"
            yield Record(start, (), fields, Problem(reason, detail))


def _damage(error: Exception, *, start: int, lines: _Lines, where: str) -> Problem:
    """What a parser's error means; more than one line of it means the file."""
    # "unexpected end of data" is csv's word for a quote that is never closed.
    if lines.number > start or "end of data" in str(error):
        raise DataError(
            f"{where}: a quote opened on line {start} is not closed properly (read up to line "
            f"{lines.number}: {error or 'line too long'}), so the rows after it cannot be told "
            'apart. Close it, or write a literal quote inside a quoted field as "".'
        ) from error
    if isinstance(error, _LineTooLongError):
        return Problem("too_long", f"a line of more than {MAX_LINE} characters")
    if "field limit" in str(error):
        return Problem("too_long", f"a field of more than {csv.field_size_limit()} characters")
    return Problem("malformed", f"not valid CSV ({error})")


def json_records(stream: IO[bytes], *, wanted: Sequence[str]) -> Iterator[Record]:
    """The records of a JSON lines file: one object a line.

    Args:
        stream: The file's bytes, at their beginning.
        wanted: The keys whose values become the fields, in this order.
    """
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            problem = Problem("too_long", f"a line of more than {MAX_LINE} bytes")
            yield Record(number, (), line, problem)
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _json_record(line, number=number, wanted=wanted)


def _json_record(line: bytes, *, number: int, wanted: Sequence[str]) -> Record:
    try:
        text = line.decode()
        record = json.loads(text, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at position {error.start} of the line"
        return Record(number, (), line, Problem("undecodable", f"not UTF-8 ({byte})"))
    # ValueError: bad JSON, a doubled key, a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        return Record(
            number, (), text.strip(), Problem("malformed", f"not valid JSON ({error})")
        )
    raw = text.strip()
    if not isinstance(record, dict):
        return Record(number, (), raw, Problem("malformed", "not a JSON object"))
    missing = [key for key in wanted if record.get(key) is None]
    if missing:
        has = ", ".join(repr(key) for key in list(record)[:8]) or "none"
        detail = f"key {missing[0]!r} is missing or null (keys of the row: {has})"
        return Record(number, (), raw, Problem("missing", detail))
    return Record(number, [record[key] for key in wanted], raw)


def _object(items: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(items)
    if len(record) != len(items):
        raise ValueError("a key occurs twice")
    return record
