"""What follows training: measuring, exporting, and telling a person how it went."""

import json
import logging
import math
from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from job.callbacks.activations import FOLDER as FOLDER_OF_ACTIVATIONS
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.restore import load_dir
from job.data.dataset import Dataset
from job.data.pipeline.collators import Collator
from job.data.quarantine import Quarantine
from job.errors import ExitCode
from job.evaluation.evaluate import EvaluationResult, evaluate
from job.export.golden import GoldenPairs, Items
from job.export.writer import FOLDER, export_model
from job.models.pair_scorer import PairScorer
from job.run.checkpointer import Attempt
from job.run.components import Components, build_for_export
from job.run.directory import RunDirectory
from job.run.summary import NAME, current_state_sha256, format_summary, summarise, write_summary
from job.telemetry.metric_definitions import EXPORTED_QUALITY
from job.telemetry.termination_message import write_termination_message
from job.types import Json, Split

QUARANTINE = "quarantine.json"
SCHEMA = 1


def write_quarantine(manager: CheckpointManager, quarantine: Quarantine) -> None:
    """Replaces the report of the run; also where no row was bad, which is worth knowing too.

    Args:
        manager: The right to write into the run folder.
        quarantine: Rows that were kept out.

    Raises:
        FencedError: A newer attempt holds the run.
    """
    found = cast(Mapping[str, Json], quarantine.to_json())
    content = json.dumps({"schema": SCHEMA, **found}, indent=1)
    manager.write_result(QUARANTINE, f"{content}\n".encode())


log = logging.getLogger(__name__)

HISTORY = "history.json"


def finalize_run(
    attempt: Attempt,
    *,
    stop_reason: str,
    dataset: Dataset,
    assembly: Components,
    scorer: PairScorer,
    folder: RunDirectory,
) -> None:
    """Measures and exports the trained model, then marks the run as completed.

    A process killed in here does it all again at the next start, with the same result.

    Args:
        attempt: Training has ended, its last state is committed.
        stop_reason: Which callback ended it, "" for the last epoch.
        dataset: The data.
        assembly: The model and the items as it takes them.
        scorer: Scores with the model.
        folder: Where everything is written.
    """
    session, config = attempt.session, attempt.session.config
    session.metrics.set_phase("reporting")
    # Before the best epoch's weights take the place of the last ones.
    state = attempt.final_state_sha256 = current_state_sha256(attempt)
    _choose_weights(attempt, folder=folder)
    findings = evaluate(
        scorer,
        dataset=dataset,
        feed=assembly.feed,
        criterion=config.evaluation.threshold,
        batch_size=config.evaluation.batch_size,
        poll=session.stop.check,
    )
    _show_metrics(attempt, findings=findings)
    artifacts = _write_artifacts(
        attempt, findings=findings, dataset=dataset, assembly=assembly, folder=folder
    )
    outcome = "stopped_early" if stop_reason else "finished"
    summary = summarise(
        attempt, outcome=outcome, state=state, findings=findings, artifacts=artifacts
    )
    write_summary(attempt, summary)
    _finish(attempt, outcome=outcome, stop_reason=stop_reason)
    _announce(attempt, outcome=outcome, state=state, findings=findings, uri=folder.uri)
    if session.logging.format != "json":
        session.logging.screen.write_line(format_summary(summary, folder=folder.uri))


def _write_artifacts(
    attempt: Attempt,
    *,
    findings: EvaluationResult,
    dataset: Dataset,
    assembly: Components,
    folder: RunDirectory,
) -> dict[str, str]:
    """Writes what belongs to a finished run, and names all that it has besides its state."""
    config = attempt.session.config
    artifacts = {"summary": NAME, "history": HISTORY, "quarantine": QUARANTINE}
    if config.callbacks.activations is not None:
        artifacts["activations"] = FOLDER_OF_ACTIVATIONS
    # Sorted: an epoch that came out of a checkpoint has its names in another order.
    epochs = [_json_numbers(epoch) for epoch in attempt.state.history]
    history = json.dumps(epochs, indent=1, sort_keys=True)
    attempt.manager.write_result(HISTORY, f"{history}\n".encode())
    if config.export.enabled:
        attempt.session.stop.check()
        artifacts |= _export(
            attempt, findings=findings, dataset=dataset, assembly=assembly, folder=folder
        )
    return artifacts


