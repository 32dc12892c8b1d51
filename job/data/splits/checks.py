"""Checks of splits: what every split needs, and warnings about splits that inflate scores.

The checks decide nothing; `job.data.splits.assignment` calls them::

    require_usable(rows, split="test", origin="data.test: 'test.csv'")
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from job.config.data import ColumnsConfig
from job.data.dataset import LabelledRows, PairTable, Rows
from job.data.quarantine import sample_of
from job.data.splits.partition import By, Partition
from job.errors import DataError
from job.types import Split

log = logging.getLogger(__name__)

_WAYS: tuple[By, ...] = ("identity", "group", "row")


def require_filled(sizes: Mapping[Split, int], *, partition: Partition, by: By) -> None:
    """Refuses a partition that leaves a split without rows.

    Args:
        sizes: Rows of each split.
        partition: The partition.
        by: `data.split.by`.

    Raises:
        DataError: Names the split, the number of units and the size of the largest.
    """
    empty = [split for split, size in sizes.items() if not size]
    if not empty:
        return
    # Rows are the smallest units: no other kind of unit can help.
    others = [f"`data.split.by: {other}`" for other in _WAYS if by not in (other, "row")]
    if empty[0] == "train":
        ways = [*others, "smaller fractions in `data.split`"]
    else:
        ways = [*others, f"a larger `data.split.{empty[0]}_fraction`"]
    raise DataError(
        f"data.split.by: {by} leaves nothing for {' and '.join(empty)}: the training file has "
        f"{partition.num_units} {partition.unit_name}, the largest holds "
        f"{partition.largest_share:.0%} of the {partition.row_name}, and each stays in one "
        f"split. Set {' or '.join(ways)}, or give files: `data.validation: PATH`, `data.test: "
        "PATH`."
    )


def require_named(sizes: Mapping[Split, int], *, column: str, name: str) -> None:
    """Refuses a split column that assigns no row to a split.

    Args:
        sizes: Rows of each split.
        column: `data.columns.split`.
        name: The training file as the configuration gives it.

    Raises:
        DataError: Names the split.
    """
    empty = [split for split, size in sizes.items() if not size]
    if empty:
        raise DataError(
            f"data.columns.split: {column!r} of {name!r} names no row of "
            f"{' and '.join(empty)}. Every split needs rows: assign some, or remove "
            "data.columns.split to split by data.split."
        )


def require_whole_groups(names: Sequence[str], *, columns: ColumnsConfig) -> None:
    """Refuses a split column that puts a group into several splits.

    Args:
        names: The groups with rows in several splits.
        columns: Names of the columns.

    Raises:
        DataError: Names one of them and the number of the others.
    """
    if names:
        others = f" ({len(names) - 1} more groups, too)" if len(names) > 1 else ""
        raise DataError(
            f"data.columns.group: {sample_of(names[0])} has rows in several splits of "
            f"data.columns.split ({columns.split!r}){others}. Groups that occur in both "
            "training and test inflate test scores. Assign each group to one split, or remove "
            "data.columns.group to allow it."
        )


def require_usable(rows: Rows, *, split: Split, origin: str) -> None:
    """Refuses a split that lacks matches or non-matches, so that it measures nothing.

    Args:
        rows: The rows of the split.
        split: Its name.
        origin: The key that determines the split, for the message.

    Raises:
        DataError: Names the split and the counts.
    """
    problem = _pairs_problem(rows) if isinstance(rows, PairTable) else _classes_problem(rows)
    if problem:
        raise DataError(f"{origin}: the {split} split has {problem}")


def _pairs_problem(pairs: PairTable) -> str | None:
    if pairs.num_positive and pairs.num_negative:
        return None
    return (
        f"{pairs.num_positive} matches (label 1) and {pairs.num_negative} non-matches (label "
        "0); it needs both. Add pairs of the other class, or change data.split."
    )


def _classes_problem(rows: LabelledRows) -> str | None:
    sizes = rows.class_sizes()
    if len(sizes) >= 2 and sizes.max() >= 2:
        return None
    return (
        f"{sizes.sum()} items of {len(sizes)} {'class' if len(sizes) == 1 else 'classes'}, the "
        f"largest of {sizes.max(initial=0)}; it needs two classes for non-matches, and two "
        "items of one class for matches. Add items, raise the split's fraction (data.split), "
        "or split by something else (data.split.by)."
    )


def warn_of_shared_items(items: Mapping[Split, NDArray[np.int64]]) -> None:
    """Warns of items that two splits share: they inflate scores.

    Args:
        items: The distinct items of each split, int64 (M,).
    """
    for one, other in combinations(items, 2):
        shared = len(np.intersect1d(items[one], items[other]))
        if shared:
            log.warning(
                "splits share items",
                extra={"split": other, "with": one, "shared": shared, "of": len(items[other])},
            )


def warn_of_shared_classes(classes: Mapping[Split, NDArray[np.int64]]) -> None:
    """Warns once of classes that training shares: they are easier than unseen ones.

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
    """Warns of a split with less than half of its fraction, as large units cause it.

    Args:
        sizes: Rows of each split.
        fractions: The configured fraction of each split.
        num_rows: Rows of the partition.
    """
    for split, wanted in fractions.items():
        share = sizes[split] / num_rows
        if share < wanted / 2:
            log.warning(
                "split smaller than asked for",
                extra={"split": split, "wanted_share": wanted, "share": round(share, 4)},
            )
