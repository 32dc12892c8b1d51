"""Asks whether the label can be guessed from one side of the pair alone.

It should not be: a model then learns the side, not the similarity. A naive Bayes classifier
over hashed character n-grams learns one side of the training pairs and is judged on pairs it
has not seen; about 0.5 is what honest data give.

Source: the idea of a one-sided ("hypothesis-only") baseline is Poliak et al., "Hypothesis Only
Baselines in Natural Language Inference", *SEM 2018.
"""

import numpy as np
from numpy.typing import NDArray

from job.data.ragged import RaggedArray
from job.data.tables import PairTable

_NUM_BUCKETS = 1 << 18
_BOUNDARY = 0  # the padding id, which no item contains
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio (Knuth, TAOCP 3, 6.4)


def one_sided_auc(
    tokens: RaggedArray, *, train: PairTable, held_out: PairTable
) -> tuple[float, float]:
    """ROC-AUC of guessing held-out labels from the left, and from the right item alone.

    Args:
        tokens: int32, token ids of every item, none of them 0.
        train: Pairs to learn from, both classes present.
        held_out: Pairs to judge on, both classes present.

    Returns:
        (left, right), each in [0, 1].
    """
    bucket, owner = grams(tokens)
    left, right = (
        roc_auc(
            _item_scores(bucket, owner, len(tokens), item=learn, label=train.label)[judge],
            held_out.label,
        )
        for learn, judge in ((train.left, held_out.left), (train.right, held_out.right))
    )
    return left, right


def roc_auc(score: NDArray[np.float64], label: NDArray[np.uint8]) -> float:
    """Chance that a match scores higher than a non-match, equal scores counting half.

    Args:
        score: float64 (P,).
        label: uint8 (P,), both classes present.
    """
    _, rank_of, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2.0
    positive = label == 1
    num_positive = int(positive.sum())
    num_negative = len(label) - num_positive
    above = rank[rank_of][positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def grams(tokens: RaggedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bucket and item of every 2-gram and 3-gram, the items' ends included."""
    # One boundary before every item and one at the end; each belongs to the item it precedes.
    flat = np.insert(tokens.values, tokens.offsets, _BOUNDARY).astype(np.uint64)
    owner = np.repeat(np.arange(len(tokens) + 1), np.append(tokens.lengths + 1, 1))
    # Plus one: a boundary that counts as 0 would make (boundary, a, b) the same as (a, b).
    code = flat + np.uint64(1)
    pairs = code[:-1] * _MULTIPLIER + code[1:]
    triples = pairs[:-1] * _MULTIPLIER + code[2:]
    inside = flat[1:-1] != _BOUNDARY
    hashed = np.concatenate([pairs, triples[inside]]) * _MULTIPLIER
    bucket = (hashed >> np.uint64(64 - 18)).astype(np.int64)
    return bucket, np.concatenate([owner[:-1], owner[:-2][inside]])


def _item_scores(
    bucket: NDArray[np.int64],
    owner: NDArray[np.int64],
    num_items: int,
    *,
    item: NDArray[np.int64],
    label: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Mean log-odds of a match over the n-grams of every item, float64 (N,)."""
    log_share = []
    for wanted in (0, 1):
        times = np.bincount(item[label == wanted], minlength=num_items).astype(np.float64)
        count = np.bincount(bucket, times[owner], _NUM_BUCKETS) + 1.0  # Laplace
        log_share.append(np.log(count / count.sum()))
    odds = (log_share[1] - log_share[0])[bucket]
    total = np.bincount(owner, odds, num_items)
    return total / np.maximum(np.bincount(owner, minlength=num_items), 1)
