"""Loads pair files: the items that rows name, themselves or by an id, and the pairs."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import Form, ItemTable, PairTable
from job.data.items.array_items import array_items
from job.data.items.columns import GroupSplitColumns
from job.data.items.item_ids import (
    ArrayItemsById,
    ItemsById,
    index_of_rows,
    index_of_table,
    index_of_texts,
)
from job.data.items.item_rows import ItemRows, LabelledItems
from job.data.items.item_store import Items, ItemStore
from job.data.items.pair_rows import PairRows, read_pairs
from job.data.items.readers import reader_of
from job.data.quarantine import NOTHING_QUARANTINED, Quarantine, check_bad_fraction
from job.data.sampling.evaluation_pairs import draw_evaluation_pairs
from job.data.sources.configured import DataSource, Role
from job.data.sources.files import DataFiles
from job.data.sources.npz import open_npz
from job.data.sources.sequence_file import Features
from job.data.splits.checks import (
    assign_rows,
    require_both_classes,
    require_pairs,
    require_whole_groups,
    warn_of_shared_classes,
    warn_of_shared_items,
)
from job.data.splits.partition import Partition, partition_items, partition_pairs
from job.errors import ConfigError
from job.types import SPLITS, Split

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedSplits:
    """What the files hold; see `Dataset` for the fields it has too.

    Args:
        items: The items of all splits.
        pairs: The pairs of each split that has some.
        training_items: int64 (M,), items that training pairs are drawn from, or None.
        quarantine: Rows that were kept out, of all files.
    """

    items: ItemTable
    pairs: Mapping[Split, PairTable]
    training_items: NDArray[np.int64] | None
    quarantine: Quarantine


def form_of(section: Data, given: Mapping[Role, DataSource]) -> Form:
    """What the values of the items become.

    Pictures from an `.npz` are pixels already; then those from files become pixels too.

    Raises:
        ConfigError: `storage: encoded` is asked for, and an `.npz` holds no encoded pictures.
    """
    if not isinstance(section, ImageDataConfig):
        return "text" if section.kind == "text" else "sequence"
    arrays = [file.name for file in given.values() if file.form == "arrays"]
    if arrays and section.storage == "encoded":
        raise ConfigError(
            f"data.storage: encoded has no effect on {arrays[0]!r}, whose pictures are pixels "
            "already. Leave it out, or give the pictures as PNG or JPEG files."
        )
    return "decoded" if arrays else section.storage


def features_of(section: Data) -> Features:
    """How many features sequences have; of other kinds it is not asked."""
    return Features(section.num_features if isinstance(section, SequenceDataConfig) else None)


def judge(quarantine: Quarantine, file: DataSource, *, allowed: float) -> None:
    """Refuses a file with too many bad rows, and logs how many there are otherwise.

    Args:
        quarantine: What was kept out of it.
        file: Which one.
        allowed: `data.max_bad_fraction`.

    Raises:
        DataError: Too many.
    """
    check_bad_fraction(quarantine, key=file.key, file=file.name, allowed=allowed)
    if quarantine.num_bad:
        log.warning(
            "rows quarantined",
            extra={
                "split": file.key.removeprefix("data."),
                "file": file.name,
                "rows": quarantine.rows_read,
                "bad_rows": quarantine.num_bad,
                "reasons": dict(quarantine.counts),
                "first": quarantine.shown(),
            },
        )


def load_pairs(
    section: Data, *, given: Mapping[Role, DataSource], files: DataFiles, seed: int
) -> LoadedSplits:
    """Reads every pair file, and cuts the splits that have none.

    Args:
        section: The data section.
        given: The files that it names.
        files: The files below `data.root`, which rows may name.
        seed: `run.seed`; decides the cut.

    Raises:
        DataError: Data is missing, too bad, or leaves a split empty or with one class.
        PermissionDeniedError: A file may not be read.
    """
    form = form_of(section, given)
    rows: dict[Split, PairRows] = {}
    with ExitStack() as stack:
        items, kept_out = _items(section, given, files=files, form=form, stack=stack)
        for split in SPLITS:
            if split not in given:
                continue
            marks = GroupSplitColumns(section.columns, with_any=split == "train")
            rows[split] = read_pairs(
                given[split].table(),
                items=items,
                columns=section.columns,
                marks=marks,
                by_id="items" in given,
            )
            judge(rows[split].quarantine, given[split], allowed=section.max_bad_fraction)
            require_whole_groups(marks.straddling(), columns=section.columns)
            kept_out += rows[split].quarantine
        table = ItemTable(form, items.build())
    pairs = _divided(section, given, rows=rows, seed=seed)
    return LoadedSplits(table, pairs, None, kept_out)


def _items(
    section: Data,
    given: Mapping[Role, DataSource],
    *,
    files: DataFiles,
    form: Form,
    stack: ExitStack,
) -> tuple[Items, Quarantine]:
    """What cells mean, and what was kept out of the file that says so.

    Args:
        section: The data section.
        given: The files that it names.
        files: The files below `data.root`.
        form: What the values of items become.
        stack: Closes what has to stay open while rows are read.
    """
    features = features_of(section)
    reader = reader_of(section, files=files, form=form, features=features)
    items = stack.enter_context(ItemStore(reader, features=features))
    file = given.get("items")
    if file is None:
        return items, NOTHING_QUARANTINED
    if file.form == "table":
        index = index_of_table(file.table(), columns=section.columns, reader=reader)
    else:
        arrays = stack.enter_context(open_npz(file.path, where=file.where))
        if not isinstance(section, TextDataConfig):
            stored = array_items(arrays, section, features=features)
            rows = index_of_rows(arrays, stored, name=file.name, columns=section.columns)
            judge(rows.quarantine, file, allowed=section.max_bad_fraction)
            return ArrayItemsById(rows, stored), rows.quarantine
        index = index_of_texts(arrays, name=file.name, columns=section.columns, reader=reader)
    judge(index.quarantine, file, allowed=section.max_bad_fraction)
    return ItemsById(index, items), index.quarantine


def _divided(
    section: Data,
    given: Mapping[Role, DataSource],
    *,
    rows: Mapping[Split, PairRows],
    seed: int,
) -> dict[Split, PairTable]:
    """The pairs of every split; those without a file come out of the training file."""
    for split, found in rows.items():
        require_both_classes(found.pairs, split=split, origin=given[split].where)
    train = rows["train"]

    def cut(fractions: Mapping[Split, float]) -> Partition:
        return partition_pairs(
            train.pairs,
            by=section.split.by,
            fractions=fractions,
            seed=seed,
            groups=train.group,
        )

    division = assign_rows(
        section, given=given, marks=train.split, num_rows=len(train.pairs), cut=cut
    )
    pairs = {
        split: rows[split].pairs
        if split in rows and split != "train"
        else train.pairs.where(division.of(split))
        for split in SPLITS
    }
    for split in SPLITS:
        require_both_classes(pairs[split], split=split, origin=division.origins[split])
    warn_of_shared_items({split: table.items() for split, table in pairs.items()})
    return pairs


def load_items(
    section: Data, *, given: Mapping[Role, DataSource], files: DataFiles, seed: int
) -> LoadedSplits:
    """Reads every file of labelled items, and cuts the splits that have none.

    Args:
        section: The data section.
        given: The files that it names.
        files: The files below `data.root`, which rows may name.
        seed: `run.seed`; decides the cut, and the pairs of validation and test.

    Raises:
        DataError: Data is missing, too bad, or leaves a split without pairs to draw.
        PermissionDeniedError: A file may not be read.
    """
    form = form_of(section, given)
    features = features_of(section)
    reader = reader_of(section, files=files, form=form, features=features)
    rows: dict[Split, ItemRows] = {}
    kept_out = NOTHING_QUARANTINED
    with ItemStore(reader, features=features) as items:
        labelled = LabelledItems(items, columns=section.columns)
        for split in SPLITS:
            if split not in given:
                continue
            file, marks = (
                given[split],
                GroupSplitColumns(section.columns, with_any=split == "train"),
            )
            rows[split] = _read(
                section, file, labelled=labelled, marks=marks, features=features
            )
            judge(rows[split].quarantine, file, allowed=section.max_bad_fraction)
            require_whole_groups(marks.straddling(), columns=section.columns)
            kept_out += rows[split].quarantine
        item_class = labelled.item_class()
        table = ItemTable(form, items.build(), item_class)
    members = _divided_items(section, given, rows=rows, item_class=item_class, seed=seed)
    pairs: dict[Split, PairTable] = {
        split: draw_evaluation_pairs(
            item_class,
            rows=members[split],
            num_pairs=section.sampling_or_default.evaluation_pairs,
            seed=seed,
            split=split,
        )
        for split in SPLITS
        if split != "train"
    }
    return LoadedSplits(table, pairs, members["train"], kept_out)


def _read(
    section: Data,
    file: DataSource,
    *,
    labelled: LabelledItems,
    marks: GroupSplitColumns,
    features: Features,
) -> ItemRows:
    """The rows of one file, whatever its form."""
    if file.form == "table":
        return labelled.of_table(file.table(), marks=marks)
    if file.form == "folder":
        return labelled.of_folder(file, marks=marks)
    with open_npz(file.path, where=file.where) as arrays:
        if isinstance(section, TextDataConfig):
            return labelled.of_texts(arrays, name=file.name, marks=marks)
        stored = array_items(arrays, section, features=features)
        return labelled.of_rows(arrays, stored, name=file.name, marks=marks)


def _divided_items(
    section: Data,
    given: Mapping[Role, DataSource],
    *,
    rows: Mapping[Split, ItemRows],
    item_class: NDArray[np.int64],
    seed: int,
) -> dict[Split, NDArray[np.int64]]:
    """The distinct items of every split, ascending, int64 (M,)."""
    train = rows["train"]

    def cut(fractions: Mapping[Split, float]) -> Partition:
        return partition_items(
            item_class[train.item],
            by=section.split.by,
            fractions=fractions,
            seed=seed,
            groups=train.group,
        )

    division = assign_rows(
        section, given=given, marks=train.split, num_rows=len(train.item), cut=cut
    )
    members = {
        split: np.unique(
            rows[split].item
            if split in rows and split != "train"
            else train.item[division.of(split)]
        )
        for split in SPLITS
    }
    classes = {split: item_class[items] for split, items in members.items()}
    for split in SPLITS:
        require_pairs(classes[split], split=split, origin=division.origins[split])
    warn_of_shared_items(members)
    warn_of_shared_classes({split: np.unique(found) for split, found in classes.items()})
    return members
