"""What follows training: the export, `summary.json`, and HEAD marked as completed."""

import logging
from collections.abc import Callable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from job.callbacks.activations import DIRECTORY as ACTIVATIONS
from job.config.resume import result_settings
from job.data.dataset import Dataset
from job.data.pipeline.collators import Collator
from job.errors import ExitCode, JobError
from job.evaluation.evaluate import EvaluationResult
from job.export.golden import GoldenPairs, Items
from job.export.reference import Reference
from job.export.writer import FOLDER, ExportFacts, export_model
from job.report.card import write_card
from job.report.facts import ReportFacts
from job.report.page import write_report
from job.run.advice import advise
from job.run.artifacts import (
    CARD,
    HISTORY,
    QUARANTINE,
    REPORT,
    SUMMARY,
    RunArtifacts,
    encode_history,
    encode_summary,
)
from job.run.checkpointer import RunCheckpointer
from job.run.components import Components, build_for_export
from job.run.context import RunContext
from job.run.directory import run_uri
from job.run.report_facts import report_facts
from job.run.summary import format_summary, summarise
from job.telemetry.termination_message import write_termination_message

log = logging.getLogger(__name__)

# What a process needs after its last commit, to end before it is killed.
_MARGIN_SECONDS = 3.0


def commit_and_stop(run: RunContext, checkpointer: RunCheckpointer) -> NoReturn:
    """Commits the state after a signal, if it can be done in time, and ends the process.

    Raises:
        PreemptedError: After SIGTERM.
        StalledError: After SIGTERM for a cause.
        InterruptedByUserError: After Ctrl-C.
    """
    position = checkpointer.state.position
    log.info("stopping", extra={"signal": run.stop.name, "step": position.global_step})
    seconds_left = run.grace_seconds - run.stop.seconds_since - _MARGIN_SECONDS
    lost = checkpointer.stop(f"stopped by {run.stop.name}", seconds_left=seconds_left)
    if lost:
        log.warning("final save skipped", extra={"lost_steps": lost, "why": "too little time"})
        raise run.stop.error(
            f"A save would have taken longer than the grace period. The last {lost} steps are "
            "lost; the same command resumes from the commit before."
        )
    run.stop.mark_committed()
    raise run.stop.error(
        f"Step {position.global_step} (epoch {position.epoch + 1}) is committed; the same "
        "command resumes from there."
    )


def finalize(
    run: RunContext,
    checkpointer: RunCheckpointer,
    artifacts: RunArtifacts,
    components: Components,
    dataset: Dataset,
    result: EvaluationResult,
) -> None:
    """Writes history, export and summary, then marks the run as completed.

    A process killed in here repeats all of it at the next start, with the same result.
    """
    config, state = run.config, checkpointer.state
    written = {"summary": SUMMARY, "history": HISTORY, "quarantine": QUARANTINE}
    if config.callbacks.activations is not None:
        written["activations"] = ACTIVATIONS
    files = {HISTORY: encode_history(state.history)}
    if config.export.enabled:
        run.stop.raise_if_requested()
        written |= _export(run, files, components, dataset, result)
    outcome = "stopped_early" if state.stop_reason else "finished"
    advice = advise(
        state.history,
        roc_auc=result.test["roc_auc"],
        baselines=result.baselines,
        config=config,
        epochs=state.position.epoch,
        stopped_early=bool(state.stop_reason),
        matching=_share_of_matches(dataset),
    )
    summary = summarise(run, checkpointer, outcome=outcome, result=result, advice=advice)
    written |= _report(
        files,
        lambda: report_facts(
            run,
            checkpointer,
            artifacts,
            dataset,
            feed=components.feed,
            result=result,
            summary=summary,
        ),
    )
    # The report is one of them, and is made of the rest of the summary.
    summary["artifacts"] = written
    files[SUMMARY] = encode_summary(summary)
    results = artifacts.publish(files, directory=checkpointer.results_directory)
    stopping = config.callbacks.early_stopping
    checkpointer.finish(
        "completed",
        state.stop_reason or "all epochs done",
        results=results,
        facts={
            "outcome": outcome,
            "epochs": state.position.epoch,
            "global_step": state.position.global_step,
            "stop_reason": state.stop_reason,
            "patience_epochs": stopping.patience_epochs if stopping else None,
            "settings": result_settings(config),
        },
    )
    checkpointer.close()
    if config.export.enabled:
        log.info("model exported", extra={"folder": f"{run_uri(config)}/{FOLDER}"})
    _log_result(run, checkpointer, outcome=outcome, result=result)
    if advice:
        log.warning("advice", extra={"advice": advice})
    if run.logging.format != "json":
        run.logging.terminal.write_line(format_summary(summary, directory=run_uri(config)))


def _share_of_matches(dataset: Dataset) -> float | None:
    """Share of the training pairs that match; None if they are drawn."""
    pairs = dataset.pairs.get("train")
    return None if pairs is None else pairs.num_positive / len(pairs)


def _report(files: dict[str, bytes], gather: Callable[[], ReportFacts]) -> dict[str, str]:
    """Adds report and model card to `files`; returns their names by what they are.

    A fault in them costs the report, not the model that hours of training made: it is logged
    with its traceback, and `artifacts` of the summary names no report.
    """
    try:
        facts = gather()
        files |= {REPORT: write_report(facts), CARD: write_card(facts)}
    except JobError:
        raise
    except Exception as error:
        log.warning("report not written", exc_info=error, extra={"reason": repr(error)})
        return {}
    return {"report": REPORT, "model_card": CARD}


def _log_result(
    run: RunContext, checkpointer: RunCheckpointer, *, outcome: str, result: EvaluationResult
) -> None:
    position, uri = checkpointer.state.position, run_uri(run.config)
    quality = {
        "test_roc_auc": round(result.test["roc_auc"], 4),
        "baseline_roc_auc": round(result.baseline_roc_auc, 4),
    }
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
    state_sha256 = checkpointer.state_sha256()
    write_termination_message(
        ExitCode.FINISHED,
        f"{outcome}; results in {uri}/{SUMMARY}",
        facts={"state_sha256": state_sha256, **quality, "threshold": result.threshold},
    )


def _export(
    run: RunContext,
    files: dict[str, bytes],
    components: Components,
    dataset: Dataset,
    result: EvaluationResult,
) -> dict[str, str]:
    """Adds the files of the exported model to `files`; returns their names by what they are."""
    pairs, count = dataset.pairs["test"], run.config.export.num_golden_pairs
    left, right = (
        _as_exported(dataset, rows[:count], feed=components.feed)
        for rows in (pairs.left, pairs.right)
    )
    score = result.test_scores.score
    facts = ExportFacts(
        threshold=result.threshold,
        data=run.config.data,
        head=run.config.model.head.kind,
        reference=Reference.of(score, feed=components.feed, rows=pairs.items()),
        calibration=result.calibration,
        section=run.config.export,
    )
    return export_model(
        build_for_export(run.config, components),
        statistics=dataset.statistics,
        facts=facts,
        golden=GoldenPairs(left, right, score[:count]),
        write=files.__setitem__,
    )


def _as_exported(dataset: Dataset, rows: NDArray[np.int64], *, feed: Collator) -> Items:
    """Items in the form that the exported model takes."""
    if dataset.kind == "text":
        return dataset.items.texts(rows)
    if dataset.kind == "sequence":
        return dataset.items.values.take(rows)
    return feed.batch(rows).astype(np.uint8)  # whole numbers from 0 to 255
