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

# Of a batch: its items, and of each step of time what an encoder makes of it. All that is in
# memory at a time was up to ten times as large (pictures; five times, sequences).
_BYTES_AT_ONCE = 32 << 20
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
        batch_size: Items encoded at a time, fewer of large pictures and long sequences or
            texts, and consecutive pairs that a loss may compare with each other.
        items: The items of the data set; their classes are read.
    """
    rows = pairs.items()
    numbers = _numbers_in_step(feed.input, embedding_size=scorer.embedding_size)
    batches = item_batches(
        feed, batch_size=batch_size, rows=rows, max_steps=_BYTES_AT_ONCE // (4 * numbers)
    )
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


def _numbers_in_step(item: ItemInput, *, embedding_size: int) -> int:
    """How many numbers a step is, of a picture a line; of time with the state that follows."""
    features = math.prod(size for size in item.shape[1:] if size is not None)
    return features + embedding_size if item.shape[0] is None else features


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
