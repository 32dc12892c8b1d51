"""Measures the model: on validation after each epoch, on all splits at the end."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from job.checkpoints.serialization import state_sha256
from job.config.monitors import MONITORS
from job.config.root import Config
from job.data.dataset import Dataset, PairTable
from job.distribution.group import Group
from job.errors import ConfigError
from job.evaluation.evaluate import (
    EvaluationResult,
    SplitScorer,
    SplitScores,
    evaluate,
    measure,
)
from job.models.distances import DISTANCES
from job.models.pair_scorer import PairScorer
from job.run.components import Components
from job.run.context import RunContext
from job.telemetry.listener import Listeners
from job.training.state import read_variables
from job.types import Split


def split_scorer(
    config: Config,
    components: Components,
    dataset: Dataset,
    *,
    check_stop: Callable[[], None],
    group: Group | None = None,
) -> SplitScorer:
    """Scores the pairs of a split as configured.

    Args:
        config: The configuration of the run.
        components: The model and what collates its items.
        dataset: The items.
        check_stop: Called between batches; raises to stop the work.
        group: The workers, which encode items together; None for one process.
    """
    return SplitScorer(
        PairScorer(
            components.siamese,
            check_stop=check_stop,
            distance=DISTANCES.get(config.model.head.kind),
        ),
        components.feed,
        dataset.items,
        batch_size=config.evaluation.batch_size,
        threads=config.training.input_threads,
        max_queries=config.evaluation.retrieval_queries,
        group=group or Group(),
    )


def build_validation(
    run: RunContext,
    components: Components,
    dataset: Dataset,
    group: Group,
    as_evaluated: Callable[[], AbstractContextManager[object]],
) -> "Validation":
    """The validation of a run, as configured.

    Raises:
        ConfigError: See `validation_pairs`.
    """
    count = run.config.evaluation.validation_pairs
    pairs = validation_pairs(dataset.pairs["validation"], count=count)
    check_stop = run.stop.raise_if_requested
    return Validation(
        split_scorer(run.config, components, dataset, check_stop=check_stop, group=group),
        pairs=pairs,
        read_weights=lambda: read_variables(components.siamese.weights()),
        listener=run.listener,
        as_evaluated=as_evaluated,
    )


class Validation:
    """Measures the model on validation pairs, each exactly once.

    The scores are remembered with the weights they belong to, because the last epoch is often
    the best one, and its scores are needed again when training has ended.

    Args:
        splits: Scores pairs with the model.
        pairs: The validation pairs.
        read_weights: Copies the weights of the model to the host.
        listener: Is told how long it took.
        as_evaluated: Within its block the weights are those that evaluation uses.

    Attributes:
        splits: Scores pairs with the model.
    """

    def __init__(
        self,
        splits: SplitScorer,
        *,
        pairs: PairTable,
        read_weights: Callable[[], Mapping[str, np.ndarray]],
        listener: Listeners,
        as_evaluated: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.splits = splits
        self._pairs = pairs
        self._read_weights = read_weights
        self._listener = listener
        self._as_evaluated = as_evaluated
        self._last: tuple[str, SplitScores] | None = None

    def __call__(self) -> Mapping[str, float]:
        """The metrics that can be monitored, by name; the loop calls it at an epoch's end."""
        self._listener.set_phase("validating")
        started = time.monotonic()
        self._last = None  # an epoch's scores are not kept while those of the next are made
        with self._as_evaluated():
            scores = self.splits.score(self._pairs)
            self._last = (state_sha256(self._read_weights()), scores)
        measured = measure(scores, threshold=0.5)
        self._listener.validation_finished(time.monotonic() - started)
        self._listener.set_phase("training")
        named = {f"val_{name}": value for name, value in measured.items()}
        return {name: value for name, value in named.items() if name in MONITORS}

    def known_scores(self, pairs: PairTable) -> SplitScores | None:
        """The scores of these pairs by the current weights, if they were the last computed."""
        if self._last is None or pairs is not self._pairs:
            return None
        sha256, scores = self._last
        return scores if sha256 == state_sha256(self._read_weights()) else None


def validation_pairs(pairs: PairTable, *, count: int | None) -> PairTable:
    """Some pairs of a split: evenly spaced, with the share of matches of the whole split.

    Args:
        pairs: The split.
        count: How many, >= 2; None for all.

    Raises:
        ConfigError: Pairs of one label only would be left, which have no ROC-AUC.
    """
    if count is None or count >= len(pairs):
        return pairs
    # Sorted by label, so that the spacing cannot coincide with a pattern of the labels.
    by_label = np.argsort(pairs.label, kind="stable")
    chosen = pairs.take(np.sort(by_label[np.arange(count) * len(pairs) // count]))
    if chosen.num_positive and chosen.num_negative:
        return chosen
    raise ConfigError(
        f"evaluation.validation_pairs: {count} leaves {chosen.num_positive} matching and "
        f"{chosen.num_negative} other pairs of {len(pairs)}. Both are needed. Raise it, "
        "or set it to null."
    )


def evaluate_model(
    run: RunContext, dataset: Dataset, validation: Validation
) -> EvaluationResult:
    """Chooses the threshold on validation, measures validation and test, exports metrics."""
    result = evaluate(
        validation.splits,
        dataset=dataset,
        section=run.config.evaluation,
        seed=run.config.run.seed,
        check_stop=run.stop.raise_if_requested,
        validation=validation.known_scores(dataset.pairs["validation"]),
    )
    run.listener.set_decision_threshold(result.threshold)
    by_split: dict[Split, Mapping[str, float]] = {
        "validation": result.validation,
        "test": result.test,
    }
    for split, measured in by_split.items():
        run.listener.set_epoch_result(split, loss=measured["loss"], quality=measured)
    return result
