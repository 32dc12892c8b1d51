"""Scores that nobody trained, on the pairs a model will be measured on."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from job.config.data import DataConfig
from job.data.inspection.parts import some
from job.data.tables import Dataset, PairTable
from job.evaluation.baselines import BASELINES
from job.evaluation.metrics import roc_auc
from job.types import Split

# Enough to know a ROC-AUC to 0.01, and a matter of seconds.
MAX_PAIRS = 10_000


def no_learning_roc_auc(
    dataset: Dataset, *, section: DataConfig
) -> Mapping[Split, Mapping[str, float]]:
    """ROC-AUC of every baseline, of validation and test.

    Args:
        dataset: The data; of more than MAX_PAIRS pairs, as many are looked at, the same ones
            every time.
        section: The data section it was made from.
    """
    found: dict[Split, Mapping[str, float]] = {}
    for split in ("validation", "test"):
        pairs = dataset.pairs[split]
        pairs = pairs.take(some(len(pairs), MAX_PAIRS))
        scores = _scores(dataset, pairs, section=section)
        found[split] = {name: roc_auc(pairs.label, score) for name, score in scores.items()}
    return found


def _scores(
    dataset: Dataset, pairs: PairTable, *, section: DataConfig
) -> Mapping[str, NDArray[np.float64]]:
    """Scores of pairs, float64 (P,), by the name of what gives them."""
    if dataset.kind != "text":
        return {}
    left, right = dataset.items.texts(pairs.left), dataset.items.texts(pairs.right)
    return {name: baseline(left, right) for name, baseline in BASELINES.items()}
