"""Measures the model on a split. P pairs, M items.

Every item of the split is encoded once, every pair scored exactly once.
"""

import math

import numpy as np

from job.data.feeding.batches import item_batches
from job.data.feeding.feeds import Feed
from job.data.tables import ItemTable, PairTable
from job.evaluation.metrics import average_precision, confusion, equal_error_rate, roc_auc
from job.models.scoring import PairScorer, PairScores
from job.types import ItemInput

# Of the items of a batch; what an encoder makes of them is some ten times as large.
_BYTES_AT_ONCE = 32 << 20
_NO_LIMIT = 1 << 30
QUALITY = ("accuracy", "f1", "mcc", "roc_auc", "average_precision", "eer")


def score_split(
    scorer: PairScorer,
    *,
    feed: Feed,
    pairs: PairTable,
    batch_size: int,
    items: ItemTable,
) -> PairScores:
    """Scores the pairs of a split.

    Args:
        scorer: The model.
        feed: Gives the items of the data set.
        pairs: The split's pairs.
        batch_size: Items encoded at a time, fewer of large pictures, and consecutive pairs
            that a loss may compare with each other.
        items: The items of the data set; their classes are read.
    """
    rows = pairs.items()
    at_once = min(batch_size, _most_at_once(feed.input))
    batches = item_batches(feed, batch_size=at_once, rows=rows)
    embedding_MD = scorer.embed(
        ((np.searchsorted(rows, numbers), values) for numbers, values in batches),
        num_items=len(rows),
    )
    return scorer.score(
        embedding_MD,
        left=np.searchsorted(rows, pairs.left),
        right=np.searchsorted(rows, pairs.right),
        label=pairs.label,
        item=rows,
        item_class=items.classes_of(rows),
        loss_block_size=batch_size,
    )


def _most_at_once(item: ItemInput) -> int:
    """Items to encode at a time so that large pictures do not fill the memory."""
    shape = [size for size in item.shape if size is not None]
    if len(shape) < len(item.shape):
        return _NO_LIMIT
    return max(1, _BYTES_AT_ONCE // (4 * math.prod(shape)))


def measure(scores: PairScores, *, threshold: float) -> dict[str, float]:
    """The measurements of a split, by name.

    Args:
        scores: From `score_split`; both classes are present.
        threshold: A pair counts as a match when its score is at least this.

    Returns:
        `loss` (mean over pairs) and the quality measurements, each in [0, 1] but `mcc` in
        [-1, 1]. All are NaN when a score is: a model that diverged has no quality.
    """
    loss = float(np.mean(scores.loss, dtype=np.float64))
    if not np.isfinite(scores.score).all():
        return {"loss": loss, **dict.fromkeys(QUALITY, float("nan"))}
    decisions = confusion(scores.label, scores.score, threshold=threshold)
    quality = (
        decisions.accuracy,
        decisions.f1,
        decisions.mcc,
        roc_auc(scores.label, scores.score),
        average_precision(scores.label, scores.score),
        equal_error_rate(scores.label, scores.score).rate,
    )
    return {"loss": loss, **dict(zip(QUALITY, quality, strict=True))}
