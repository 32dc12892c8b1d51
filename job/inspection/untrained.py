"""ROC-AUC without a trained model: from both items of a pair, and from one item alone.

One item alone should not predict the label: otherwise a model learns the item, not the
similarity. A naive Bayes classifier learns from the items on one side of some pairs and is
measured on others; data without a shortcut give 0.5.

Source: Poliak et al., "Hypothesis Only Baselines in Natural Language Inference", *SEM 2018.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.config.data import DataConfig
from job.data.dataset import Dataset, Form, ItemTable, PairTable
from job.data.pipeline.collators import collator_for
from job.evaluation.baselines import (
    Vectors,
    baseline_scores,
    ngram_vectors,
    pixel_vectors,
    resample,
    sequence_vectors,
)
from job.evaluation.metrics import roc_auc
from job.inspection.item_measures import subsample
from job.preprocessing.feature_stats import FeatureStats
from job.types import Split

# Enough for a ROC-AUC to +- 0.01.
MAX_PAIRS = 4_000
_MIN_PAIRS = 1_000
# Values of items, or bytes of texts and files, that take a few seconds.
_MAX_VALUES: Mapping[Form, int] = {
    "text": 1 << 22,
    "sequence": 1 << 26,
    "decoded": 1 << 28,
    "encoded": 1 << 25,
}

# The classifier sees coarse numbers: which sixteenth of the items, which quarter of the time.
_NUM_BINS = 16
_NUM_STEPS = 4
# Further features of sequences are ignored, to bound memory and time.
_MAX_FEATURES = 64


@dataclass(frozen=True)
class OneSided:
    """How well one side alone predicts the label; None where a split has a single label.

    Attributes:
        split: The split it is measured on.
        left: ROC-AUC of the left item alone.
        right: ROC-AUC of the right item alone.
        deviation: Standard deviation of either if the sides say nothing.
    """

    split: Split
    left: float | None = None
    right: float | None = None
    deviation: float | None = None


def baseline_roc_auc(
    dataset: Dataset, *, section: DataConfig
) -> Mapping[Split, Mapping[str, float]]:
    """ROC-AUC of every baseline on a sample of validation and of test.

    Args:
        dataset: The data.
        section: The data section it was made from.
    """
    found: dict[Split, Mapping[str, float]] = {}
    for split in ("validation", "test"):
        pairs = _sample(dataset.pairs[split], limit=max_sampled(dataset.items))
        scores = baseline_scores(
            dataset.items,
            pairs=pairs,
            statistics=dataset.statistics,
            pixels=collator_for(dataset, section).batch,
        )
        found[split] = {name: roc_auc(pairs.label, score) for name, score in scores.items()}
    return found


def one_sided(dataset: Dataset, *, section: DataConfig) -> OneSided:
    """Predicts the label from the left, and from the right item alone.

    The classifier learns from training pairs and is measured on validation. Where training
    pairs are drawn, it learns from validation and is measured on test.

    Args:
        dataset: The data.
        section: The data section it was made from.
    """
    splits: tuple[Split, Split] = ("train", "validation")
    if "train" not in dataset.pairs:
        splits = ("validation", "test")
    limit = max_sampled(dataset.items)
    train, held_out = (_sample(dataset.pairs[split], limit=limit) for split in splits)
    if not all(pairs.num_positive and pairs.num_negative for pairs in (train, held_out)):
        return OneSided(splits[1])
    learned, judged = train.items(), held_out.items()
    learned_vectors = _vectors(dataset, learned, section=section)
    judged_vectors = _vectors(dataset, judged, section=section)
    sides = []
    for learn_from, judge_on in ((train.left, held_out.left), (train.right, held_out.right)):
        classifier = _classifier(dataset.kind)
        with warnings.catch_warnings():
            # A constant feature is one bin, which the binning warns about.
            warnings.simplefilter("ignore", UserWarning)
            classifier.fit(learned_vectors[np.searchsorted(learned, learn_from)], train.label)
        seen = judged_vectors[np.searchsorted(judged, judge_on)]
        log_share = classifier.predict_log_proba(seen)
        sides.append(roc_auc(held_out.label, log_share[:, 1] - log_share[:, 0]))
    return OneSided(splits[1], sides[0], sides[1], null_deviation(held_out))


def null_deviation(pairs: PairTable) -> float:
    """Standard deviation of the ROC-AUC of scores that are independent of the label.

    Source: Mann and Whitney 1947, the variance of U, over (positives * negatives)**2.
    """
    product = pairs.num_positive * pairs.num_negative
    return float(np.sqrt((len(pairs) + 1) / (12.0 * product)))


def max_sampled(items: ItemTable) -> int:
    """How many items or pairs can be read in a few seconds."""
    mean_size = items.values.values.size // max(len(items), 1)
    limit = _MAX_VALUES[items.form] // max(mean_size, 1)
    return min(max(limit, _MIN_PAIRS), MAX_PAIRS)


def _sample(pairs: PairTable, *, limit: int) -> PairTable:
    """At most `limit` pairs, half of each label: rare matches are all measured.

    The share of matches does not change a ROC-AUC.
    """
    if len(pairs) <= limit:
        return pairs
    of_labels = [
        subsample(np.flatnonzero(pairs.label == label), limit // 2) for label in (0, 1)
    ]
    return pairs.take(np.sort(np.concatenate(of_labels)))


def _vectors(dataset: Dataset, rows: NDArray[np.int64], *, section: DataConfig) -> Vectors:
    """What the classifier sees of some items, one row each."""
    items, stats = dataset.items, dataset.statistics
    if items.kind == "text":
        return ngram_vectors(items.texts(rows))
    if isinstance(stats, FeatureStats):
        return sequence_vectors(items.values, rows, stats=stats, to_vector=_summary)
    return pixel_vectors(collator_for(dataset, section).batch, rows)


def _summary(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Course and spread of the first features of a sequence, and its length."""
    steps = steps[:, :_MAX_FEATURES]
    course = resample(steps, num_steps=_NUM_STEPS).ravel()
    return np.concatenate([course, steps.mean(axis=0), steps.std(axis=0), [len(steps)]])


def _classifier(kind: str) -> Any:
    """Naive Bayes of n-grams, or of numbers by the bin they fall into."""
    from sklearn.naive_bayes import CategoricalNB, MultinomialNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer

    if kind == "text":
        return MultinomialNB()
    binning = KBinsDiscretizer(
        _NUM_BINS, encode="ordinal", quantile_method="averaged_inverted_cdf", subsample=None
    )
    return make_pipeline(binning, CategoricalNB(min_categories=_NUM_BINS))
