"""Everything `data inspect` measures of a data set."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.config.data import DataConfig
from job.data.dataset import Dataset, SplitCounts
from job.data.pipeline.collators import ImageCollator, collator_for
from job.data.quarantine import Quarantine
from job.inspection.duplicates import (
    Matrix,
    PairAnomalies,
    content_of,
    equal_items,
    num_contradictory_items,
    shared_items,
)
from job.inspection.item_measures import (
    Distribution,
    FeatureMeasures,
    PlainImages,
    TextMeasures,
    UnknownTokens,
    subsample,
)
from job.inspection.untrained import OneSided, baseline_roc_auc, max_sampled, one_sided
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.vocabulary import Vocabulary
from job.types import SPLITS, Json, Kind, Split


@dataclass(frozen=True)
class ClassCounts:
    """The classes of one split.

    Attributes:
        num_classes: Classes.
        least: Items of the smallest class.
        median: Items of the middle one.
        most: Items of the largest.
        num_single: Classes of one item, from which no match can be drawn.
        num_in_training: Classes that training has, too; for training: all of them.
    """

    num_classes: int
    least: int
    median: float
    most: int
    num_single: int
    num_in_training: int

    @classmethod
    def of(cls, classes: NDArray[np.int64], *, training: NDArray[np.int64]) -> "ClassCounts":
        """Counts the classes of a split.

        Args:
            classes: int64 (R,), the class of each item of the split.
            training: int64 (M,), the class of each training item.
        """
        found, sizes = np.unique(classes, return_counts=True)
        return cls(
            num_classes=len(found),
            least=int(sizes.min()),
            median=float(np.median(sizes)),
            most=int(sizes.max()),
            num_single=int(np.count_nonzero(sizes == 1)),
            num_in_training=int(np.isin(found, training).sum()),
        )


@dataclass(frozen=True)
class SplitInspection:
    """One split.

    Attributes:
        counts: Its size.
        odd: Repeated and contradictory pairs; None for pairs that training draws.
        steps: Time steps of sequences, each item once.
        texts: Characters of texts.
        classes: Classes of labelled items.
        tokens: Tokens of texts that are unknown from training.
        plain_images: Images of a single colour, in a sample.
    """

    counts: SplitCounts
    odd: PairAnomalies | None = None
    steps: Distribution | None = None
    texts: TextMeasures | None = None
    classes: ClassCounts | None = None
    tokens: UnknownTokens | None = None
    plain_images: PlainImages | None = None

    @property
    def lengths(self) -> Distribution | None:
        """Characters of texts, or time steps of sequences."""
        return self.steps if self.texts is None else self.texts.lengths

    def to_json(self) -> Mapping[str, Json]:
        return {
            "num_pairs": self.counts.pairs,
            "num_positive": self.counts.positive,
            "num_negative": self.counts.negative,
            "num_items": self.counts.items,
            **({} if self.odd is None else asdict(self.odd)),
            "lengths": _record(self.lengths),
            "texts": _record(self.texts),
            "classes": _record(self.classes),
            "unknown_tokens": self.tokens
            and {**asdict(self.tokens), "share": self.tokens.share},
            "plain_images": _record(self.plain_images),
        }


@dataclass(frozen=True)
class Inspection:
    """A whole data set.

    Attributes:
        kind: What an item is.
        num_items: Distinct items.
        fingerprint: sha256 of the content.
        has_drawn_pairs: Whether training pairs are drawn from labelled items.
        splits: Each split by itself.
        shared_items: Items that two splits have in common; for a split with itself: its items.
        equal_items: Contents that two splits hold under different item numbers; for a split
            with itself: its items that repeat the content of another one.
        num_contradictory_items: Contents of several classes; None for data without classes.
        one_sided: How well one side alone predicts the label.
        baselines: ROC-AUC of the untrained baselines on validation and test, by name.
        features: Features of sequences.
        quarantine: Rejected rows.
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
    baselines: Mapping[Split, Mapping[str, float]]
    features: FeatureMeasures | None
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
            "one_sided_split": self.one_sided.split,
            "left_only_roc_auc": self.one_sided.left,
            "right_only_roc_auc": self.one_sided.right,
            "features": _record(self.features),
            "quarantine": self.quarantine.to_json(),
            "baselines": _table(self.baselines),
        }


def inspect_dataset(dataset: Dataset, *, section: DataConfig) -> Inspection:
    """Measures a data set.

    Args:
        dataset: The data.
        section: The data section it was made from.
    """
    items, stats = dataset.items, dataset.statistics
    rows = {split: _items_of(dataset, split) for split in SPLITS if split in dataset.counts}
    content = content_of(items.values)
    contradictory = features = None
    if items.item_class is not None:
        contradictory = num_contradictory_items(items.item_class, content=content)
    if isinstance(stats, FeatureStats):
        features = FeatureMeasures.of(items.values, rows, stats=stats)
    return Inspection(
        kind=dataset.kind,
        num_items=len(items),
        fingerprint=dataset.fingerprint,
        has_drawn_pairs=dataset.training_items is not None,
        splits={
            split: _inspect_split(dataset, split, section=section, rows=rows, content=content)
            for split in rows
        },
        shared_items=shared_items(rows),
        equal_items=equal_items(rows, content=content),
        num_contradictory_items=contradictory,
        one_sided=one_sided(dataset, section=section),
        baselines=baseline_roc_auc(dataset, section=section),
        features=features,
        quarantine=dataset.quarantine,
    )


def _items_of(dataset: Dataset, split: Split) -> NDArray[np.int64]:
    """The items of a split, int64 (R,), each once."""
    if split == "train" and dataset.training_items is not None:
        return dataset.training_items
    pairs = dataset.pairs[split]
    # As `pairs.items()`, in linear time.
    holds = np.zeros(len(dataset.items), np.bool_)
    holds[pairs.left] = holds[pairs.right] = True
    return np.flatnonzero(holds)


def _inspect_split(
    dataset: Dataset,
    split: Split,
    *,
    section: DataConfig,
    rows: Mapping[Split, NDArray[np.int64]],
    content: NDArray[np.int64],
) -> SplitInspection:
    items, own, measures = dataset.items, rows[split], dict[str, Any]()
    collator = collator_for(dataset, section)
    if split in dataset.pairs:
        measures["odd"] = PairAnomalies.of(dataset.pairs[split], content=content)
    if items.item_class is not None:
        classes, training = items.item_class[own], items.item_class[rows["train"]]
        measures["classes"] = ClassCounts.of(classes, training=training)
    if isinstance(dataset.statistics, Vocabulary):
        measures["texts"] = TextMeasures.of(items.values, own)
        measures["tokens"] = UnknownTokens.of(items, own, vocabulary=dataset.statistics)
    elif isinstance(collator, ImageCollator):
        sample = subsample(own, max_sampled(items))
        measures["plain_images"] = PlainImages.of(collator, sample)
    else:
        measures["steps"] = Distribution.of(items.values.lengths_of(own))
    return SplitInspection(dataset.counts[split], **measures)


def _table(matrix: Mapping[Split, Mapping[Any, Json]]) -> Json:
    return {row: dict(columns) for row, columns in matrix.items()}


def _record(value: Any) -> Json:
    """A dataclass as JSON, None as null."""
    return None if value is None else asdict(value)
