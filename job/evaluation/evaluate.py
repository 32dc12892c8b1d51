"""Everything the finished model is judged by. P pairs.

The threshold is chosen on validation and only applied to test; a model is worth something
where it beats scores that nobody had to learn.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from job.data.dataset import Dataset, ItemTable, PairTable
from job.data.pipeline.batches import item_batches
from job.data.pipeline.collators import Collator
from job.errors import DivergedError
from job.evaluation.baselines.score import baseline_scores
from job.evaluation.metrics import average_precision, confusion, equal_error_rate, roc_auc
from job.evaluation.thresholds import choose_threshold
from job.models.pair_scorer import PairScorer, PairScores
from job.types import ItemInput

# Of a batch: its items, and of each step of time what an encoder makes of it. All that is in
# memory at a time was up to ten times as large (pictures; five times, sequences).
_BYTES_AT_ONCE = 32 << 20
QUALITY = ("accuracy", "f1", "mcc", "roc_auc", "average_precision", "eer")


def score_split(
    scorer: PairScorer,
    *,
    feed: Collator,
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


@dataclass(frozen=True)
class EvaluationResult:
    """How good a model is.

    Attributes:
        threshold: A pair counts as a match when its score is at least this.
        criterion: What the threshold was chosen for.
        validation: Measurements on validation, by name.
        test: The same on test.
        baselines: ROC-AUC on test of scores that need no learning, by name.
        test_scores: Label, score and loss of every test pair, in file order.
    """

    threshold: float
    criterion: str
    validation: Mapping[str, float]
    test: Mapping[str, float]
    baselines: Mapping[str, float]
    test_scores: PairScores

    @property
    def baseline_roc_auc(self) -> float:
        """The best baseline's."""
        return max(self.baselines.values())


def evaluate(
    scorer: PairScorer,
    *,
    dataset: Dataset,
    feed: Collator,
    criterion: str,
    batch_size: int,
    check_stop: Callable[[], None],
) -> EvaluationResult:
    """Measures the model on validation and test, and the baselines on test.

    Args:
        scorer: The model.
        dataset: Its data.
        feed: Gives the items of the data set.
        criterion: `evaluation.threshold`.
        batch_size: Items encoded at a time.
        check_stop: Called every few seconds; raises to stop the work, for example on SIGTERM.

    Raises:
        DivergedError: The model's scores are not finite: no threshold can be chosen.
    """
    scores = {
        split: score_split(
            scorer,
            feed=feed,
            pairs=dataset.pairs[split],
            batch_size=batch_size,
            items=dataset.items,
        )
        for split in ("validation", "test")
    }
    validation, test = scores["validation"], scores["test"]
    if not all(np.isfinite(split.score).all() for split in scores.values()):
        raise DivergedError(
            "The trained model gives scores that are not numbers, so it can be neither "
            "measured nor exported. Lower training.optimizer.learning_rate, and leave "
            "callbacks.terminate_on_nan on."
        )
    threshold = choose_threshold(validation.label, validation.score, criterion=criterion)
    pairs = dataset.pairs["test"]
    baselines = baseline_scores(
        dataset.items,
        pairs=pairs,
        statistics=dataset.statistics,
        pixels=feed.batch,
        check_stop=check_stop,
    )
    return EvaluationResult(
        threshold=threshold,
        criterion=criterion,
        validation=measure(validation, threshold=threshold),
        test=measure(test, threshold=threshold),
        baselines={name: roc_auc(pairs.label, found) for name, found in baselines.items()},
        test_scores=test,
    )
