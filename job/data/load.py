"""From the data section to a dataset in memory."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, SequenceDataConfig, TextDataConfig
from job.data.dataset import (
    Dataset,
    ItemTable,
    LabelledRows,
    PairTable,
    Rows,
    SplitCounts,
    Statistics,
    fingerprint_of,
)
from job.data.items.read_rows import read_rows
from job.data.packed.open_packed import open_packed
from job.data.quarantine import Quarantine
from job.data.sampling.evaluation_pairs import draw_evaluation_pairs
from job.data.sources.configured import resolve_sources, where_of
from job.data.sources.files import DataFiles
from job.data.splits.assignment import assign_splits
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.vocabulary import build_vocabulary
from job.storage.parallel import ParallelDownloader
from job.types import SPLITS, Split


def load_dataset(
    section: Data, *, folder: Path, seed: int, access: ParallelDownloader | None = None
) -> Dataset:
    """Reads every file, rejects bad rows, and splits the training file where needed.

    If `data.packed` names a packed set, that is opened instead, with the same result.

    Args:
        section: The data section.
        folder: Absolute folder of the configuration file.
        seed: `run.seed`; determines the splits, and the evaluation pairs of labelled items.
        access: Reaches data in a bucket; None: with the defaults.

    Raises:
        ConfigError: A path leaves `data.root`, its format is unknown, or the packed set was
            made from other data.
        DataError: Data is missing, too bad, or leaves a split empty or with one class.
        PermissionDeniedError: A file may not be read.
        JobError: A bucket or its mirror fails; see `Mirror.fetch`.
    """
    if section.packed is not None:
        return open_packed(section, folder=folder, seed=seed, access=access)
    files = DataFiles.below(section.root, folder=folder, mirror=section.mirror, access=access)
    sources = resolve_sources(section, files=files)
    loaded = read_rows(section, sources=sources, files=files)
    origins = {split: where_of(sources[split]) for split in SPLITS if split in sources}
    splits = assign_splits(section, loaded.rows, origins=origins, seed=seed)
    pairs = evaluation_pairs(section, splits, items=loaded.items, seed=seed)
    return _dataset(section, loaded.items, splits, pairs=pairs, quarantine=loaded.quarantine)


def evaluation_pairs(
    section: Data, splits: Mapping[Split, Rows], *, items: ItemTable, seed: int
) -> dict[Split, PairTable]:
    """The pairs of each split: those of its rows, or drawn from its labelled items.

    Training pairs of labelled items are drawn anew in each epoch, so they are not among these.
    """
    pairs: dict[Split, PairTable] = {}
    for split, rows in splits.items():
        if isinstance(rows, PairTable):
            pairs[split] = rows
        elif split != "train":
            members = rows.items()
            pairs[split] = draw_evaluation_pairs(
                items.classes_of(np.arange(len(items))),
                rows=members,
                num_pairs=section.sampling_or_default.evaluation_pairs,
                seed=seed,
                split=split,
            )
    return pairs


def _dataset(
    section: Data,
    items: ItemTable,
    splits: Mapping[Split, Rows],
    *,
    pairs: Mapping[Split, PairTable],
    quarantine: Quarantine,
) -> Dataset:
    """Adds the statistics of the training items, the counts and the fingerprint."""
    train = splits["train"]
    training_items = train.items() if isinstance(train, LabelledRows) else None
    statistics = _statistics(section, items, rows=train.items())
    counts = {split: SplitCounts.of(table, items) for split, table in pairs.items()}
    if isinstance(train, LabelledRows):
        num_classes = len(train.class_sizes())
        held = SplitCounts(0, 0, items=len(train.items()), classes=num_classes)
        counts = {"train": held.drawn_by(section.sampling_or_default), **counts}
    return Dataset(
        items=items,
        pairs=pairs,
        training_items=training_items,
        statistics=statistics,
        counts=counts,
        quarantine=quarantine,
        fingerprint=fingerprint_of(items, pairs, training_items, statistics=statistics),
    )


def _statistics(section: Data, items: ItemTable, *, rows: NDArray[np.int64]) -> Statistics:
    if isinstance(section, TextDataConfig):
        return build_vocabulary(section.tokens, items=items.values, rows=rows)
    if isinstance(section, SequenceDataConfig):
        return FeatureStats.of(items.values, rows)
    return None
