"""Assigns rows to splits: by their files, by a column, or by a partition of the training file.

splits = assign_splits(section, loaded.rows, origins=origins, seed=0)
splits["test"].items()
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data
from job.config.names import names_of
from job.data.dataset import FileRows, LabelledRows, PairTable, Rows
from job.data.splits.checks import (
    require_filled,
    require_named,
    require_usable,
    require_whole_groups,
    warn_of_shared_classes,
    warn_of_shared_items,
    warn_of_small_splits,
)
from job.data.splits.partition import Partition, partition_rows
from job.types import SPLITS, Split


@dataclass(frozen=True, eq=False)
class RowAssignment:
    """The split of each row of the training file.

    Args:
        membership: int8 (R,), index into SPLITS.
        origins: The key that determines each split, for messages.
    """

    membership: NDArray[np.int8]
    origins: Mapping[Split, str]

    def of(self, split: Split) -> NDArray[np.bool_]:
        """Whether each row is in the split, bool (R,)."""
        chosen: NDArray[np.bool_] = self.membership == SPLITS.index(split)
        return chosen


def assign_splits(
    section: Data, files: Mapping[Split, FileRows], *, origins: Mapping[Split, str], seed: int
) -> dict[Split, Rows]:
    """The rows of every split; a split without a file gets rows of the training file.

    Args:
        section: The data section.
        files: The rows of each file.
        origins: Key and name of each file, for messages.
        seed: `run.seed`.

    Raises:
        DataError: A split has no rows, lacks matches or non-matches, or shares a group.
    """
    train = files["train"]
    require_whole_groups(train.groups_in_several_splits, columns=section.columns)
    for split, file in files.items():
        require_usable(file.rows, split=split, origin=origins[split])
    partition = partial(
        partition_rows, train.rows, by=section.split.by, seed=seed, groups=train.group
    )
    assignment = assign_rows(
        section,
        origins=origins,
        named=train.split,
        num_rows=len(train.rows),
        partition=lambda fractions: partition(fractions=fractions),
    )
    splits: dict[Split, Rows] = {
        split: files[split].rows
        if split in files and split != "train"
        else train.rows.where(assignment.of(split))
        for split in SPLITS
    }
    for split, rows in splits.items():
        # Only the quality on test is reported by group.
        if split != "test" and isinstance(rows, PairTable):
            splits[split] = replace(rows, groups=None)
        require_usable(rows, split=split, origin=assignment.origins[split])
    warn_of_shared_items({split: rows.items() for split, rows in splits.items()})
    classes = {
        split: np.unique(rows.item_class)
        for split, rows in splits.items()
        if isinstance(rows, LabelledRows)
    }
    if classes:
        warn_of_shared_classes(classes)
    return splits


def assign_rows(
    section: Data,
    *,
    origins: Mapping[Split, str],
    named: NDArray[np.int8] | None,
    num_rows: int,
    partition: Callable[[Mapping[Split, float]], Partition],
) -> RowAssignment:
    """Assigns the rows of the training file to the splits without a file.

    Args:
        section: The data section.
        origins: Key and name of each split's file.
        named: int8 (R,), the split column; None without one.
        num_rows: R.
        partition: Partitions the rows by fraction.

    Raises:
        DataError: A split has no rows.
    """
    if named is not None:
        column = section.columns.split or ""
        require_named(
            _sizes(named, SPLITS), column=column, name=", ".join(names_of(section.train))
        )
        return RowAssignment(named, dict.fromkeys(SPLITS, f"data.columns.split: {column!r}"))
    configured: dict[Split, float] = {
        "validation": section.split.validation_fraction,
        "test": section.split.test_fraction,
    }
    wanted = {split: share for split, share in configured.items() if split not in origins}
    if not wanted:
        return RowAssignment(np.zeros(num_rows, np.int8), origins)
    fractions: dict[Split, float] = {"train": 1.0 - sum(wanted.values()), **wanted}
    made, by = partition(fractions), section.split.by
    sizes = _sizes(made.membership, tuple(fractions))
    require_filled(sizes, partition=made, by=by)
    warn_of_small_splits(sizes, wanted, num_rows=num_rows)
    return RowAssignment(
        made.membership, {**origins, **dict.fromkeys(fractions, f"data.split.by: {by}")}
    )


def _sizes(membership: NDArray[np.int8], splits: tuple[Split, ...]) -> dict[Split, int]:
    return {split: int(np.count_nonzero(membership == SPLITS.index(split))) for split in splits}
