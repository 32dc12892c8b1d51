"""Loads pair files: the items that rows name, themselves or by an id, and the pairs."""

from collections.abc import Mapping
from contextlib import ExitStack

from job.config.data import Data, TextDataConfig
from job.data.formats.npz import open_npz
from job.data.places.files import DataFiles
from job.data.quarantine import NOTHING_QUARANTINED, Quarantine
from job.data.reading.catalogue import (
    NamedItems,
    StoredItems,
    catalogue_of_rows,
    catalogue_of_table,
    catalogue_of_texts,
)
from job.data.reading.given import Given, Role
from job.data.reading.items import Items, ReadItems
from job.data.reading.loaded import Loaded, features_of, form_of, judge
from job.data.reading.marks import Marks
from job.data.reading.pair_rows import PairRows, read_pairs
from job.data.reading.readers import reader_of
from job.data.reading.stored import stored_items
from job.data.splitting.cuts import Cut, cut_pairs
from job.data.splitting.division import divide
from job.data.splitting.splits import (
    require_both_classes,
    require_whole_groups,
    warn_of_shared_items,
)
from job.data.tables import Form, ItemTable, PairTable
from job.types import SPLITS, Split


def load_pairs(
    section: Data, *, given: Mapping[Role, Given], files: DataFiles, seed: int
) -> Loaded:
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
            marks = Marks(section.columns, with_any=split == "train")
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
        table = ItemTable(form, items.finished())
    pairs = _divided(section, given, rows=rows, seed=seed)
    return Loaded(table, pairs, None, kept_out)


def _items(
    section: Data,
    given: Mapping[Role, Given],
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
    items = stack.enter_context(ReadItems(reader, features=features))
    file = given.get("items")
    if file is None:
        return items, NOTHING_QUARANTINED
    if file.form == "table":
        catalogue = catalogue_of_table(file.table(), columns=section.columns, reader=reader)
    else:
        arrays = stack.enter_context(open_npz(file.path, where=file.where))
        if not isinstance(section, TextDataConfig):
            stored = stored_items(arrays, section, features=features)
            rows = catalogue_of_rows(arrays, stored, name=file.name, columns=section.columns)
            judge(rows.quarantine, file, allowed=section.max_bad_fraction)
            return StoredItems(rows, stored), rows.quarantine
        catalogue = catalogue_of_texts(
            arrays, name=file.name, columns=section.columns, reader=reader
        )
    judge(catalogue.quarantine, file, allowed=section.max_bad_fraction)
    return NamedItems(catalogue, items), catalogue.quarantine


def _divided(
    section: Data,
    given: Mapping[Role, Given],
    *,
    rows: Mapping[Split, PairRows],
    seed: int,
) -> dict[Split, PairTable]:
    """The pairs of every split; those without a file come out of the training file."""
    for split, found in rows.items():
        require_both_classes(found.pairs, split=split, origin=given[split].where)
    train = rows["train"]

    def cut(fractions: Mapping[Split, float]) -> Cut:
        return cut_pairs(
            train.pairs,
            by=section.split.by,
            fractions=fractions,
            seed=seed,
            groups=train.group,
        )

    division = divide(
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
