"""Writes matches, groups and pairs to label as tables.

R rows of a collection, P pairs.

A match is one row with all columns of both of its rows, `left_` and `right_` before their
names::

    writer = MatchWriter("matches.csv", stream, left=people, right=people)
    writer.write(pairs)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from job.config.data import ColumnsConfig
from job.config.names import names_of
from job.errors import ConfigError
from job.scoring.collection import Collection
from job.scoring.copies import ScoredPairs
from job.scoring.output import Row, table_writer

IntArray = NDArray[np.int64]

LEFT, RIGHT = "left_", "right_"
SCORE = "score"
SCORES = (SCORE, "probability")
GROUP, SIDE = "group", "side"
WHY = "why"
# As many rows as are rendered at a time.
_ROWS_AT_ONCE = 1 << 14
_digits = "{:.9g}".format


def groups_name(out: str) -> str:
    """The name of the file of groups beside `out`: `matches.groups.csv` for `matches.csv`."""
    name = out.lower().removesuffix(".gz")
    stem = out[: name.rindex(".")]
    return f"{stem}.groups{out[len(stem) :]}"


class MatchWriter:
    """Writes matches.

    Args:
        out: Name of the table.
        stream: Where to.
        left: The left collection.
        right: The right collection; the same object for one.
    """

    def __init__(
        self, out: str, stream: IO[bytes], *, left: Collection, right: Collection
    ) -> None:
        header = [f"{LEFT}{name}" for name in left.columns]
        header += [f"{RIGHT}{name}" for name in right.columns]
        self._left, self._right = left, right
        self._is_plain = not any(_has_objects(side) for side in (left, right))
        self._writer = table_writer(out, stream, header=header, added=SCORES)

    def write(self, pairs: ScoredPairs) -> None:
        """Writes pairs of rows."""
        for start in range(0, len(pairs), _ROWS_AT_ONCE):
            part = pairs.take(np.arange(start, min(start + _ROWS_AT_ONCE, len(pairs))))
            scores = zip(
                map(_digits, part.score.tolist()),
                map(_digits, part.probability.tolist()),
                strict=True,
            )
            self._writer.write(list(self._rows(part)), list(scores))

    def _rows(self, pairs: ScoredPairs) -> Iterator[Row]:
        left, right = self._left.rows, self._right.rows
        for one, other in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
            if self._is_plain:
                yield (*left[one], *right[other])
            else:
                yield {
                    **_named(self._left, left[one], before=LEFT),
                    **_named(self._right, right[other], before=RIGHT),
                }


def require_free_for_groups(collections: Sequence[Collection]) -> None:
    """Refuses items whose own columns would be lost in the table of groups.

    Args:
        collections: One; or the left and the right one.

    Raises:
        ConfigError: One has a column that is added.
    """
    added = (GROUP,) if len(collections) == 1 else (GROUP, SIDE)
    for collection in collections:
        for name in added:
            if name in collection.columns:
                raise ConfigError(
                    f"--groups: {collection.name!r} has a column {name!r} already, and it is "
                    "added. Rename or remove it."
                )


def require_free_to_label(columns: ColumnsConfig) -> None:
    """Refuses a model whose pairs have a column that is added to pairs to label.

    Args:
        columns: Names of the columns of pairs.

    Raises:
        ConfigError: One is added.
    """
    header = _training_header(columns)
    if len(set(header)) != len(header) or {WHY, SCORE} & set(header):
        raise ConfigError(
            f"--uncertain: the columns {WHY!r} and {SCORE!r} are added to the pairs, but the "
            f"model has one of them already ({', '.join(header)}). Rename the column in the "
            "training files, and train again."
        )


def _training_header(columns: ColumnsConfig) -> tuple[str, ...]:
    return (*names_of(columns.left), *names_of(columns.right), columns.label)


def write_groups(
    out: str, stream: IO[bytes], *, collections: Sequence[Collection], group: IntArray
) -> None:
    """Writes every row with the number of its group.

    Args:
        out: Name of the table.
        stream: Where to.
        collections: One; or the left and the right one, whose rows then say which they are of.
            They have passed `require_free_for_groups`.
        group: int64 (R,), of each row, one collection after the other.
    """
    names = dict.fromkeys(name for one in collections for name in one.columns)
    sides: Sequence[str | None] = [None] if len(collections) == 1 else ["left", "right"]
    header = [*([SIDE] if len(sides) > 1 else []), *names]
    writer = table_writer(out, stream, header=header, added=(GROUP,))
    first = 0
    for side, collection in zip(sides, collections, strict=True):
        numbers = group[first : first + len(collection)].tolist()
        first += len(collection)
        for start in range(0, len(collection), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            rows = [_grouped(collection, row, side=side) for row in collection.rows[part]]
            writer.write(rows, [(str(number),) for number in numbers[part]])


def _grouped(collection: Collection, row: Row, *, side: str | None) -> Row:
    if side is None:
        return row
    return {SIDE: side, **_named(collection, row, before="")}


def write_pairs_to_label(
    out: str,
    stream: IO[bytes],
    *,
    pairs: ScoredPairs,
    is_doubtful: NDArray[np.bool_],
    cells: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    columns: ColumnsConfig,
) -> None:
    """Writes pairs as training reads them, with an empty label to fill in.

    Args:
        out: Name of the table.
        stream: Where to.
        pairs: Of rows.
        is_doubtful: bool (P,), see `PairsToLabel`.
        cells: What the left rows and the right rows are in the training format, for each row
            as many cells as its side has columns.
        columns: Names of the columns; they have passed `require_free_to_label`.
    """
    header = (*_training_header(columns), WHY)
    writer = table_writer(out, stream, header=header, added=(SCORE,))
    rows: list[Row] = []
    for one, other, doubtful in zip(
        pairs.left.tolist(), pairs.right.tolist(), is_doubtful.tolist(), strict=True
    ):
        why = "near the threshold" if doubtful else "nearest neighbour"
        rows.append((*cells[0][one], *cells[1][other], "", why))
    writer.write(rows, [(_digits(score),) for score in pairs.score.tolist()])


def _has_objects(collection: Collection) -> bool:
    return any(isinstance(row, Mapping) for row in collection.rows[:1])


def _named(collection: Collection, row: Row, *, before: str) -> dict[str, object]:
    if isinstance(row, Mapping):
        return {f"{before}{name}": value for name, value in row.items()}
    return {f"{before}{name}": cell for name, cell in zip(collection.columns, row, strict=True)}
