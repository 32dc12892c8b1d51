"""Gathers what the report of a finished run tells. P pairs, T steps, F features."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from job.config.resume import as_record
from job.data.dataset import Dataset, ItemTable, PairTable
from job.data.pipeline.collators import Collator
from job.evaluation.evaluate import EvaluationResult
from job.evaluation.identities import identities_of
from job.models.pair_scorer import PairScores
from job.report.facts import Lineage, ReportFacts, ScoredPairs, ShownItem, WrongPair
from job.run.artifacts import RunArtifacts
from job.run.checkpointer import RunCheckpointer
from job.run.context import RunContext
from job.run.directory import run_uri
from job.types import SPLITS

# Wrong pairs of each error that are shown.
_SHOWN_PAIRS = 8
_SHOWN_CHARACTERS = 600
_SHOWN_STEPS = 160
_SHOWN_FEATURES = 8
_SHOWN_PIXELS = 128


def report_facts(
    run: RunContext,
    checkpointer: RunCheckpointer,
    artifacts: RunArtifacts,
    dataset: Dataset,
    *,
    feed: Collator,
    result: EvaluationResult,
    summary: Mapping[str, Any],
) -> ReportFacts:
    """What the report tells.

    Args:
        run: The surroundings of the process.
        checkpointer: The state of the run.
        artifacts: Knows where attempts began.
        dataset: The items and pairs.
        feed: Decodes images.
        result: Quality of the model.
        summary: The content of `summary.json`, but for `artifacts`.
    """
    config, state = run.config, checkpointer.state
    pairs = dataset.pairs["test"]
    wrong = _wrong(result.test_scores, threshold=result.threshold)
    identity, provenance = checkpointer.origin
    steps_per_epoch = max(state.position.global_step / max(state.position.epoch, 1), 1.0)
    return ReportFacts(
        summary=summary,
        history=state.history,
        monitor=config.best_monitor,
        restarts=[step / steps_per_epoch for step in artifacts.restarts()],
        kind=dataset.kind,
        test=_scored(dataset, result),
        num_wrong={error: len(rows) for error, rows in wrong.items()},
        wrong=[
            _wrong_pair(dataset, pairs, int(row), error=error, result=result, feed=feed)
            for error, rows in wrong.items()
            for row in rows[:_SHOWN_PAIRS]
        ],
        sizes={split: dataset.counts[split] for split in SPLITS},
        rows_read=dataset.quarantine.rows_read,
        bad_rows={str(reason): n for reason, n in dataset.quarantine.counts.items()},
        config=as_record(config),
        lineage=Lineage(
            uri=run_uri(config),
            lineage=identity.lineage,
            fingerprint=dataset.fingerprint,
            config_sha256=provenance.config_sha256,
            versions=provenance.versions,
            topology=provenance.topology,
        ),
        is_exported=config.export.enabled,
    )


def _scored(dataset: Dataset, result: EvaluationResult) -> ScoredPairs:
    scores = result.test_scores
    return ScoredPairs(
        scores.label == 1,
        scores.score.astype(np.float64),
        result.calibration.apply(scores.logit),
        identities_of(dataset.pairs["test"], dataset.items),
    )


_Error = Literal["false_match", "missed_match"]


def _wrong(scores: PairScores, *, threshold: float) -> dict[_Error, NDArray[np.int64]]:
    """Rows of the wrongly decided pairs by error, worst first."""
    accepted, matches = scores.score >= threshold, scores.label == 1
    false = np.flatnonzero(accepted & ~matches)
    missed = np.flatnonzero(~accepted & matches)
    return {
        "false_match": false[np.argsort(-scores.logit[false], kind="stable")],
        "missed_match": missed[np.argsort(scores.logit[missed], kind="stable")],
    }


def _wrong_pair(
    dataset: Dataset,
    pairs: PairTable,
    row: int,
    *,
    error: _Error,
    result: EvaluationResult,
    feed: Collator,
) -> WrongPair:
    left, right = (
        _shown(dataset.items, int(side[row]), feed=feed) for side in (pairs.left, pairs.right)
    )
    return WrongPair(row + 1, error, float(result.test_scores.score[row]), left, right)


def _shown(items: ItemTable, row: int, *, feed: Collator) -> ShownItem:
    rows = np.array([row])
    if items.kind == "text":
        text = items.texts(rows)[0]
        is_long = len(text) > _SHOWN_CHARACTERS
        return ShownItem(text=f"{text[:_SHOWN_CHARACTERS]}..." if is_long else text)
    if items.kind == "sequence":
        steps = np.asarray(items.values.row(row), np.float32)
        every = -(-len(steps) // _SHOWN_STEPS)
        return ShownItem(steps=steps[::every, :_SHOWN_FEATURES])
    return ShownItem(png=_png(feed.batch(rows)[0].astype(np.uint8)))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of at most 128 pixels a side from uint8 (S, S, 3)."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()
