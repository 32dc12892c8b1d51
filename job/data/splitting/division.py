"""Which split each row of the training file goes to, and which key to blame for it.

A row's column says it, or the rows are cut, or all of them are for training because the other
splits have files of their own. R rows::

    division = divide(section, given=given, marks=None, num_rows=9, cut=cut)
    division.membership
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data
from job.data.reading.given import Given, Role
from job.data.splitting.cuts import Cut
from job.data.splitting.splits import require_filled, require_named, warn_of_small_splits
from job.types import SPLITS, Split


@dataclass(frozen=True, eq=False)
class Division:
    """Where the rows of the training file went.

    Args:
        membership: int8 (R,), index into SPLITS.
        fractions: Share that each split was to have; empty when nothing was cut.
        origins: The key to blame for what a split holds.
    """

    membership: NDArray[np.int8]
    fractions: Mapping[Split, float]
    origins: Mapping[Split, str]

    def of(self, split: Split) -> NDArray[np.bool_]:
        """Which rows are of a split, bool (R,)."""
        chosen: NDArray[np.bool_] = self.membership == SPLITS.index(split)
        return chosen


def divide(
    section: Data,
    *,
    given: Mapping[Role, Given],
    marks: NDArray[np.int8] | None,
    num_rows: int,
    cut: Callable[[Mapping[Split, float]], Cut],
) -> Division:
    """Divides the rows of the training file.

    Args:
        section: The data section.
        given: The files that it names.
        marks: int8 (R,), what `data.columns.split` says; None without such a column.
        num_rows: R.
        cut: Cuts them into splits of given shares of the rows.

    Raises:
        DataError: A split is left without rows.
    """
    origins: dict[Split, str] = {
        split: given[split].where for split in SPLITS if split in given
    }
    if marks is not None:
        column, name = section.columns.split or "", given["train"].name
        require_named(_sizes(marks, SPLITS), column=column, name=name)
        return Division(marks, {}, dict.fromkeys(SPLITS, f"data.columns.split: {column!r}"))
    wanted: dict[Split, float] = {
        "validation": section.split.validation_fraction,
        "test": section.split.test_fraction,
    }
    wanted = {split: share for split, share in wanted.items() if split not in given}
    if not wanted:
        return Division(np.zeros(num_rows, np.int8), {}, origins)
    fractions: dict[Split, float] = {"train": 1.0 - sum(wanted.values()), **wanted}
    made, by = cut(fractions), section.split.by
    sizes = _sizes(made.membership, tuple(fractions))
    require_filled(sizes, cut=made, by=by)
    warn_of_small_splits(sizes, wanted, num_rows=num_rows)
    origins |= dict.fromkeys(fractions, f"data.split.by: {by}")
    return Division(made.membership, fractions, origins)


def _sizes(membership: NDArray[np.int8], splits: tuple[Split, ...]) -> dict[Split, int]:
    return {split: int(np.count_nonzero(membership == SPLITS.index(split))) for split in splits}
