"""The columns that say what a row belongs to: its group, and its split.

Both are optional, of pairs and of labelled items alike::

    marks = Marks(columns, with_any=True)
    found = marks.read(("person-7", "test"))
    marks.keep(found)
"""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from job.config.rows import ColumnsConfig
from job.data.quarantine import Problem
from job.data.reading.cells import name_of, split_of
from job.types import SPLITS


class Mark(NamedTuple):
    """Of one row; None where the file has no such column."""

    group: str | None
    split: int | None


class Marks:
    """The marks of the good rows of one file.

    Args:
        columns: Names the columns.
        with_any: Whether rows are marked; those of validation and test files need none.
    """

    def __init__(self, columns: ColumnsConfig, *, with_any: bool) -> None:
        named = {"group": columns.group, "split": columns.split} if with_any else {}
        self.wanted: dict[str, str] = {
            key: name for key, name in named.items() if name is not None
        }
        self._numbers: dict[str, int] = {}
        self._group = array("q")
        self._split = bytearray()

    def read(self, fields: Sequence[object]) -> Mark | Problem:
        """The marks that a row has.

        Args:
            fields: Its cells in the columns `wanted`, in that order.
        """
        group: str | None = None
        split: int | None = None
        for (key, column), cell in zip(self.wanted.items(), fields, strict=True):
            if key == "group":
                name = name_of(cell, column=column)
                if isinstance(name, Problem):
                    return name
                group = name
            else:
                number = split_of(cell, column=column)
                if isinstance(number, Problem):
                    return number
                split = number
        return Mark(group, split)

    def keep(self, mark: Mark) -> None:
        """Adds the marks of a row that is good in all else."""
        if mark.group is not None:
            self._group.append(self._numbers.setdefault(mark.group, len(self._numbers)))
        if mark.split is not None:
            self._split.append(mark.split)

    def straddling(self) -> list[str]:
        """The groups that have rows in several splits, by first appearance."""
        groups, splits = self.groups(), self.splits()
        if groups is None or splits is None:
            return []
        names = list(self._numbers)
        # A group in one split is one such number, a group in two splits is two.
        found = np.unique(groups * len(SPLITS) + splits) // len(SPLITS)
        return [names[number] for number in np.flatnonzero(np.bincount(found) > 1).tolist()]

    def groups(self) -> NDArray[np.int64] | None:
        """int64 (R,), the group of each row, numbered from 0; None without such a column."""
        return np.array(self._group, np.int64) if "group" in self.wanted else None

    def splits(self) -> NDArray[np.int8] | None:
        """int8 (R,), index into SPLITS of each row; None without such a column."""
        return np.array(self._split, np.int8) if "split" in self.wanted else None
