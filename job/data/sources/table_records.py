"""Splits the bytes of a table into records, and reports the records that cannot be read.

Knows formats, not meanings: `job.data.items` decides what a label is. A reader of a format is
a function from a binary stream to records; `job.data.sources.table` lists them by extension::

    for record in delimited_records(stream, wanted={"left": "q1"}, where=where, delimiter=","):
        record.problem or record.fields
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from operator import itemgetter
from types import MappingProxyType
from typing import IO, Any, NamedTuple

from job.config.names import names_of
from job.config.suggest import did_you_mean
from job.errors import DataError
from job.types import Problem, Reason

# Key below `data.columns` to a column, or to the columns that together make one field.
Wanted = Mapping[str, str | Sequence[str]]

# Characters. Far more than `data.max_length` accepts, and a bound on memory for a file without
# line ends.
MAX_LINE = 1 << 22

_COLUMNS_SHOWN = 50
# Spreadsheets write semicolons into .csv files in many locales.
_OTHER_SEPARATORS = (";", "\t", "|", ",")
# Control characters and bytes that are not UTF-8: UTF-16, a spreadsheet, an archive.
_NOT_TEXT = re.compile("[\0-\x08\x0e-\x1f\udc80-\udcff]")


class Record(NamedTuple):
    """One record of a file.

    Attributes:
        line: Line on which it begins, counted from 1; only a line feed ends a line.
        fields: Values of the wanted columns, of a list of columns a tuple; () if `problem` is
            set.
        raw: The record for display.
        problem: Why it cannot be read; None for a valid one.
        row: All of it: the cells of CSV and TSV, the object of JSON lines; None if `problem` is
            set.
    """

    line: int
    fields: Sequence[object]
    raw: object
    problem: Problem | None = None
    row: Sequence[str] | Mapping[str, object] | None = None


_NONE_OPTIONAL: Mapping[str, str] = MappingProxyType({})


def delimited_records(
    stream: IO[bytes],
    *,
    wanted: Wanted,
    where: str,
    delimiter: str,
    optional: Mapping[str, str] = _NONE_OPTIONAL,
) -> Iterator[Record]:
    """Reads CSV or TSV, both with the quoting of RFC 4180.

    Args:
        stream: Positioned at the start of the file.
        wanted: Key below `data.columns` to the name of the column or to a list of them, two or
            more keys, in the order of the fields.
        where: Key and file, for messages.
        delimiter: Separator of two fields.
        optional: As `wanted`, of columns that the file need not have; their fields, None where
            there is none, follow.

    Raises:
        DataError: The header cannot be read or lacks a column, a line is too long, or a quoted
            field that spans lines is damaged, so that the start of the next record is unknown.
    """
    reader = csv.reader(_lines(stream, where=where), delimiter=delimiter, strict=True)
    header = _header(reader, where=where)
    _require_columns(header, wanted=wanted, where=where)
    pick = _picked(header, wanted, optional=optional)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = _csv_problem(error, start=start, end=reader.line_num, where=where)
            yield Record(start, (), "", problem)
            continue
        if len(fields) == len(header):
            yield Record(start, pick(fields), fields, None, fields)
        elif fields:  # a blank line is not a row
            last = reader.line_num
            until = "" if last == start else f" (up to line {last})"
            detail = f"{len(fields)} fields{until} where the header names {len(header)}"
            reason: Reason = "missing" if len(fields) < len(header) else "malformed"
            yield Record(start, (), fields, Problem(reason, detail))


def delimited_header(stream: IO[bytes], *, where: str, delimiter: str) -> list[str]:
    """The names of the columns of CSV or TSV; raises as `delimited_records` does."""
    return _header(
        csv.reader(_lines(stream, where=where), delimiter=delimiter, strict=True), where=where
    )


def json_records(
    stream: IO[bytes],
    *,
    wanted: Wanted,
    where: str,
    optional: Mapping[str, str] = _NONE_OPTIONAL,
) -> Iterator[Record]:
    """Reads JSON lines: one object a line.

    Args:
        stream: Positioned at the start of the file.
        wanted: Key below `data.columns` to the JSON key or to a list of them, in the order of
            the fields. A key of a list may be null, like an empty cell.
        where: Key and file, for messages.
        optional: As `wanted`, of keys that a row need not have; their values, None where there
            is none, follow.

    Raises:
        DataError: A line is too long.
    """
    keys, more = list(wanted.values()), list(optional.values())
    for number, line in enumerate(_lines(stream, where=where), start=1):
        if line.strip():
            yield _json_record(line.strip(), number=number, keys=keys, optional=more)


def _lines(stream: IO[bytes], *, where: str) -> Iterator[str]:
    """The lines of UTF-8 text, with their ends.

    Bytes that are not UTF-8 become lone surrogates (PEP 383), so that a bad cell rejects its
    row and not the file. Only a line feed ends a line, as editors and sed count; a carriage
    return inside quotes stays part of the text.
    """
    with io.TextIOWrapper(
        stream, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
    ) as text:
        for number in count(1):
            line = text.readline(MAX_LINE + 1)
            if len(line) > MAX_LINE:
                raise DataError(
                    f"{where}: line {number} has more than {MAX_LINE} characters. Give a file "
                    "with one row on each line, ended by LF or CRLF."
                )
            if not line:
                return
            yield line


def _header(reader: Iterator[list[str]], *, where: str) -> list[str]:
    try:
        header = [name.strip() for name in next(filter(None, reader))]
    except StopIteration:
        raise DataError(
            f"{where} is empty. Give a file whose first line names the columns, with one row "
            "on each line below."
        ) from None
    except csv.Error as error:
        raise DataError(
            f"{where}: the first line should name the columns, but cannot be read ({error}). "
            "Give a file with LF or CRLF between lines and quotes in pairs."
        ) from error
    if any(map(_NOT_TEXT.search, header)):
        raise DataError(
            f"{where}: the first line should name the columns, but is not UTF-8 text. Save the "
            "table as UTF-8 (not UTF-16), plain or, with a name that ends in .gz, as gzip."
        )
    return header


def _picked(
    header: Sequence[str], wanted: Wanted, *, optional: Mapping[str, str]
) -> Callable[[Sequence[str]], Sequence[Any]]:
    """Picks the wanted fields of a row, and those of the optional columns."""
    found = {key: name for key, name in optional.items() if name in header}
    places = [
        [header.index(name) for name in names_of(names)]
        for names in (*wanted.values(), *found.values())
    ]
    # An itemgetter of several places returns a tuple.
    getters: list[Callable[[Sequence[str]], Any]]
    getters = [itemgetter(*columns) for columns in places]
    if len(found) < len(optional):
        absent = [key not in found for key in optional]
        given = iter(getters[len(wanted) :])
        getters[len(wanted) :] = [_nothing if one else next(given) for one in absent]
    elif all(len(columns) == 1 for columns in places):
        return itemgetter(*(column for [column] in places))
    return lambda fields: [get(fields) for get in getters]


def _nothing(fields: Sequence[str]) -> None:
    """The field of a column that the file does not have."""


def _require_columns(header: Sequence[str], *, wanted: Wanted, where: str) -> None:
    counts = Counter(filter(None, header))
    if counts and (most := counts.most_common(1)[0])[1] > 1:
        raise DataError(
            f"{where} names the column {most[0]!r} {most[1]} times. Names must be unique: "
            "rename or remove the other column."
        )
    missing = [
        (key, name)
        for key, names in wanted.items()
        for name in names_of(names)
        if name not in header
    ]
    if not missing:
        return
    require_separated(header, where=where)
    what = " And ".join(
        f"no column {name!r} (data.columns.{key}).{did_you_mean(name, header)}"
        for key, name in missing
    )
    has = ", ".join(repr(name) for name in header[:_COLUMNS_SHOWN])
    raise DataError(
        f"{where} has {what} Columns of the file: {has}. Name the column that holds it: "
        f"`data.columns.{missing[0][0]}: NAME`."
    )


def require_separated(header: Sequence[str], *, where: str) -> None:
    """Refuses a header that is one name because its separator is another one.

    Raises:
        DataError: Names the separator.
    """
    separators = [one for one in _OTHER_SEPARATORS if len(header) == 1 and one in header[0]]
    if separators:
        raise DataError(
            f"{where} separates its columns by {separators[0]!r}. A .csv file has commas and a "
            ".tsv file has tabs: save it as one of these."
        )


def _csv_problem(error: csv.Error, *, start: int, end: int, where: str) -> Problem:
    """Explains a parser error: a fault of its row, or of the file if it spans lines."""
    # "unexpected end of data" is csv's word for a quote that is never closed.
    if end > start or "end of data" in str(error):
        raise DataError(
            f"{where}: a quote opened on line {start} is not closed properly (read up to line "
            f"{end}: {error}), so the rows after it cannot be separated. Close it, or write a "
            'literal quote inside a quoted field as "".'
        ) from error
    if "field limit" in str(error):
        return Problem("too_long", f"a field of more than {csv.field_size_limit()} characters")
    return Problem("malformed", f"not valid CSV ({error})")


def _json_record(
    line: str, *, number: int, keys: Sequence[str | Sequence[str]], optional: Sequence[str]
) -> Record:
    try:
        record = json.loads(line, object_pairs_hook=_object)
    # ValueError: invalid JSON, a repeated key, an integer of thousands of digits.
    except (ValueError, RecursionError) as error:
        return Record(number, (), line, Problem("malformed", f"not valid JSON ({error})"))
    if not isinstance(record, dict):
        return Record(number, (), line, Problem("malformed", "not a JSON object"))
    fields: list[object] = []
    for key in keys:
        is_one = isinstance(key, str)
        missing = [
            name
            for name in names_of(key)
            if name not in record or (is_one and record[name] is None)
        ]
        if missing:
            has = ", ".join(repr(name) for name in list(record)[:8]) or "none"
            what = "missing or null" if is_one else "missing"
            detail = f"key {missing[0]!r} is {what} (keys of the row: {has})"
            return Record(number, (), line, Problem("missing", detail))
        fields.append(record[key] if is_one else tuple(record[name] for name in key))
    fields += map(record.get, optional)
    return Record(number, fields, line, None, record)


def _object(items: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(items)
    if len(record) != len(items):
        raise ValueError("a key occurs twice")
    return record
