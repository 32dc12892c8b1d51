"""Everything `data inspect` measures of a data set."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from job.config.data import DataConfig
from job.data.dataset import Dataset, PairTable, SplitCounts
from job.data.pipeline.collators import ImageCollator, collator_for
from job.data.quarantine import Quarantine
from job.inspection.chunking import Distribution
from job.inspection.classes import ClassCounts, class_counts
from job.inspection.images import PictureInspection, inspect_pictures
from job.inspection.items import (
    Matrix,
    content_of,
    equal_items,
    num_contradictory_items,
    shared_items,
)
from job.inspection.pairs import PairAnomalies, first_training_pairs, odd_pairs
from job.inspection.probe import OneSided, one_sided
from job.inspection.probe_features import marks_of
from job.inspection.sequences import FeatureInspection, inspect_features
from job.inspection.texts import UnknownTokens, characters_of, unknown_tokens
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.vocabulary import Vocabulary
from job.types import SPLITS, Json, Kind, Split


@dataclass(frozen=True)
class SplitInspection:
    """One split.

    Attributes:
        counts: How much it holds.
        num_looked_at: Pairs that `odd` is about: all, or the first that training draws.
        odd: Of these pairs.
        lengths: Of the items, each once: characters of texts, steps of sequences.
        classes: Of labelled items.
        tokens: What the vocabulary lacks; of texts.
        pictures: Of pictures.
    """

    counts: SplitCounts
    num_looked_at: int
    odd: PairAnomalies
    lengths: Distribution | None
    classes: ClassCounts | None
    tokens: UnknownTokens | None
    pictures: PictureInspection | None

    def to_json(self) -> Mapping[str, Json]:
        tokens = (
            None if self.tokens is None else {**asdict(self.tokens), "share": self.tokens.share}
        )
        return {
            "num_pairs": self.counts.pairs,
            "num_positive": self.counts.positive,
            "num_negative": self.counts.negative,
            "num_items": self.counts.items,
            "num_looked_at": self.num_looked_at,
            **asdict(self.odd),
            "lengths": _record(self.lengths),
            "classes": _record(self.classes),
            "unknown_tokens": tokens,
            "pictures": _record(self.pictures),
        }


@dataclass(frozen=True)
class Inspection:
    """A whole data set.

    Attributes:
        kind: What an item is.
        num_items: Distinct items.
        fingerprint: sha256 of the content.
        has_drawn_pairs: Whether pairs are drawn from labelled items.
        splits: Each split by itself.
        shared_items: Items that two splits have in common; of a split with itself: its items.
        equal_items: Contents that two splits have under different item numbers; of a split with
            itself: its items that repeat the content of another one.
        num_contradictory_items: Contents that are said to be of several classes; None for data
            without classes.
        one_sided: How well one side alone tells the label.
        features: Of sequences.
        quarantine: Rows that were kept out.
    """

    kind: Kind
    num_items: int
    fingerprint: str
    has_drawn_pairs: bool
    splits: Mapping[Split, SplitInspection]
    shared_items: Matrix
    equal_items: Matrix
    num_contradictory_items: int | None
    one_sided: OneSided
    features: FeatureInspection | None
    quarantine: Quarantine

    def to_json(self) -> dict[str, Json]:
        return {
            "kind": self.kind,
            "num_items": self.num_items,
            "fingerprint": self.fingerprint,
            "training_pairs": "drawn" if self.has_drawn_pairs else "given",
            "splits": {split: it.to_json() for split, it in self.splits.items()},
            "shared_items": _table(self.shared_items),
            "equal_items": _table(self.equal_items),
            "num_contradictory_items": self.num_contradictory_items,
            "left_only_roc_auc": self.one_sided.left,
            "right_only_roc_auc": self.one_sided.right,
            "features": _record(self.features),
            "quarantine": self.quarantine.to_json(),
        }


def inspect_dataset(
    dataset: Dataset, *, section: DataConfig, seed: int, global_batch_size: int
) -> Inspection:
    """Measures a data set.

    Args:
        dataset: The data.
        section: The data section it was made from.
        seed: `run.seed`; where pairs are drawn, it decides which.
        global_batch_size: `training.global_batch_size`; likewise.

    Raises:
        ConfigError: Labelled items do not make a batch.
    """
    train = first_training_pairs(
        dataset, section=section, seed=seed, global_batch_size=global_batch_size
    )
    pairs: dict[Split, PairTable] = {**dataset.pairs, "train": train}
    rows = {split: _items_of(dataset, split) for split in SPLITS if split in pairs}
    content = content_of(dataset.items.values)
    classes = dataset.items.item_class
    contradictory = None
    if classes is not None:
        contradictory = num_contradictory_items(classes, content=content)
    features = None
    if isinstance(dataset.statistics, FeatureStats):
        features = inspect_features(dataset.items.values, rows, moments=dataset.statistics)
    marks = marks_of(dataset, section=section, train=rows["train"])
    return Inspection(
        kind=dataset.kind,
        num_items=len(dataset.items),
        fingerprint=dataset.fingerprint,
        has_drawn_pairs=dataset.training_items is not None,
        splits={
            split: _inspect_split(
                dataset, split, section=section, pairs=pairs[split], rows=rows, content=content
            )
            for split in rows
        },
        shared_items=shared_items(rows, num_items=len(dataset.items)),
        equal_items=equal_items(rows, content=content),
        num_contradictory_items=contradictory,
        one_sided=one_sided(marks, train=train, held_out=pairs["validation"]),
        features=features,
        quarantine=dataset.quarantine,
    )


def _items_of(dataset: Dataset, split: Split) -> NDArray[np.int64]:
    """The items of a split, int64 (R,), each once."""
    if split == "train" and dataset.training_items is not None:
        return dataset.training_items
    pairs = dataset.pairs[split]
    # As `pairs.items()`, but in the time it takes to look at each pair once.
    holds = np.zeros(len(dataset.items), np.bool_)
    holds[pairs.left] = holds[pairs.right] = True
    return np.flatnonzero(holds)


def _inspect_split(
    dataset: Dataset,
    split: Split,
    *,
    section: DataConfig,
    pairs: PairTable,
    rows: Mapping[Split, NDArray[np.int64]],
    content: NDArray[np.int64],
) -> SplitInspection:
    items, statistics, own = dataset.items, dataset.statistics, rows[split]
    lengths = classes = tokens = pictures = None
    if items.kind == "text":
        lengths = Distribution.of(characters_of(items.values, own))
    if items.kind == "sequence":
        lengths = Distribution.of(items.values.lengths_of(own))
    if items.item_class is not None:
        training_classes = items.item_class[rows["train"]]
        classes = class_counts(items.item_class[own], training_classes=training_classes)
    if isinstance(statistics, Vocabulary):
        tokens = unknown_tokens(items, own, vocabulary=statistics)
    feed = collator_for(dataset, section)
    if isinstance(feed, ImageCollator):
        pictures = inspect_pictures(feed, own)
    return SplitInspection(
        dataset.counts[split],
        len(pairs),
        odd_pairs(pairs, content=content),
        lengths,
        classes,
        tokens,
        pictures,
    )


def _table(matrix: Matrix) -> Json:
    return {
        one: {other: count for other, count in others.items()} for one, others in matrix.items()
    }


def _record(value: object) -> Json:
    """A dataclass as JSON, None as null."""
    return None if value is None else asdict(value)  # type: ignore[call-overload]
