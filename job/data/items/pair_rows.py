"""Reads the rows of a pair file: two items, and whether they match."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from job.config.data import ColumnsConfig
from job.config.names import shown
from job.data.dataset import FileRows, PairTable
from job.data.items.columns import GroupAndSplit, GroupSplitColumns, item_of, label_of, name_of
from job.data.items.item_store import ItemRef, Items, read_ahead
from job.data.quarantine import QuarantineBuilder
from job.data.sources.configured import DataSource
from job.data.sources.table_records import Record
from job.types import Problem


class _Pair(NamedTuple):
    """A row whose cells are valid by themselves."""

    left: str
    right: str
    label: int
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
    with table.records({**wanted, **marks.wanted}) as records:
        rows = (
            (record, record.problem or _pair_of(record.fields, columns, marks, by_id=by_id))
            for record in records
        )
        for record, pair in read_ahead(rows, items=items, cells=_cells):
            rejected.rows_read += 1
            if isinstance(pair, Problem):
                rejected.reject(record.line, pair, raw=record.raw)
                continue
            refs = _lookup(pair, items, columns)
            if isinstance(refs, Problem):
                rejected.reject(record.line, refs, raw=record.raw)
                continue
            left.append(items.add(refs[0]))
            right.append(items.add(refs[1]))
            label.append(pair.label)
            marks.add(pair.mark)
    if not rejected.rows_read:
        raise table.no_rows("Give a file with at least one match and one non-match.")
    pairs = PairTable(
        np.array(left, np.int64), np.array(right, np.int64), np.frombuffer(label, np.uint8)
    )
    return marks.file_rows(pairs, rejected.quarantine())


def _pair_of(
    fields: Sequence[object], columns: ColumnsConfig, marks: GroupSplitColumns, *, by_id: bool
) -> _Pair | Problem:
    left = _item_of(fields[0], column=columns.left, by_id=by_id)
    if isinstance(left, Problem):
        return left
    right = _item_of(fields[1], column=columns.right, by_id=by_id)
    if isinstance(right, Problem):
        return right
    label = label_of(fields[2], column=columns.label)
    if isinstance(label, Problem):
        return label
    mark = marks.read(fields[3:])
    return mark if isinstance(mark, Problem) else _Pair(left, right, label, mark)


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
