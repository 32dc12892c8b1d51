"""`summary.json`: what a script reads after a run has ended, and its form for people."""

import logging
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from job.config.monitors import ALL_METRICS
from job.errors import ExitCode, FencedError, JobError, StorageOutageError
from job.report.words import slice_title
from job.run.artifacts import RunArtifacts
from job.run.context import RunContext
from job.telemetry.terminal import aligned_columns
from job.types import Split

if TYPE_CHECKING:  # these import TensorFlow; `evaluate` rejects what it can before that
    from job.evaluation.evaluate import EvaluationResult
    from job.run.checkpointer import RunCheckpointer

log = logging.getLogger(__name__)

SCHEMA = 1

_RESULT_KEYS = (
    "threshold",
    "threshold_interval",
    "threshold_target",
    "threshold_met",
    "threshold_chosen_for",
    "calibration",
    "metrics",
    "slices",
)
_WIDTH = 96

_OUTCOMES = {
    ExitCode.PREEMPTED: "preempted",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.DIVERGED: "diverged",
}


def summarise(
    run: RunContext,
    checkpointer: "RunCheckpointer",
    *,
    outcome: str,
    result: "EvaluationResult | None" = None,
    advice: Sequence[str] = (),
    exit_code: ExitCode = ExitCode.FINISHED,
    error: Exception | None = None,
) -> dict[str, Any]:
    """The content of `summary.json`; unknown values are null.

    `artifacts` is empty: what was written is known last, and `finalize` adds it.

    Args:
        run: The surroundings of the process.
        checkpointer: The state of the run.
        outcome: `finished`, `stopped_early`, `preempted`, `interrupted`, `diverged` or
            `failed`.
        result: Quality of the model.
        advice: From `advise`.
        exit_code: Of this process.
        error: Why the run failed.
    """
    best, position = checkpointer.best, checkpointer.state.position
    # After another failure the variables may be anything, unless training had ended before.
    is_known = checkpointer.is_final or exit_code in (
        ExitCode.PREEMPTED,
        ExitCode.INTERRUPTED,
    )
    return {
        "schema": SCHEMA,
        "run": run.config.run.name,
        "outcome": outcome,
        "exit_code": exit_code.value,
        "error": None if error is None else str(error),
        "global_step": position.global_step,
        "epochs": position.epoch,
        "attempts": checkpointer.attempt,
        "seconds": round(checkpointer.seconds, 3),
        "state_sha256": checkpointer.state_sha256() if is_known else None,
        "best": asdict(best) if best else None,
        **result_json(result),
        "curve": _curve(result),
        "advice": list(advice),
        "metrics_port": run.port or None,
        "artifacts": {},
    }


def result_json(result: "EvaluationResult | None") -> dict[str, Any]:
    """Quality of the model; null if it was not measured."""
    if result is None:
        return dict.fromkeys(_RESULT_KEYS)

    def measured(split: Split, metrics: Mapping[str, float]) -> dict[str, Any]:
        intervals = result.intervals.get(split, {})
        return {**metrics, "intervals": {name: list(it) for name, it in intervals.items()}}

    return {
        "threshold": result.threshold,
        "threshold_interval": list(result.threshold_interval),
        "threshold_target": result.target,
        "threshold_met": result.threshold_met,
        "threshold_chosen_for": result.criterion,
        "calibration": result.calibration.to_json(),
        "metrics": {
            "validation": measured("validation", result.validation),
            "test": {
                **measured("test", result.test),
                "baseline_roc_auc": result.baseline_roc_auc,
                "baselines": dict(result.baselines),
            },
        },
        "slices": [asdict(it) for it in result.slices],
    }


def _curve(result: "EvaluationResult | None") -> dict[str, Any] | None:
    """What other thresholds would decide."""
    if result is None:
        return None
    from job.evaluation.curve import decision_curve

    scores = {"test": result.test_scores, "validation": result.validation_scores}
    known = {split: (one.label, one.score) for split, one in scores.items()}
    return decision_curve(known, threshold=result.threshold)


