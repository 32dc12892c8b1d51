"""Scores the pairs of a split with the model and measures the scores. P pairs.

The threshold is chosen on validation and only applied to test. The untrained baselines on test
show what training adds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.config.evaluation import EvaluationConfig
from job.data.dataset import Dataset, ItemTable, PairTable
from job.data.pipeline.batches import item_batches, steps_within_budget
from job.data.pipeline.collators import Collator
from job.distribution.group import Group
from job.distribution.messages import Message
from job.errors import DivergedError
from job.evaluation.assess import assess, judge, measures_for
from job.evaluation.baselines import baseline_scores
from job.evaluation.calibration import Calibration, fit_calibration
from job.evaluation.choose import Choice, choose_for_goal
from job.evaluation.identities import Identities, identities_of
from job.evaluation.intervals import Interval
from job.evaluation.metrics import DECISIONS, RANKINGS, brier, roc_auc
from job.evaluation.retrieval import (
    UNKNOWN,
    search_by_class,
    search_by_match,
    search_metrics,
)
from job.evaluation.slices import SliceQuality, parts_of, slice_quality
from job.evaluation.thresholds import Terms
from job.models.pair_scorer import PairScorer, PairScores
from job.types import Split

_MEASURED: tuple[Split, ...] = ("validation", "test")
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
        batches = item_batches(
            self.feed,
            batch_size=self.batch_size,
            rows=rows,
            max_steps=steps_within_budget(
                self.feed.input, embedding_size=self.scorer.embedding_size
            ),
            threads=self.threads,
            part=(self.group.worker, self.group.num_workers),
        )
        with closing(batches):
            return self.scorer.embed(
                ((np.searchsorted(rows, row), item) for row, item in batches),
                num_items=len(rows),
            )


def measure(split: SplitScores, *, threshold: float) -> dict[str, float]:
    """The loss and every quality metric of a split, by name.

    Args:
        split: Its pairs are of both classes.
        threshold: A pair is predicted to match when its score is at least this.

    Returns:
        `loss` (mean over pairs), `RANKINGS` of the logits, `DECISIONS` and `raw_brier` of the
        scores and the metrics of the search; each in [0, 1] except `mcc` in [-1, 1]. Every
        metric is NaN when a logit is not finite: a diverged model has no quality.
    """
    scores = split.pairs
    loss = float(np.mean(scores.loss, dtype=np.float64))
    if not scores.is_finite:
        names = (*RANKINGS, *DECISIONS, "raw_brier", *split.search)
        return {"loss": loss, **dict.fromkeys(names, float("nan"))}
    label, logit, score = scores.label, scores.logit, scores.score
    ranked = {name: metric(label, logit) for name, metric in RANKINGS.items()}
    decided = {
        name: metric(label, score, threshold=threshold) for name, metric in DECISIONS.items()
    }
    raw_brier = brier(label, score)
    return {"loss": loss, **ranked, **decided, "raw_brier": raw_brier, **split.search}


@dataclass(frozen=True)
class EvaluationResult:
    """The quality of a model.

    Attributes:
        threshold: A pair is predicted to match when its score is at least this.
        threshold_interval: 95 % interval of the chosen threshold.
        threshold_met: Whether validation proves the target with the wanted confidence; true
            for a goal that is no target.
        criterion: What the threshold was chosen for, as text.
        target: `evaluation.threshold`, as text.
        calibration: From a logit to a probability, fitted on validation.
        validation: Loss and metrics on validation, by name.
        test: Loss and metrics on test, by name.
        baselines: ROC-AUC of the untrained baselines on test, by name.
        test_scores: Label, logit, score and loss of every test pair, in file order.
        validation_scores: The same of every validation pair.
        intervals: 95 % intervals of the metrics, by split and name.
        slices: The quality of parts of test.
    """

    threshold: float
    threshold_interval: tuple[float, float]
    threshold_met: bool
    criterion: str
    target: str
    calibration: Calibration
    validation: Mapping[str, float]
    test: Mapping[str, float]
    baselines: Mapping[str, float]
    test_scores: PairScores
    validation_scores: PairScores
    intervals: Mapping[Split, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    slices: Sequence[SliceQuality] = ()

    @property
    def baseline_roc_auc(self) -> float:
        """ROC-AUC of the best untrained baseline."""
        return max(self.baselines.values())


def evaluate(
    splits: SplitScorer,
    *,
    dataset: Dataset,
    section: EvaluationConfig,
    seed: int,
    check_stop: Callable[[], None],
    validation: SplitScores | None = None,
) -> EvaluationResult:
    """Measures the model on validation and test, and the untrained baselines on test.

    Args:
        splits: Scores pairs with the model.
        dataset: The splits to measure on.
        section: What the threshold is chosen for, and the calibration.
        seed: Of the random draws of the intervals.
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
    scored = {"validation": validation, "test": test}
    identities = {
        split: identities_of(dataset.pairs[split], dataset.items) for split in _MEASURED
    }
    check_stop()
    choice = _choose(validation.pairs, identities["validation"], section=section, seed=seed)
    calibration = _calibrate(validation.pairs, section=section)
    measured: dict[Split, Mapping[str, float]] = {}
    intervals: dict[Split, Mapping[str, Interval]] = {}
    for split in _MEASURED:
        check_stop()
        pairs = scored[split].pairs
        judged = judge(
            pairs.label,
            pairs.logit,
            score=pairs.score,
            threshold=choice.threshold,
            calibration=calibration,
        )
        found = assess(judged, identities[split], match_share=section.match_share, seed=seed)
        known = _known(measure(scored[split], threshold=choice.threshold))
        measured[split] = {**known, **found.metrics}
        intervals[split] = found.intervals
    check_stop()
    slices = slice_quality(
        judged,
        parts=parts_of(dataset.pairs["test"], dataset.items, identities["test"]),
        measures=measures_for(judged, match_share=section.match_share),
        overall=measured["test"]["balanced_accuracy"],
        seed=seed,
    )
    return EvaluationResult(
        threshold=choice.threshold,
        threshold_interval=choice.interval,
        threshold_met=choice.is_met,
        criterion=choice.chosen_for,
        target=section.threshold,
        calibration=calibration,
        validation=measured["validation"],
        test=measured["test"],
        baselines=_baselines(splits, dataset, check_stop=check_stop),
        test_scores=test.pairs,
        validation_scores=validation.pairs,
        intervals=intervals,
        slices=slices,
    )


