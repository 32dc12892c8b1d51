"""Parses the cells of tables and arrays, and collects the columns `group` and `split`.

A cell of CSV and TSV is a string; one of JSON lines may be any value. Each function returns the
value of a valid cell, or a `Problem` whose detail begins with the column's name::

    label = label_of("1.0", column="label")  # 1
"""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from unicodedata import normalize

import numpy as np

from job.config.names import names_of, shown
from job.data.dataset import FileRows, Rows
from job.data.quarantine import Quarantine, sample_of
from job.data.sources.npz import Npz
from job.preprocessing.ragged import RaggedArray
from job.types import SPLITS, Problem, Reason

# pandas writes a column of 0 and 1 that once had a gap as 0.0 and 1.0. Words (true, yes) are
# rejected: which of them mean a match is a guess.
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}

# Between the cells of a list of columns.
SEPARATOR = " | "

_MOST_PARTS = 4
_LONGEST_NAME = 1000

_NONE: Mapping[str, str] = MappingProxyType({})
_SPLITS: Mapping[object, int] = {split: number for number, split in enumerate(SPLITS)}


def label_of(value: object, *, column: str) -> int | Problem:
    """Parses a label: 0 or 1 as a number, or "0", "1", "0.0", "1.0" with blanks around."""
    if isinstance(value, str):
        label = _LABELS.get(value)
        if label is None:
            label = _LABELS.get(value.strip())
        if label is not None:
            return label
        if not value.strip():
            return Problem("label", f"{column} is empty: label it or leave the row out")
    elif isinstance(value, int | float) and not isinstance(value, bool) and value in (0, 1):
        return int(value)
    return Problem("label", f"{column} must be 0 or 1, got {sample_of(value)}")


def optional_label_of(value: object, *, column: str) -> int | Problem | None:
    """Parses a label as `label_of` does; None and an empty cell are no label."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return label_of(value, column=column)


def name_of(value: object, *, column: str) -> str | Problem:
    """Parses the name of a class, a group or an item, to NFC.

    Integers are names too: 7 and "7" are the same name.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return Problem("malformed", f"{column} must be a text or an integer")
    name = str(value)
    if not name:
        return Problem("empty", f"{column} is empty")
    if len(name) > _LONGEST_NAME:
        return Problem("malformed", f"{column} has more than {_LONGEST_NAME} characters")
    problem = _utf8_problem(name)
    if problem:
        return Problem(problem.reason, f"{column} {problem.detail}")
    return name if name.isascii() else normalize("NFC", name)


def split_of(value: object, *, column: str) -> int | Problem:
    """Parses the name of a split to its index into SPLITS."""
    number = _SPLITS.get(value.strip()) if isinstance(value, str) else None
    if number is None:
        known = ", ".join(SPLITS)
        return Problem("split", f"{column} must be one of {known}, got {sample_of(value)}")
    return number


