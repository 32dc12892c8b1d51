"""Scores that nobody trained, on the pairs a model will be measured on."""

from collections.abc import Mapping

import numpy as np

from job.config.data import DataConfig
from job.data.dataset import Dataset, PairTable
from job.data.pipeline.collators import collator_for
from job.evaluation.baselines.score import baseline_scores
from job.evaluation.metrics import roc_auc
from job.inspection.chunking import some
from job.types import Split

# Enough to know a ROC-AUC to 0.01, and a matter of seconds.
MAX_PAIRS = 10_000


def untrained_roc_auc(
    dataset: Dataset, *, section: DataConfig
) -> Mapping[Split, Mapping[str, float]]:
    """ROC-AUC of every baseline, of validation and test.

    Args:
        dataset: The data. Of more than MAX_PAIRS pairs, at most half as many that match and
            that do not are looked at, the same ones every time; their share does not matter to
            ROC-AUC.
        section: The data section it was made from.
    """
    found: dict[Split, Mapping[str, float]] = {}
    for split in ("validation", "test"):
        pairs = dataset.pairs[split]
        if len(pairs) > MAX_PAIRS:
            pairs = _some_of_each_label(pairs)
        scores = baseline_scores(
            dataset.items,
            pairs=pairs,
            statistics=dataset.statistics,
            pixels=collator_for(dataset, section).batch,
        )
        found[split] = {name: roc_auc(pairs.label, score) for name, score in scores.items()}
    return found


def _some_of_each_label(pairs: PairTable) -> PairTable:
    rows = [np.flatnonzero(pairs.label == label) for label in (0, 1)]
    chosen = [of_label[some(len(of_label), MAX_PAIRS // 2)] for of_label in rows]
    return pairs.take(np.sort(np.concatenate(chosen)))