def _choose(
    pairs: PairScores, identities: Identities, *, section: EvaluationConfig, seed: int
) -> Choice:
    return choose_for_goal(
        pairs.label,
        pairs.logit,
        score=pairs.score,
        identities=identities,
        goal=section.goal,
        terms=Terms(section.confidence, section.match_share),
        seed=seed,
    )


def _calibrate(pairs: PairScores, *, section: EvaluationConfig) -> Calibration:
    calibration = fit_calibration(pairs.label, pairs.logit, kind=section.calibration)
    if section.match_share is None:
        return calibration
    return calibration.for_share(section.match_share, measured=float(pairs.label.mean()))


def _baselines(
    splits: SplitScorer, dataset: Dataset, *, check_stop: Callable[[], None]
) -> Mapping[str, float]:
    pairs = dataset.pairs["test"]
    scores = baseline_scores(
        dataset.items,
        pairs=pairs,
        statistics=dataset.statistics,
        pixels=splits.feed.batch,
        check_stop=check_stop,
    )
    return {name: roc_auc(pairs.label, score) for name, score in scores.items()}


def _known(measured: Mapping[str, float]) -> dict[str, float]:
    """Without the metrics that the pairs do not have, such as those of a search for nothing."""
    return {name: value for name, value in measured.items() if not math.isnan(value)}
