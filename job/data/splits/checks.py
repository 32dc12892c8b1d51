"""What every split has to hold, and what a person is told about splits that flatter.

Pure checks: `cuts` cuts, `load` calls::

    require_both_classes(pairs, split="test", origin="data.test: 'test.csv'")
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from job.config.data import ColumnsConfig, Data
from job.data.dataset import PairTable
from job.data.quarantine import sample_of
from job.data.sources.configured import DataSource, Role
from job.data.splits.partition import By, Partition
from job.errors import DataError
from job.types import SPLITS, Split

log = logging.getLogger(__name__)

_WAYS: tuple[By, ...] = ("identity", "group", "row")


def require_filled(sizes: Mapping[Split, int], *, cut: Partition, by: By) -> None:
    """Refuses a cut that left a split without rows.

    Args:
        sizes: Rows of each split.
        cut: What was cut.
        by: What stayed whole.

    Raises:
        DataError: Says which split, how many units there were and how large the largest is.
    """
    empty = [split for split, size in sizes.items() if not size]
    if not empty:
        return
    # Rows are the finest units there are: no other cut can help.
    others = [f"`data.split.by: {other}`" for other in _WAYS if by not in (other, "row")]
    if empty[0] == "train":
        ways = [*others, "smaller fractions in `data.split`"]
    else:
        ways = [*others, f"a larger `data.split.{empty[0]}_fraction`"]
    raise DataError(
        f"data.split.by: {by} leaves nothing for {' and '.join(empty)}: the training file has "
        f"{cut.num_units} {cut.unit_name}, the largest holds {cut.largest_share:.0%} of the "
        f"{cut.row_name}, and none may straddle two splits. Set {' or '.join(ways)}, or give "
        "files: `data.validation: PATH`, `data.test: PATH`."
    )


def require_named(sizes: Mapping[Split, int], *, column: str, name: str) -> None:
    """Refuses a column of splits that leaves one of them without rows.

    Args:
        sizes: Rows of each split.
        column: `data.columns.split`.
        name: The training file as the configuration names it.

    Raises:
        DataError: Says which split has no row.
    """
    empty = [split for split, size in sizes.items() if not size]
    if empty:
        raise DataError(
            f"data.columns.split: {column!r} of {name!r} names no row of "
            f"{' and '.join(empty)}. Every split needs rows: mark some, or leave "
            "data.columns.split out to have the splits cut by data.split."
        )


def require_whole_groups(straddling: Sequence[str], *, columns: ColumnsConfig) -> None:
    """Refuses a column of splits that tears groups apart.

    Args:
        straddling: Names of the groups with rows in several splits.
        columns: Names the columns.

    Raises:
        DataError: Names one of them and says how many more there are.
    """
    if straddling:
        others = f" ({len(straddling) - 1} more have, too)" if len(straddling) > 1 else ""
        raise DataError(
            f"data.columns.group: {sample_of(straddling[0])} has rows in several splits of "
            f"data.columns.split ({columns.split!r}){others}. Scores on people or things that "
            "training knows flatter: give each group to one split, or leave data.columns.group "
            "out if groups may straddle."
        )


def require_both_classes(table: PairTable, *, split: Split, origin: str) -> None:
    """Refuses a split of one class: nothing can be learned from it or measured on it.

    Args:
        table: The pairs of the split.
        split: Which one.
        origin: The key that is to blame, for the message.

    Raises:
        DataError: Names the split and the counts.
    """
    if table.num_positive and table.num_negative:
        return
    raise DataError(
        f"{origin}: the {split} split has {table.num_positive} matches (label 1) and "
        f"{table.num_negative} non-matches (label 0); it needs both. Add pairs of the other "
        "class, or cut the split otherwise (data.split)."
    )


def require_pairs(classes: NDArray[np.int64], *, split: Split, origin: str) -> None:
    """Refuses a split of labelled items of which no match or no non-match can be drawn.

    Args:
        classes: int64 (M,), the class of each distinct item of the split.
        split: Which one.
        origin: The key that is to blame, for the message.

    Raises:
        DataError: Names the split and the counts.
    """
    sizes = np.unique(classes, return_counts=True)[1]
    if len(sizes) >= 2 and sizes.max() >= 2:
        return
    raise DataError(
        f"{origin}: the {split} split has {len(classes)} items of {len(sizes)} "
        f"{'class' if len(sizes) == 1 else 'classes'}, the largest of "
        f"{sizes.max(initial=0)}; it needs two classes for pairs that do not match, and two "
        "items of one class for pairs that do. Add items, raise its share (data.split), or cut "
        "the split otherwise (data.split.by)."
    )


def warn_of_shared_items(items: Mapping[Split, NDArray[np.int64]]) -> None:
    """Splits may share items, but for those cut by identity; scores are then flattering.

    Args:
        items: The distinct items of each, int64 (M,).
    """
    for one, other in combinations(items, 2):
        shared = len(np.intersect1d(items[one], items[other]))
        if shared:
            log.warning(
                "splits share items",
                extra={"split": other, "with": one, "shared": shared, "of": len(items[other])},
            )


def warn_of_shared_classes(classes: Mapping[Split, NDArray[np.int64]]) -> None:
    """A class seen in training is easier than one never seen; says so once.

    Args:
        classes: The distinct classes of each split, int64 (C,).
    """
    shared = {
        split: len(np.intersect1d(classes["train"], found))
        for split, found in classes.items()
        if split != "train"
    }
    if any(shared.values()):
        facts: dict[str, object] = {
            split: f"{count} of {len(classes[split])}" for split, count in shared.items()
        }
        facts["meaning"] = "scores hold for classes seen in training"
        log.warning("splits share classes", extra=facts)


def warn_of_small_splits(
    sizes: Mapping[Split, int], fractions: Mapping[Split, float], *, num_rows: int
) -> None:
    """A cut may give a split far less than asked for, where units are large.

    Args:
        sizes: Rows of each split.
        fractions: Share that each split that was cut was to have.
        num_rows: Rows that were cut.
    """
    for split, wanted in fractions.items():
        share = sizes[split] / num_rows
        if share < wanted / 2:
            log.warning(
                "split smaller than asked for",
                extra={"split": split, "wanted_share": wanted, "share": round(share, 4)},
            )


@dataclass(frozen=True, eq=False)
class RowAssignment:
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


def assign_rows(
    section: Data,
    *,
    given: Mapping[Role, DataSource],
    marks: NDArray[np.int8] | None,
    num_rows: int,
    cut: Callable[[Mapping[Split, float]], Partition],
) -> RowAssignment:
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
        return RowAssignment(
            marks, {}, dict.fromkeys(SPLITS, f"data.columns.split: {column!r}")
        )
    wanted: dict[Split, float] = {
        "validation": section.split.validation_fraction,
        "test": section.split.test_fraction,
    }
    wanted = {split: share for split, share in wanted.items() if split not in given}
    if not wanted:
        return RowAssignment(np.zeros(num_rows, np.int8), {}, origins)
    fractions: dict[Split, float] = {"train": 1.0 - sum(wanted.values()), **wanted}
    made, by = cut(fractions), section.split.by
    sizes = _sizes(made.membership, tuple(fractions))
    require_filled(sizes, cut=made, by=by)
    warn_of_small_splits(sizes, wanted, num_rows=num_rows)
    origins |= dict.fromkeys(fractions, f"data.split.by: {by}")
    return RowAssignment(made.membership, fractions, origins)


def _sizes(membership: NDArray[np.int8], splits: tuple[Split, ...]) -> dict[Split, int]:
    return {split: int(np.count_nonzero(membership == SPLITS.index(split))) for split in splits}