@contextmanager
def recorded_failure(
    run: RunContext, checkpointer: "RunCheckpointer", artifacts: RunArtifacts
) -> Iterator[None]:
    """Writes a summary and a status when the block raises.

    A fenced process writes nothing, because the run belongs to a newer attempt; nor does one
    that has spent its outage budget.

    Raises:
        FencedError: Instead of the block's error, if a newer attempt holds the run.
    """
    try:
        yield
    except (FencedError, StorageOutageError):
        raise
    except Exception as error:
        code = error.exit_code if isinstance(error, JobError) else ExitCode.UNEXPECTED
        stopped = code in (ExitCode.PREEMPTED, ExitCode.INTERRUPTED)
        summary = summarise(
            run,
            checkpointer,
            outcome=_OUTCOMES.get(code, "failed"),
            exit_code=code,
            error=error,
        )
        try:
            if not stopped:
                checkpointer.finish("failed", str(error), facts={"exit_code": code.value})
            artifacts.write_summary(summary)
        except FencedError:
            raise
        except JobError as second:
            # The process ends with the first error; a full disk refuses this record too.
            log.warning("failure not recorded", extra={"reason": str(second)})
        raise
    finally:
        checkpointer.close()


def format_summary(summary: Mapping[str, Any], *, directory: str) -> str:
    """The summary of an evaluated run for people, without a final newline.

    Args:
        summary: The content of `summary.json`.
        directory: Location of the run.
    """
    best = summary["best"]
    lines = ["", _headline(summary)]
    if best:
        lines.append(f"best epoch {best['epoch']}: {best['monitor']} {best['value']:.4f}")
    lines += ["", *result_lines(summary)]
    for sentence in summary["advice"]:
        lines += ["", *textwrap.wrap(f"advice: {sentence}", _WIDTH, subsequent_indent="  ")]
    lines += ["", f"written to {directory}:"]
    lines += [f"  {name:14}{path}" for name, path in summary["artifacts"].items()]
    return "\n".join([*lines, ""])


def result_lines(report: Mapping[str, Any]) -> list[str]:
    """Metrics of test with intervals, next to those of validation; baselines and threshold.

    Args:
        report: Has the keys of `result_json`, as `summary.json` has.
    """
    metrics = report["metrics"]
    test, validation = metrics["test"], metrics["validation"]
    rows = [
        (it.title, *_with_interval(test, name), _number(validation.get(name)))
        for name, it in ALL_METRICS.items()
        if it.is_shown and (name in test or name in validation)
    ]
    rows += [
        (f"ROC-AUC of baseline {name.replace('_', ' ')}", f"{value:.4f}", "", "")
        for name, value in test["baselines"].items()
    ]
    columns = ("", "test", "95 % interval", "validation")
    return [aligned_columns(columns, rows), "", *_decision_lines(report), *_slice_lines(report)]


def _with_interval(measured: Mapping[str, Any], name: str) -> tuple[str, str]:
    interval = measured["intervals"].get(name)
    return _number(measured.get(name)), "" if interval is None else _span(interval)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _span(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{low:.3f} to {high:.3f}"


def _decision_lines(report: Mapping[str, Any]) -> list[str]:
    """The threshold, its interval, and whether it does what was asked for."""
    threshold, target = report["threshold"], report["threshold_target"]
    low, high = report["threshold_interval"]
    digits = _digits(threshold)
    text = (
        f"a pair matches from score {threshold:.{digits}f} ({low:.{digits}f} to "
        f"{high:.{digits}f} with other validation pairs)"
    )
    if report["threshold_met"]:
        return [text, f"chosen on validation for {target}"]
    return [
        text,
        f"NOT MET: validation does not prove {target}",
        f"chosen instead for {report['threshold_chosen_for']}",
    ]


def _digits(threshold: float) -> int:
    """Decimals that show how far from 0 and 1 a threshold is, at least 4."""
    distance = min(abs(threshold), abs(1.0 - threshold))
    return 4 if distance == 0.0 else min(8, max(4, 2 - math.floor(math.log10(distance))))


def _slice_lines(report: Mapping[str, Any]) -> list[str]:
    worst = next((it for it in report["slices"] if it["is_worse"]), None)
    if worst is None:
        return []
    value, interval = _with_interval(worst | worst["metrics"], "balanced_accuracy")
    return [
        f"worst part: {slice_title(worst)}, balanced accuracy {value} ({interval}) on "
        f"{worst['num_pairs']} pairs"
    ]


def _headline(summary: Mapping[str, Any]) -> str:
    how = "stopped early after" if summary["outcome"] == "stopped_early" else "finished"
    attempts, epochs = summary["attempts"], summary["epochs"]
    return (
        f"run {summary['run']} {how} {epochs} epoch{'s' if epochs > 1 else ''}, "
        f"{summary['global_step']} steps in {summary['seconds']:.0f} s"
        + (f" and {attempts} attempts" if attempts > 1 else "")
    )