def item_of(value: object, *, column: str | Sequence[str]) -> str | Problem:
    """Parses a text or a path, or joins the cells of a list of columns to a text.

    Blanks around a cell are cut off, and an empty cell stays an empty part, so that the parts
    of two texts correspond. Integers, and null of JSON, are cells of such a list, too.

    Args:
        value: The cell; of a list of columns a tuple of theirs.
        column: The column or columns.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return _joined(value, names_of(column))
    return Problem("malformed", f"{shown(column)} must be a text, got {sample_of(value)}")


def _joined(cells: Sequence[object], columns: Sequence[str]) -> str | Problem:
    parts: list[str] = []
    for cell, column in zip(cells, columns, strict=True):
        if cell is None:
            parts.append("")
        elif isinstance(cell, str | int) and not isinstance(cell, bool):
            parts.append(str(cell).strip())
        else:
            must = "must be a text, an integer or null"
            return Problem("malformed", f"{column} {must}, got {sample_of(cell)}")
    if not any(parts):
        return Problem("empty", f"every cell of {shown(columns)} is empty")
    return SEPARATOR.join(parts)


def text_cells(arrays: Npz, columns: str | Sequence[str]) -> Sequence[object]:
    """Reads the cells of items that are texts; `item_of` parses each.

    Raises:
        DataError: An array is missing, or has another type or length.
    """
    first, *others = names_of(columns)
    cells = arrays.names(first, key="item")
    if not others:
        return cells
    more = (arrays.names(name, key="item", num_rows=len(cells)) for name in others)
    return list(zip(cells, *more, strict=True))


def text_of(cell: str, *, max_length: int) -> str | Problem:
    """Normalises the text of an item to NFC.

    Args:
        cell: The cell.
        max_length: Largest number of characters.

    Returns:
        The text, or a problem whose detail does not name the column.
    """
    if not cell.strip():
        return Problem("empty", "is empty")
    # Longer than NFC can shorten it (no character of NFC has more than four parts). NFC could
    # take hours: ordering n combining marks costs n squared.
    is_hopeless = len(cell) > _MOST_PARTS * max_length
    text = cell if is_hopeless or cell.isascii() else normalize("NFC", cell)
    if len(text) > max_length:
        allowed = f"data.max_length is {max_length}"
        return Problem("too_long", f"has {len(text)} characters ({allowed})")
    return _utf8_problem(text) or text


def _utf8_problem(text: str) -> Problem | None:
    if "\0" in text:
        return Problem("undecodable", "holds a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            code = ord(text[error.start])
            # 0xdc80 to 0xdcff stand for the bytes 0x80 to 0xff that did not decode.
            what = f"byte 0x{code - 0xDC00:02x}" if code >= 0xDC80 else f"U+{code:04X}"
            return Problem("undecodable", f"is not UTF-8 ({what})")
    return None


class GroupAndSplit(NamedTuple):
    """The group and the split of one row; None for a column that is not read.

    The group is also None for a row that has none and needs none.
    """

    group: str | None
    split: int | None


class GroupSplitColumns:
    """Collects the group and the split of the valid rows of the files of one split.

    Args:
        wanted: Key below `data.columns`, `group` or `split`, to the name of the column: each
            file must have it, and each row a valid cell.
        optional: The same of `group` where a file may lack the column. A row without a valid
            group keeps its place and has none.

    Attributes:
        wanted: As given.
        optional: As given.
        malformed: Reason to the number of optional cells that are neither valid nor empty.
    """

    def __init__(
        self, wanted: Mapping[str, str] = _NONE, *, optional: Mapping[str, str] = _NONE
    ) -> None:
        self.wanted = wanted
        self.optional = optional
        self.malformed: Counter[Reason] = Counter()
        self._columns = (*wanted.items(), *optional.items())
        self._numbers: dict[str, int] = {}
        self._group = array("q")
        self._split = bytearray()

    def read(self, fields: Sequence[object]) -> GroupAndSplit | Problem:
        """Checks the cells of a row.

        Args:
            fields: The cells of the columns `wanted`, then of those that are `optional`; None
                for one that the file lacks.
        """
        group: str | None = None
        split: int | None = None
        for (key, column), cell in zip(self._columns, fields, strict=True):
            if key == "split":
                number = split_of(cell, column=column)
                if isinstance(number, Problem):
                    return number
                split = number
                continue
            name = name_of(cell, column=column)
            if not isinstance(name, Problem):
                group = name
            elif key in self.wanted:
                return name
            elif cell is not None and cell != "":
                self.malformed[name.reason] += 1
        return GroupAndSplit(group, split)

    def add(self, mark: GroupAndSplit) -> None:
        """Adds the group and the split of a valid row."""
        if mark.group is not None:
            self._group.append(self._numbers.setdefault(mark.group, len(self._numbers)))
        elif self.optional:
            self._group.append(-1)
        if mark.split is not None:
            self._split.append(mark.split)

    def file_rows(self, rows: Rows, quarantine: Quarantine) -> FileRows:
        """The valid rows of the file, with the groups and splits that were added."""
        group = np.array(self._group, np.int64) if self._numbers else None
        split = np.array(self._split, np.int8) if "split" in self.wanted else None
        return FileRows(rows, group, split, self._groups_in_several_splits(), quarantine)

    def group_names(self) -> RaggedArray:
        """The name of each group in UTF-8, by its number."""
        return RaggedArray.from_bytes([name.encode() for name in self._numbers])

    def _groups_in_several_splits(self) -> tuple[str, ...]:
        if len(self.wanted) < 2:
            return ()
        names = list(self._numbers)
        # A group in one split is one such number, a group in two splits is two.
        both = np.array(self._group, np.int64) * len(SPLITS) + np.array(self._split, np.int64)
        found = np.bincount(np.unique(both) // len(SPLITS))
        return tuple(names[number] for number in np.flatnonzero(found > 1).tolist())
