"""From the data section to a dataset in memory: resolve, read, judge, number, cut, count."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, SequenceDataConfig, TextDataConfig
from job.data.dataset import Dataset, ItemTable, SplitCounts, Statistics, fingerprint_of
from job.data.items.read_rows import LoadedSplits, load_items, load_pairs
from job.data.packed.open_packed import open_packed
from job.data.sources.configured import resolve_sources
from job.data.sources.files import DataFiles
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.vocabulary import build_vocabulary
from job.storage.parallel import ParallelDownloader
from job.types import SPLITS, Split


def load_dataset(
    section: Data, *, folder: Path, seed: int, access: ParallelDownloader | None = None
) -> Dataset:
    """Reads every file, keeps bad rows out, and cuts the splits that have no file.

    Where `data.packed` names a packed set, that is opened instead, with the same result.

    Args:
        section: The data section.
        folder: Absolute folder of the configuration file.
        seed: `run.seed`; decides the cut, and which pairs labelled items are measured on.
        access: How data in a bucket are reached; None: with the defaults.

    Raises:
        ConfigError: A path leaves `data.root`, its format is unknown, or the packed set was
            made from other data.
        DataError: Data is missing, too bad, or leaves a split empty or with one class.
        PermissionDeniedError: A file may not be read.
        JobError: A bucket or its mirror fails, as `Mirror.fetch` says.
    """
    if section.packed is not None:
        return open_packed(section, folder=folder, seed=seed, access=access)
    files = DataFiles.below(section.root, folder=folder, mirror=section.mirror, access=access)
    given = resolve_sources(section, files=files)
    load = load_items if section.rows == "items" else load_pairs
    loaded = load(section, given=given, files=files, seed=seed)
    statistics = _statistics(section, loaded.items, rows=_training_rows(loaded))
    fingerprint = fingerprint_of(
        loaded.items, loaded.pairs, loaded.training_items, statistics=statistics
    )
    return Dataset(
        items=loaded.items,
        pairs=loaded.pairs,
        training_items=loaded.training_items,
        statistics=statistics,
        counts=_counts(section, loaded),
        quarantine=loaded.quarantine,
        fingerprint=fingerprint,
    )


def _training_rows(loaded: LoadedSplits) -> NDArray[np.int64]:
    """int64 (M,), the items that training sees, ascending."""
    if loaded.training_items is not None:
        return loaded.training_items
    return loaded.pairs["train"].items()


def _statistics(section: Data, items: ItemTable, *, rows: NDArray[np.int64]) -> Statistics:
    if isinstance(section, TextDataConfig):
        return build_vocabulary(section.tokens, items=items.values, rows=rows)
    if isinstance(section, SequenceDataConfig):
        return FeatureStats.of(items.values, rows)
    return None


def _counts(section: Data, loaded: LoadedSplits) -> dict[Split, SplitCounts]:
    counts = {
        split: SplitCounts.of(loaded.pairs[split], loaded.items)
        for split in SPLITS
        if split in loaded.pairs
    }
    if loaded.training_items is None:
        return counts
    rows = loaded.training_items
    classes = len(np.unique(loaded.items.classes_of(rows)))
    held = SplitCounts(0, 0, items=len(rows), classes=classes)
    return {"train": held.drawn_by(section.sampling_or_default), **counts}
