"""Reads the rows of a pair file: two items, and whether they match."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from job.config.data import ColumnsConfig
from job.config.names import shown
from job.data.dataset import FileRows, PairTable
from job.data.items.columns import (
    GroupAndSplit,
    GroupSplitColumns,
    item_of,
    label_of,
    name_of,
    optional_label_of,
)
from job.data.items.item_store import ItemRef, Items, read_ahead
from job.data.quarantine import QuarantineBuilder
from job.data.sources.configured import DataSource
from job.data.sources.table_records import Record
from job.types import Problem


class _Pair(NamedTuple):
    """A row whose cells are valid by themselves."""

    left: str
    right: str
    label: int | None
    mark: GroupAndSplit


class ValidPair(NamedTuple):
    """A valid row.

    Attributes:
        left: The first item.
        right: The second.
        label: 1 = match, 0 = no match; None where labels are optional and there is none.
        mark: Its group and its split.
    """

    left: ItemRef
    right: ItemRef
    label: int | None
    mark: GroupAndSplit


def read_pairs(
    source: DataSource,
    marks: GroupSplitColumns,
    *,
    items: Items,
    columns: ColumnsConfig,
    by_id: bool,
) -> FileRows:
    """Reads and checks every row of one pair file.

    Args:
        source: The file, a table.
        marks: Empty; collects the group and the split of each row.
        items: Gives and numbers the items that rows name.
        columns: Names of the columns.
        by_id: Whether cells hold IDs, which may be integers.

    Raises:
        DataError: The file is empty, lacks a column, is damaged, or is not UTF-8 text.
        PermissionDeniedError: The file, or one that it names, may not be read.
    """
    table = source.table()
    wanted = {"left": columns.left, "right": columns.right, "label": columns.label}
    left, right, label = array("q"), array("q"), bytearray()
    rejected = QuarantineBuilder(table.name, unit=table.unit)
    with table.records({**wanted, **marks.wanted}, optional=marks.optional) as records:
        for record, pair in valid_pairs(
            records, marks, items=items, columns=columns, by_id=by_id
        ):
            rejected.rows_read += 1
            if isinstance(pair, Problem):
                rejected.reject(record.line, pair, raw=record.raw)
                continue
            left.append(items.add(pair.left))
            right.append(items.add(pair.right))
            label.append(pair.label or 0)
            marks.add(pair.mark)
    if not rejected.rows_read:
        raise table.no_rows("Give a file with at least one match and one non-match.")
    pairs = PairTable(
        np.array(left, np.int64), np.array(right, np.int64), np.frombuffer(label, np.uint8)
    )
    return marks.file_rows(pairs, rejected.quarantine())


def valid_pairs(
    records: Iterable[Record],
    marks: GroupSplitColumns,
    *,
    items: Items,
    columns: ColumnsConfig,
    by_id: bool,
    needs_label: bool = True,
) -> Iterator[tuple[Record, ValidPair | Problem]]:
    """Checks the rows of a pair file one after the other, in their order.

    The items of a valid row have been looked up. The caller adds them before it takes the next
    row.

    Args:
        records: Fields: left, right, label, and those that `marks` reads.
        marks: Checks the group and the split.
        items: Gives the items that rows name.
        columns: Names of the columns.
        by_id: Whether cells hold IDs, which may be integers.
        needs_label: Whether a row without a label is bad.
    """
    label_in = label_of if needs_label else optional_label_of

    def pair_of(fields: Sequence[object]) -> _Pair | Problem:
        left = _item_of(fields[0], column=columns.left, by_id=by_id)
        if isinstance(left, Problem):
            return left
        right = _item_of(fields[1], column=columns.right, by_id=by_id)
        if isinstance(right, Problem):
            return right
        label = label_in(fields[2], column=columns.label)
        if isinstance(label, Problem):
            return label
        mark = marks.read(fields[3:])
        return mark if isinstance(mark, Problem) else _Pair(left, right, label, mark)

    rows = ((record, record.problem or pair_of(record.fields)) for record in records)
    for record, pair in read_ahead(rows, items=items, cells=_cells):
        if isinstance(pair, Problem):
            yield record, pair
            continue
        refs = _lookup(pair, items, columns)
        if isinstance(refs, Problem):
            yield record, refs
        else:
            yield record, ValidPair(*refs, pair.label, pair.mark)


def _item_of(value: object, *, column: str | Sequence[str], by_id: bool) -> str | Problem:
    """The ID of an item, or its text or path."""
    return name_of(value, column=shown(column)) if by_id else item_of(value, column=column)


def _cells(row: tuple[Record, _Pair | Problem]) -> Sequence[str]:
    pair = row[1]
    return () if isinstance(pair, Problem) else (pair.left, pair.right)


def _lookup(
    pair: _Pair, items: Items, columns: ColumnsConfig
) -> tuple[ItemRef, ItemRef] | Problem:
    left = items.lookup(pair.left, column=shown(columns.left))
    if isinstance(left, Problem):
        return left
    right = items.lookup(pair.right, column=shown(columns.right))
    return right if isinstance(right, Problem) else (left, right)
