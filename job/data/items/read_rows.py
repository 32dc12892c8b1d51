"""Reads every file of a data section: the items that its rows name, and the rows of each split.

The rows of a file are pairs, or items with a class; `sources` tells which files there are::

    loaded = read_rows(section, sources=sources, files=files)
    loaded.rows["train"].rows
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from job.config.data import Data, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import FileRows, Form, Groups, ItemTable, PairTable, concatenated
from job.data.items.array_items import array_items
from job.data.items.columns import GroupSplitColumns
from job.data.items.item_ids import (
    ArrayItemsById,
    ItemsById,
    index_of_rows,
    index_of_table,
    index_of_texts,
)
from job.data.items.item_rows import LabelledItems
from job.data.items.item_store import Items, ItemStore
from job.data.items.pair_rows import read_pairs
from job.data.items.readers import Reader, reader_of
from job.data.quarantine import NOTHING_QUARANTINED, Quarantine, check_bad_fraction
from job.data.sources.configured import DataSource, Role
from job.data.sources.files import DataFiles
from job.data.sources.npz import open_npz
from job.data.sources.sequence_file import Features
from job.errors import ConfigError
from job.types import SPLITS, Split

log = logging.getLogger(__name__)

# Reads the rows of one file.
_ReadFile = Callable[[DataSource, GroupSplitColumns], FileRows]


@dataclass(frozen=True, eq=False)
class LoadedRows:
    """The content of all files.

    Args:
        items: The items that valid rows name.
        rows: The valid rows of each split that has a file.
        quarantine: The rejected rows of all files.
    """

    items: ItemTable
    rows: Mapping[Split, FileRows]
    quarantine: Quarantine


def read_rows(
    section: Data, *, sources: Mapping[Role, Sequence[DataSource]], files: DataFiles
) -> LoadedRows:
    """Reads the files of a section in the order items, train, validation, test.

    Args:
        section: The data section.
        sources: Its files; those of a split one after the other.
        files: The files below `data.root`, which rows may name.

    Raises:
        ConfigError: `data.storage` does not apply to a file.
        DataError: A file is damaged, or too many of its rows are bad.
        PermissionDeniedError: A file may not be read.
    """
    form = form_of(section, sources)
    num_features = section.num_features if isinstance(section, SequenceDataConfig) else None
    features = Features(num_features)
    reader = reader_of(section, files=files, form=form, features=features)
    with ItemStore(reader, features=features) as store:
        if section.rows == "items":
            labelled = LabelledItems(store, section=section, features=features)
            rows, rejected = _read_files(section, sources, labelled.read)
            table = ItemTable(
                form, store.build(), labelled.item_class(), labelled.class_names()
            )
            return LoadedRows(table, rows, rejected)
        [item_source] = sources.get("items", [None])
        items, rejected_items = items_of(
            section, item_source, store=store, reader=reader, features=features
        )
        read_file = partial(
            read_pairs, items=items, columns=section.columns, by_id="items" in sources
        )
        rows, rejected = _read_files(section, sources, read_file)
        return LoadedRows(ItemTable(form, items.build()), rows, rejected_items + rejected)


def form_of(section: Data, sources: Mapping[Role, Sequence[DataSource]]) -> Form:
    """The form of the values of the items.

    Images in an `.npz` are pixels already, and so those of its section in files become pixels.

    Raises:
        ConfigError: `storage: encoded`, and an `.npz` holds images.
    """
    if not isinstance(section, ImageDataConfig):
        return "text" if section.kind == "text" else "sequence"
    every = [source for files in sources.values() for source in files]
    arrays = [source.name for source in every if source.form == "arrays"]
    if arrays and section.storage == "encoded":
        raise ConfigError(
            f"data.storage: encoded has no effect on {arrays[0]!r}, which holds pixels. Remove "
            "data.storage, or give the images as PNG or JPEG files."
        )
    return "decoded" if arrays else section.storage


def _read_files(
    section: Data, sources: Mapping[Role, Sequence[DataSource]], read_file: _ReadFile
) -> tuple[dict[Split, FileRows], Quarantine]:
    rows: dict[Split, FileRows] = {}
    rejected = NOTHING_QUARANTINED
    for split in SPLITS:
        if split in sources:
            # The files of a split share one, so a group may have rows in several of them.
            marks = _marks_of(split, section=section, sources=sources)
            read, bad = [], NOTHING_QUARANTINED
            for source in sources[split]:
                read.append(read_file(source, marks))
                bad += _accepted(read[-1].quarantine, source, section=section)
            # Each has the groups and the splits of the rows so far, so the last one has all.
            joined = concatenated([file.rows for file in read])
            group = read[-1].group
            if isinstance(joined, PairTable) and group is not None:
                joined = replace(joined, groups=Groups(group, marks.group_names()))
            rows[split] = replace(read[-1], rows=joined, quarantine=bad)
            rejected += bad
            _warn_of_lost_groups(sources[split], marks)
    return rows, rejected


def _marks_of(
    split: Split, *, section: Data, sources: Mapping[Role, Sequence[DataSource]]
) -> GroupSplitColumns:
    """What is read of the columns `group` and `split` in the files of a split."""
    columns = section.columns
    named = {"split": columns.split} if columns.split and split == "train" else {}
    if columns.group is None:
        return GroupSplitColumns(named)
    group = {"group": columns.group}
    if split == "train" and (
        section.keeps_groups_whole or not _any_has_column(columns.group, sources)
    ):
        return GroupSplitColumns({**group, **named})
    # The report alone needs no group of a row, and none at all outside test.
    is_reported = section.rows == "pairs" and split == ("test" if section.test else "train")
    return GroupSplitColumns(optional=group if is_reported else {})


def _any_has_column(name: str, sources: Mapping[Role, Sequence[DataSource]]) -> bool:
    """Whether a file of pairs has a column; if none has, its name is wrong."""
    every = [source for split in SPLITS for source in sources.get(split, ())]
    return any(source.table().has_column(name) for source in every)


def _warn_of_lost_groups(sources: Sequence[DataSource], marks: GroupSplitColumns) -> None:
    """Warns of files without the optional column, and of its cells that are not valid."""
    for column in marks.optional.values():
        for table in (source.table() for source in sources):
            if not table.has_column(column):
                header = table.header()
                there = {} if header is None else {"columns": header}
                log.warning(
                    "file without groups",
                    extra={"file": table.name, "column": column, **there},
                )
        if marks.malformed:
            log.warning(
                "groups malformed",
                extra={
                    "file": ", ".join(source.name for source in sources),
                    "column": column,
                    "cells": marks.malformed.total(),
                    "reasons": dict(marks.malformed),
                },
            )


def _accepted(quarantine: Quarantine, source: DataSource, *, section: Data) -> Quarantine:
    check_bad_fraction(
        quarantine, key=source.key, file=source.name, allowed=section.max_bad_fraction
    )
    return quarantine


def items_of(
    section: Data,
    source: DataSource | None,
    *,
    store: ItemStore,
    reader: Reader,
    features: Features,
) -> tuple[Items, Quarantine]:
    """What the cells of pairs name, and the rejected rows of the file of items.

    Args:
        section: The data section.
        source: The file that holds the items by ID; None: cells hold the items themselves.
        store: Numbers the items.
        reader: Reads them.
        features: The number of features of sequences.

    Raises:
        DataError: The file is damaged, or too many of its rows are bad.
    """
    columns = section.columns
    if source is None:
        return store, NOTHING_QUARANTINED
    if source.form == "table":
        index = index_of_table(source.table(), columns=columns, reader=reader)
        return ItemsById(index, store), _accepted(index.quarantine, source, section=section)
    with open_npz(source.path, where=source.where) as arrays:
        if isinstance(section, TextDataConfig):
            index = index_of_texts(arrays, name=source.name, columns=columns, reader=reader)
            return ItemsById(index, store), _accepted(index.quarantine, source, section=section)
        stored = array_items(arrays, section, features=features)
        rows = index_of_rows(arrays, stored, name=source.name, columns=columns)
        return ArrayItemsById(rows, stored), _accepted(rows.quarantine, source, section=section)
