"""From the data section to a dataset in memory: resolve, read, judge, number, cut, check."""

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from job.config.data import TextDataConfig
from job.data.access import DataAccess
from job.data.files import DataFiles
from job.data.pack_places import open_packed
from job.data.quarantine import NOTHING_QUARANTINED, Quarantine, require_tolerable
from job.data.ragged import RaggedArray
from job.data.sources import RawPairs, extension, read_pairs
from job.data.splits import cut_pairs, require_both_classes, require_filled
from job.data.tables import Dataset, ItemTable, PairTable, SplitCounts, fingerprint_of
from job.data.vocabulary import Vocabulary
from job.types import SPLITS, Split

log = logging.getLogger(__name__)

_ROWS_LOGGED = 3


def load_dataset(
    section: TextDataConfig, *, folder: Path, seed: int, access: DataAccess | None = None
) -> Dataset:
    """Reads every pair file, keeps bad rows out, and cuts the splits that have no file.

    Args:
        section: The data section.
        folder: Absolute folder of the configuration file.
        seed: `run.seed`; decides the cut.
        access: How data in a bucket are reached; None: with the defaults.

    Raises:
        ConfigError: A path leaves `data.root`, or its format is unknown.
        DataError: Data is missing, too bad, or leaves a split empty or with one class.
        PermissionDeniedError: A file may not be read.
    """
    if section.packed is not None:
        return open_packed(section, folder=folder, seed=seed, access=access)
    given: dict[Split, str | None] = {
        "train": section.train,
        "validation": section.validation,
        "test": section.test,
    }
    names = {split: name for split, name in given.items() if name is not None}
    files_below = DataFiles.below(
        section.root, folder=folder, mirror=section.mirror, access=access
    )
    raw = _read_all(section, names, data=files_below)
    values, files = _numbered(raw)
    for split, table in files.items():
        require_both_classes(table, split=split, origin=f"data.{split}: {names[split]!r}")
    _warn_of_shared_items(files)
    pairs = _with_cut_splits(files, raw["train"].group, section=section, seed=seed)
    quarantine = sum((file.quarantine for file in raw.values()), NOTHING_QUARANTINED)
    items = ItemTable("text", values)
    counts = {split: SplitCounts.of(pairs[split], items) for split in SPLITS}
    vocabulary = Vocabulary.from_texts(items.texts(pairs["train"].items()))
    fingerprint = fingerprint_of(items, pairs)
    return Dataset(items, pairs, None, vocabulary, counts, quarantine, fingerprint)


def _read_all(
    section: TextDataConfig, names: Mapping[Split, str], *, data: DataFiles
) -> dict[Split, RawPairs]:
    # Every path is checked before the first file is read: a typo in the last one shows at once.
    paths = {}
    for split, name in names.items():
        extension(name, key=f"data.{split}")
        paths[split] = data.file(name, key=f"data.{split}")
    raw = {}
    for split, path in paths.items():
        raw[split] = read_pairs(
            path,
            key=f"data.{split}",
            name=names[split],
            columns=section.columns,
            with_group=split == "train" and section.columns.group is not None,
            max_length=section.max_length,
        )
        _judge(raw[split].quarantine, split, names[split], allowed=section.max_bad_fraction)
    return raw


def _judge(quarantine: Quarantine, split: Split, name: str, *, allowed: float) -> None:
    require_tolerable(quarantine, key=f"data.{split}", file=name, allowed=allowed)
    if quarantine.num_bad:
        log.warning(
            "rows quarantined",
            extra={
                "split": split,
                "file": name,
                "rows": quarantine.rows_read,
                "bad_rows": quarantine.num_bad,
                "reasons": dict(quarantine.counts),
                "first": [str(row) for row in quarantine.samples[:_ROWS_LOGGED]],
            },
        )


def _numbered(raw: Mapping[Split, RawPairs]) -> tuple[RaggedArray, dict[Split, PairTable]]:
    """Gives each distinct text a row number, in order of first appearance."""
    numbers: dict[str, int] = {}
    tables: dict[Split, PairTable] = {}
    for split, file in raw.items():
        rows = [
            numbers.setdefault(text, len(numbers))
            for pair in zip(file.left, file.right, strict=True)
            for text in pair
        ]
        left, right = np.array(rows, np.int64).reshape(-1, 2).T.copy()
        tables[split] = PairTable(left, right, np.frombuffer(file.label, np.uint8))
    return RaggedArray.from_bytes([text.encode() for text in numbers]), tables


def _with_cut_splits(
    files: Mapping[Split, PairTable],
    group: Sequence[str],
    *,
    section: TextDataConfig,
    seed: int,
) -> dict[Split, PairTable]:
    """The pairs of every split; those without a file come out of the training file."""
    fractions: dict[Split, float] = {
        "validation": section.split.validation_fraction,
        "test": section.split.test_fraction,
    }
    fractions = {split: share for split, share in fractions.items() if split not in files}
    if not fractions:
        return {split: files[split] for split in SPLITS}
    cut = cut_pairs(
        files["train"],
        by=section.split.by,
        fractions={"train": 1.0 - sum(fractions.values()), **fractions},
        seed=seed,
        groups=_group_numbers(group) if section.split.by == "group" else None,
    )
    pairs = {
        split: files[split]
        if split in files and split != "train"
        else files["train"].where(cut.membership == SPLITS.index(split))
        for split in SPLITS
    }
    require_filled(pairs, cut=cut, by=section.split.by)
    _warn_of_small_splits(pairs, fractions, num_pairs=len(files["train"]))
    for split in ("train", *fractions):
        require_both_classes(
            pairs[split], split=split, origin=f"data.split.by: {section.split.by}"
        )
    return pairs


def _warn_of_shared_items(files: Mapping[Split, PairTable]) -> None:
    """A person's own files may share items; scores on them are then flattering."""
    items = {split: table.items() for split, table in files.items()}
    for one, other in combinations(items, 2):
        shared = len(np.intersect1d(items[one], items[other]))
        if shared:
            log.warning(
                "splits share items",
                extra={"split": other, "with": one, "shared": shared, "of": len(items[other])},
            )


def _warn_of_small_splits(
    pairs: Mapping[Split, PairTable], fractions: Mapping[Split, float], *, num_pairs: int
) -> None:
    for split, wanted in fractions.items():
        share = len(pairs[split]) / num_pairs
        if share < wanted / 2:
            log.warning(
                "split smaller than asked for",
                extra={"split": split, "wanted_share": wanted, "share": round(share, 4)},
            )


def _group_numbers(group: Sequence[str]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in group], np.int64)
