"""Reads the rows of a pair file: two items, and whether they match.

What cannot be used goes to the quarantine; `items` says what the cells mean::

    rows = read_pairs(table, items=items, columns=ColumnsConfig(), marks=marks, by_id=False)
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from job.config.data import ColumnsConfig
from job.data.dataset import PairTable
from job.data.items.columns import GroupAndSplit, GroupSplitColumns, item_of, label_of, name_of
from job.data.items.item_store import ItemRef, Items, read_ahead
from job.data.quarantine import Quarantine, QuarantineBuilder
from job.data.sources.table import Table
from job.data.sources.table_records import Record
from job.types import Problem


@dataclass(frozen=True, eq=False)
class PairRows:
    """The good rows of one file, in file order, and what was kept out.

    Args:
        pairs: P pairs.
        group: int64 (P,), the group of each, numbered from 0; None without such a column.
        split: int8 (P,), index into SPLITS of each; None without such a column.
        quarantine: The bad rows.
    """

    pairs: PairTable
    group: NDArray[np.int64] | None
    split: NDArray[np.int8] | None
    quarantine: Quarantine


class _Pair(NamedTuple):
    """A row that is good as far as its cells show."""

    left: str
    right: str
    label: int
    mark: GroupAndSplit


def read_pairs(
    table: Table, *, items: Items, columns: ColumnsConfig, marks: GroupSplitColumns, by_id: bool
) -> PairRows:
    """Reads and checks every row of one pair file.

    Args:
        table: The file.
        items: Gives the items that rows name, and numbers them.
        columns: Names of the columns.
        marks: New ones, for the group and split of each row.
        by_id: Whether cells hold ids, which may be whole numbers.

    Raises:
        DataError: The file is empty, lacks a column, is damaged, or is not UTF-8 text.
        PermissionDeniedError: It, or a file that it names, may not be read.
    """
    wanted = {"left": columns.left, "right": columns.right, "label": columns.label}
    left, right, label = array("q"), array("q"), bytearray()
    sieve = QuarantineBuilder(table.name, unit=table.unit)
    with table.records(wanted | marks.wanted) as records:
        rows = (
            (record, record.problem or _pair_of(record.fields, columns, marks, by_id=by_id))
            for record in records
        )
        for record, pair in read_ahead(rows, items=items, cells=_cells):
            sieve.rows_read += 1
            if isinstance(pair, Problem):
                sieve.reject(record.line, pair, raw=record.raw)
                continue
            found = _found(pair, items, columns)
            if isinstance(found, Problem):
                sieve.reject(record.line, found, raw=record.raw)
                continue
            left.append(items.add(found[0]))
            right.append(items.add(found[1]))
            label.append(pair.label)
            marks.keep(pair.mark)
    if not sieve.rows_read:
        raise table.no_rows("Give a file with at least one match and one non-match.")
    pairs = PairTable(
        np.array(left, np.int64), np.array(right, np.int64), np.frombuffer(label, np.uint8)
    )
    return PairRows(pairs, marks.groups(), marks.splits(), sieve.quarantine())


def _pair_of(
    fields: Sequence[object], columns: ColumnsConfig, marks: GroupSplitColumns, *, by_id: bool
) -> _Pair | Problem:
    cell_of = name_of if by_id else item_of
    left = cell_of(fields[0], column=columns.left)
    if isinstance(left, Problem):
        return left
    right = cell_of(fields[1], column=columns.right)
    if isinstance(right, Problem):
        return right
    label = label_of(fields[2], column=columns.label)
    if isinstance(label, Problem):
        return label
    mark = marks.read(fields[3:])
    return mark if isinstance(mark, Problem) else _Pair(left, right, label, mark)


def _cells(row: tuple[Record, _Pair | Problem]) -> Sequence[str]:
    pair = row[1]
    return () if isinstance(pair, Problem) else (pair.left, pair.right)


def _found(
    pair: _Pair, items: Items, columns: ColumnsConfig
) -> tuple[ItemRef, ItemRef] | Problem:
    left = items.lookup(pair.left, column=columns.left)
    if isinstance(left, Problem):
        return left
    right = items.lookup(pair.right, column=columns.right)
    return right if isinstance(right, Problem) else (left, right)
