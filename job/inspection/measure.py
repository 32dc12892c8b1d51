"""Everything `data inspect` measures of a data set."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.config.data import DataConfig
from job.config.sampling import PairSamplingConfig
from job.data.dataset import Dataset, PairTable, SplitCounts
from job.data.pipeline.collators import ImageCollator, collator_for
from job.data.quarantine import Quarantine
from job.data.sampling.pair_sampling import ClassIndex, PairSampler, drawn_pairs
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

_MAX_DRAWN = 50_000


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
        num_looked_at: Pairs that `odd` counts: all, or the first that training draws.
        odd: Repeated and contradictory ones among these pairs.
        steps: Time steps of sequences, each item once.
        texts: Characters of texts.
        classes: Classes of labelled items.
        tokens: Tokens of texts that are unknown from training.
        plain_images: Images of a single colour, in a sample.
    """

    counts: SplitCounts
    num_looked_at: int
    odd: PairAnomalies
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
            "num_looked_at": self.num_looked_at,
            **asdict(self.odd),
            "lengths": _record(self.lengths),
            "texts": _record(self.texts),
            "classes": _record(self.classes),
            "unknown_tokens": self.tokens and {**asdict(self.tokens), "share": self.tokens.share},
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
            "left_only_roc_auc": self.one_sided.left,
            "right_only_roc_auc": self.one_sided.right,
            "features": _record(self.features),
            "quarantine": self.quarantine.to_json(),
            "baselines": _table(self.baselines),
        }


def inspect_dataset(
    dataset: Dataset, *, section: DataConfig, seed: int, global_batch_size: int
) -> Inspection:
    """Measures a data set.

    Args:
        dataset: The data.
        section: The data section it was made from.
        seed: `run.seed`, which determines drawn pairs.
        global_batch_size: `training.global_batch_size`; likewise.

    Raises:
        ConfigError: Labelled items do not make a batch.
    """
    items, stats = dataset.items, dataset.statistics
    train = first_training_pairs(
        dataset, section=section, seed=seed, global_batch_size=global_batch_size
    )
    pairs: dict[Split, PairTable] = {**dataset.pairs, "train": train}
    rows = {split: _items_of(dataset, split) for split in SPLITS if split in pairs}
    content = content_of(items.values)
    return Inspection(
        kind=dataset.kind,
        num_items=len(items),
        fingerprint=dataset.fingerprint,
        has_drawn_pairs=dataset.training_items is not None,
        splits={
            split: SplitInspection(
                dataset.counts[split],
                len(pairs[split]),
                PairAnomalies.of(pairs[split], content=content),
                **_item_measures(dataset, rows[split], section=section, train=rows["train"]),
            )
            for split in rows
        },
        shared_items=shared_items(rows),
        equal_items=equal_items(rows, content=content),
        num_contradictory_items=None
        if items.item_class is None
        else num_contradictory_items(items.item_class, content=content),
        one_sided=one_sided(
            dataset, section=section, train=train, held_out=pairs["validation"]
        ),
        baselines=baseline_roc_auc(dataset, section=section),
        features=FeatureMeasures.of(items.values, rows, stats=stats)
        if isinstance(stats, FeatureStats)
        else None,
        quarantine=dataset.quarantine,
    )


def first_training_pairs(
    dataset: Dataset, *, section: DataConfig, seed: int, global_batch_size: int
) -> PairTable:
    """The training pairs: all that are given, or the first that the first epoch draws.

    Args:
        dataset: The data.
        section: The data section it was made from.
        seed: `run.seed`.
        global_batch_size: `training.global_batch_size`.

    Raises:
        ConfigError: Labelled items do not make a batch.
    """
    rows, item_class = dataset.training_items, dataset.items.item_class
    if rows is None or item_class is None:
        return dataset.pairs["train"]
    sampling = section.sampling_or_default
    if isinstance(sampling, PairSamplingConfig):
        # The batch size does not change what is drawn: one batch of all pairs is fastest.
        index = ClassIndex.of(item_class, rows=rows)
        sampler = PairSampler.configured(sampling, index=index, seed=seed, global_batch_size=1)
        count = min(sampler.num_positive + sampler.num_negative, _MAX_DRAWN)
        return replace(sampler, global_batch_size=count).epoch(0).batch(0).pairs
    training = drawn_pairs(
        sampling,
        items=dataset.items,
        rows=rows,
        seed=seed,
        global_batch_size=global_batch_size,
    )
    epoch = training.epoch(0)
    steps = min(training.num_steps, -(-_MAX_DRAWN // global_batch_size))
    batches = [epoch.batch(step).pairs for step in range(steps)]
    return PairTable(
        np.concatenate([batch.left for batch in batches]),
        np.concatenate([batch.right for batch in batches]),
        np.concatenate([batch.label for batch in batches]),
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


def _item_measures(
    dataset: Dataset,
    rows: NDArray[np.int64],
    *,
    section: DataConfig,
    train: NDArray[np.int64],
) -> dict[str, Any]:
    """The fields of a SplitInspection that its items have."""
    items, measures = dataset.items, dict[str, Any]()
    collator = collator_for(dataset, section)
    if items.item_class is not None:
        classes = items.item_class
        measures["classes"] = ClassCounts.of(classes[rows], training=classes[train])
    if isinstance(dataset.statistics, Vocabulary):
        measures["texts"] = TextMeasures.of(items.values, rows)
        measures["tokens"] = UnknownTokens.of(items, rows, vocabulary=dataset.statistics)
    elif isinstance(collator, ImageCollator):
        some = subsample(rows, max_sampled(items))
        measures["plain_images"] = PlainImages.of(collator, some)
    else:
        measures["steps"] = Distribution.of(items.values.lengths_of(rows))
    return measures


def _table(matrix: Mapping[Split, Mapping[Any, Json]]) -> Json:
    return {row: dict(columns) for row, columns in matrix.items()}


def _record(value: Any) -> Json:
    """A dataclass as JSON, None as null."""
    return None if value is None else asdict(value)
