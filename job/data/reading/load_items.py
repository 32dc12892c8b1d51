"""Loads labelled items: which there are, their classes, and the pairs they are measured on."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, TextDataConfig
from job.data.drawing.evaluation_pairs import draw_evaluation_pairs
from job.data.formats.npz import open_npz
from job.data.formats.sequences import Features
from job.data.places.files import DataFiles
from job.data.quarantine import NOTHING_QUARANTINED
from job.data.reading.given import Given, Role
from job.data.reading.item_rows import ItemRows, LabelledItems
from job.data.reading.items import ReadItems
from job.data.reading.loaded import Loaded, features_of, form_of, judge
from job.data.reading.marks import Marks
from job.data.reading.readers import reader_of
from job.data.reading.stored import stored_items
from job.data.splitting.cuts import Cut, cut_items
from job.data.splitting.division import divide
from job.data.splitting.splits import (
    require_pairs,
    require_whole_groups,
    warn_of_shared_classes,
    warn_of_shared_items,
)
from job.data.tables import ItemTable, PairTable
from job.types import SPLITS, Split


def load_items(
    section: Data, *, given: Mapping[Role, Given], files: DataFiles, seed: int
) -> Loaded:
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
    with ReadItems(reader, features=features) as items:
        labelled = LabelledItems(items, columns=section.columns)
        for split in SPLITS:
            if split not in given:
                continue
            file, marks = given[split], Marks(section.columns, with_any=split == "train")
            rows[split] = _read(
                section, file, labelled=labelled, marks=marks, features=features
            )
            judge(rows[split].quarantine, file, allowed=section.max_bad_fraction)
            require_whole_groups(marks.straddling(), columns=section.columns)
            kept_out += rows[split].quarantine
        item_class = labelled.item_class()
        table = ItemTable(form, items.finished(), item_class)
    members = _divided(section, given, rows=rows, item_class=item_class, seed=seed)
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
    return Loaded(table, pairs, members["train"], kept_out)


def _read(
    section: Data, file: Given, *, labelled: LabelledItems, marks: Marks, features: Features
) -> ItemRows:
    """The rows of one file, whatever its form."""
    if file.form == "table":
        return labelled.of_table(file.table(), marks=marks)
    if file.form == "folder":
        return labelled.of_folder(file, marks=marks)
    with open_npz(file.path, where=file.where) as arrays:
        if isinstance(section, TextDataConfig):
            return labelled.of_texts(arrays, name=file.name, marks=marks)
        stored = stored_items(arrays, section, features=features)
        return labelled.of_rows(arrays, stored, name=file.name, marks=marks)


def _divided(
    section: Data,
    given: Mapping[Role, Given],
    *,
    rows: Mapping[Split, ItemRows],
    item_class: NDArray[np.int64],
    seed: int,
) -> dict[Split, NDArray[np.int64]]:
    """The distinct items of every split, ascending, int64 (M,)."""
    train = rows["train"]

    def cut(fractions: Mapping[Split, float]) -> Cut:
        return cut_items(
            item_class[train.item],
            by=section.split.by,
            fractions=fractions,
            seed=seed,
            groups=train.group,
        )

    division = divide(
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