def _finish(attempt: Attempt, *, outcome: str, stop_reason: str) -> None:
    """Marks the run as completed: the next start has nothing left to do."""
    stopping = attempt.session.config.callbacks.early_stopping
    position = attempt.state.position
    attempt.manager.finish(
        "completed",
        stop_reason or "all epochs done",
        outcome=outcome,
        epochs=position.epoch,
        global_step=position.global_step,
        stop_reason=stop_reason,
        patience_epochs=stopping.patience_epochs if stopping else None,
    )


def _announce(
    attempt: Attempt, *, outcome: str, state: str, findings: EvaluationResult, uri: str
) -> None:
    quality = {
        "test_roc_auc": round(findings.test["roc_auc"], 4),
        "baseline_roc_auc": round(findings.baseline_roc_auc, 4),
    }
    position = attempt.state.position
    log.info(
        "run finished",
        extra={
            "outcome": outcome,
            "step": position.global_step,
            "epochs": position.epoch,
            **quality,
            "folder": uri,
        },
    )
    write_termination_message(
        ExitCode.FINISHED,
        f"{outcome}; results in {uri}/{NAME}",
        facts={"state_sha256": state, **quality, "threshold": findings.threshold},
    )


def _json_numbers(epoch: Mapping[str, float]) -> dict[str, float | None]:
    """JSON knows neither NaN nor infinity; null says that there is no number."""
    return {name: value if math.isfinite(value) else None for name, value in epoch.items()}


def _choose_weights(attempt: Attempt, *, folder: RunDirectory) -> None:
    """Goes back to the weights of the best epoch, if those are wanted."""
    head = attempt.manager.head
    if attempt.session.config.evaluation.weights == "last" or head.best is None:
        return
    if head.best.dir != head.last:
        restored = load_dir(folder.store, head, dir=head.best.dir, expected=attempt.spec)
        attempt.load_weights(restored)
    log.info(
        "weights of the best epoch",
        extra={"epoch": head.best.epoch, head.best.monitor: round(head.best.value, 4)},
    )


def _show_metrics(attempt: Attempt, *, findings: EvaluationResult) -> None:
    metrics = attempt.session.metrics
    metrics.set_decision_threshold(findings.threshold)
    by_split: dict[Split, Mapping[str, float]] = {
        "validation": findings.validation,
        "test": findings.test,
    }
    for split, measured in by_split.items():
        quality = {k: v for k, v in measured.items() if k in EXPORTED_QUALITY}
        metrics.set_epoch_result(split, loss=measured["loss"], quality=quality)


def _export(
    attempt: Attempt,
    *,
    findings: EvaluationResult,
    dataset: Dataset,
    assembly: Components,
    folder: RunDirectory,
) -> dict[str, str]:
    config, pairs = attempt.session.config, dataset.pairs["test"]
    count = config.export.num_golden_pairs
    left, right = (
        _as_exported(dataset, rows[:count], feed=assembly.feed)
        for rows in (pairs.left, pairs.right)
    )
    artifacts = export_model(
        build_for_export(config, assembly),
        statistics=dataset.statistics,
        threshold=findings.threshold,
        golden=GoldenPairs(left, right, findings.test_scores.score[:count]),
        write=attempt.manager.write_result,
    )
    log.info("model exported", extra={"folder": f"{folder.uri}/{FOLDER}"})
    return artifacts


def _as_exported(dataset: Dataset, rows: NDArray[np.int64], *, feed: Collator) -> Items:
    """Items in the form that the exported model takes."""
    if dataset.kind == "text":
        return dataset.items.texts(rows)
    if dataset.kind == "sequence":
        return dataset.items.values.take(rows)
    return feed.batch(rows).astype(np.uint8)  # whole numbers from 0 to 255
