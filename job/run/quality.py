"""Measures the model: on validation after each epoch, on all splits at the end."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from job.config.monitors import MONITORS
from job.data.dataset import Dataset, ItemTable, PairTable
from job.errors import ConfigError
from job.evaluation.evaluate import EvaluationResult, evaluate, measure, score_split
from job.models.pair_scorer import PairScorer
from job.run.components import Components
from job.run.context import RunContext
from job.telemetry.metric_definitions import EXPORTED_QUALITY
from job.types import Split


def validation(
    run: RunContext,
    components: Components,
    items: ItemTable,
    *,
    pairs: PairTable,
    scorer: PairScorer,
) -> Callable[[], Mapping[str, float]]:
    """The function the loop calls at an epoch's end: scores each of the pairs once."""

    def validate() -> Mapping[str, float]:
        run.listener.set_phase("validating")
        started = time.monotonic()
        scores = score_split(
            scorer,
            feed=components.feed,
            pairs=pairs,
            batch_size=run.config.evaluation.batch_size,
            items=items,
        )
        measured = measure(scores, threshold=0.5)
        run.listener.validation_finished(time.monotonic() - started)
        run.listener.set_phase("training")
        named = {f"val_{name}": value for name, value in measured.items()}
        return {name: value for name, value in named.items() if name in MONITORS}

    return validate


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
    run: RunContext, components: Components, dataset: Dataset, *, scorer: PairScorer
) -> EvaluationResult:
    """Chooses the threshold on validation, measures validation and test, exports metrics."""
    section = run.config.evaluation
    result = evaluate(
        scorer,
        dataset=dataset,
        feed=components.feed,
        criterion=section.threshold,
        batch_size=section.batch_size,
        check_stop=run.stop.raise_if_requested,
    )
    run.listener.set_decision_threshold(result.threshold)
    by_split: dict[Split, Mapping[str, float]] = {
        "validation": result.validation,
        "test": result.test,
    }
    for split, measured in by_split.items():
        quality = {k: v for k, v in measured.items() if k in EXPORTED_QUALITY}
        run.listener.set_epoch_result(split, loss=measured["loss"], quality=quality)
    return result
