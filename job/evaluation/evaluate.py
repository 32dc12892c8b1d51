"""Scores the pairs of a split with the model and measures the scores. P pairs.

The threshold is chosen on validation and only applied to test. The untrained baselines on test
show what training adds.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import Dataset, ItemTable, PairTable
from job.data.pipeline.batches import item_batches
from job.data.pipeline.collators import Collator
from job.distribution.group import Group
from job.distribution.messages import Message
from job.errors import DivergedError
from job.evaluation.baselines import baseline_scores
from job.evaluation.metrics import DECISIONS, RANKINGS, roc_auc
from job.evaluation.retrieval import (
    UNKNOWN,
    search_by_class,
    search_by_match,
    search_metrics,
)
from job.evaluation.thresholds import choose_threshold
from job.models.pair_scorer import PairScorer, PairScores
from job.types import ItemInput

# Budget of one batch: its items plus, per time step, the encoder's state. Measured peak memory
# was up to ten times as large for images and five times for sequences.
_BATCH_BYTES = 32 << 20
# Messages between workers.
EMBED, EMBEDDED = "embed", "embedded"


@dataclass(frozen=True)
class SplitScores:
    """What a model makes of a split.

    Attributes:
        pairs: The scores of its pairs.
        search: From `search_metrics`; empty if no search was asked for.
    """

    pairs: PairScores
    search: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitScorer:
    """Scores the pairs of a split.

    Attributes:
        scorer: The model.
        feed: Collates the items.
        items: The items of the dataset; only their classes are read.
        batch_size: Items encoded at a time (fewer for large images and long sequences or
            texts), and consecutive pairs that an in-batch loss compares with each other.
        threads: Batches of items prepared at a time, while others are encoded.
        max_queries: Largest number of items that are searched with; 0 for no search.
        group: The workers, which encode items together.
    """

    scorer: PairScorer
    feed: Collator
    items: ItemTable
    batch_size: int
    threads: int = 1
    max_queries: int = 0
    group: Group = field(default_factory=Group)

    def score(self, pairs: PairTable) -> SplitScores:
        """Encodes each item once, scores the pairs and searches among their items."""
        rows = pairs.items()
        embedding_MD = self.embed(rows)
        left, right = np.searchsorted(rows, pairs.left), np.searchsorted(rows, pairs.right)
        item_class = self.items.classes_of(rows)
        scores = self.scorer.score(
            embedding_MD,
            left=left,
            right=right,
            label=pairs.label,
            item=rows,
            item_class=item_class,
            loss_block_size=self.batch_size,
        )
        if not (self.max_queries and self.scorer.has_distance):
            return SplitScores(scores)
        if not scores.is_finite:
            return SplitScores(scores, UNKNOWN)
        if self.items.item_class is None:
            search = search_by_match(
                left, right, label=pairs.label, max_queries=self.max_queries
            )
        else:
            search = search_by_class(item_class, max_queries=self.max_queries)
        similarity = partial(self.scorer.similarities, embedding_MD)
        return SplitScores(scores, search_metrics(search, similarity=similarity))

    def embed(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encodes items, on all workers.

        Args:
            rows: int64 (M,), the items, ascending, each once.

        Returns:
            float32 (M, D).
        """
        if self.group.num_workers == 1:
            return self._embed_part(rows)
        self.group.tell(Message(EMBED, arrays={"rows": rows}))
        embedding_MD = self._embed_part(rows)
        for share in self.group.collect(EMBEDDED):
            embedding_MD[share.arrays["place"]] = share.arrays["embedding"]
        return embedding_MD

    def embed_share(self, rows: NDArray[np.int64]) -> None:
        """Encodes this follower's share of the items, and sends it to the chief."""
        embedding_MD = self._embed_part(rows)
        place = np.flatnonzero(~np.isnan(embedding_MD).all(axis=1))
        share: dict[str, NDArray[Any]] = {"place": place, "embedding": embedding_MD[place]}
        self.group.tell(Message(EMBEDDED, arrays=share))

    def _embed_part(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings of the batches of this worker; NaN for the items of the others."""
        values = _values_per_step(self.feed.input, embedding_size=self.scorer.embedding_size)
        batches = item_batches(
            self.feed,
            batch_size=self.batch_size,
            rows=rows,
            max_steps=_BATCH_BYTES // (4 * values),
            threads=self.threads,
            part=(self.group.worker, self.group.num_workers),
        )
        with closing(batches):
            return self.scorer.embed(
                ((np.searchsorted(rows, row), item) for row, item in batches),
                num_items=len(rows),
            )


def _values_per_step(item: ItemInput, *, embedding_size: int) -> int:
    """Values per time step including the encoder's state, or per row of pixels."""
    features = math.prod(size for size in item.shape[1:] if size is not None)
    return features + embedding_size if item.shape[0] is None else features


def measure(split: SplitScores, *, threshold: float) -> dict[str, float]:
    """The loss and every quality metric of a split, by name.

    Args:
        split: Its pairs are of both classes.
        threshold: A pair is predicted to match when its score is at least this.

    Returns:
        `loss` (mean over pairs), `RANKINGS` of the logits, `DECISIONS` of the scores and the
        metrics of the search; each in [0, 1] except `mcc` in [-1, 1]. Every metric is NaN when
        a logit is not finite: a diverged model has no quality.
    """
    scores = split.pairs
    loss = float(np.mean(scores.loss, dtype=np.float64))
    if not scores.is_finite:
        names = (*RANKINGS, *DECISIONS, *split.search)
        return {"loss": loss, **dict.fromkeys(names, float("nan"))}
    label, logit, score = scores.label, scores.logit, scores.score
    ranked = {name: metric(label, logit) for name, metric in RANKINGS.items()}
    decided = {
        name: metric(label, score, threshold=threshold) for name, metric in DECISIONS.items()
    }
    return {"loss": loss, **ranked, **decided, **split.search}


@dataclass(frozen=True)
class EvaluationResult:
    """The quality of a model.

    Attributes:
        threshold: A pair is predicted to match when its score is at least this.
        criterion: What the threshold maximises, see `choose_threshold`.
        validation: Loss and metrics on validation, by name.
        test: Loss and metrics on test, by name.
        baselines: ROC-AUC of the untrained baselines on test, by name.
        test_scores: Label, logit, score and loss of every test pair, in file order.
        validation_scores: The same of every validation pair.
    """

    threshold: float
    criterion: str
    validation: Mapping[str, float]
    test: Mapping[str, float]
    baselines: Mapping[str, float]
    test_scores: PairScores
    validation_scores: PairScores

    @property
    def baseline_roc_auc(self) -> float:
        """ROC-AUC of the best untrained baseline."""
        return max(self.baselines.values())


def evaluate(
    splits: SplitScorer,
    *,
    dataset: Dataset,
    criterion: str,
    check_stop: Callable[[], None],
    validation: SplitScores | None = None,
) -> EvaluationResult:
    """Measures the model on validation and test, and the untrained baselines on test.

    Args:
        splits: Scores pairs with the model.
        dataset: The splits to measure on.
        criterion: `evaluation.threshold`.
        check_stop: Called every few seconds; raises to stop the work, for example on SIGTERM.
        validation: Scores of all validation pairs by the same weights, if they are known.

    Raises:
        DivergedError: A logit is not finite, so no threshold can be chosen.
    """
    if validation is None:
        validation = splits.score(dataset.pairs["validation"])
    test = splits.score(dataset.pairs["test"])
    if not (validation.pairs.is_finite and test.pairs.is_finite):
        raise DivergedError(
            "The trained model produces scores that are not finite, so it can be neither "
            "measured nor exported. Lower training.optimizer.learning_rate, and keep "
            "callbacks.terminate_on_nan enabled."
        )
    # By scores, not logits: what no score can separate, no deployed model can decide.
    label, score = validation.pairs.label, validation.pairs.score
    threshold = choose_threshold(label, score, criterion=criterion)
    pairs = dataset.pairs["test"]
    baselines = baseline_scores(
        dataset.items,
        pairs=pairs,
        statistics=dataset.statistics,
        pixels=splits.feed.batch,
        check_stop=check_stop,
    )
    return EvaluationResult(
        threshold=threshold,
        criterion=criterion,
        validation=_known(measure(validation, threshold=threshold)),
        test=_known(measure(test, threshold=threshold)),
        baselines={name: roc_auc(pairs.label, score) for name, score in baselines.items()},
        test_scores=test.pairs,
        validation_scores=validation.pairs,
    )


def _known(measured: Mapping[str, float]) -> dict[str, float]:
    """Without the metrics of a search when there was nothing to search for."""
    return {
        name: value
        for name, value in measured.items()
        if name not in UNKNOWN or not math.isnan(value)
    }
