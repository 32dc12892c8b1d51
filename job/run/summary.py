"""`summary.json`: what a script reads when a run has ended, well or badly."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from job.checkpoints.records import Status
from job.checkpoints.serialization import state_sha256
from job.config.monitors import QUALITY_METRICS
from job.errors import ExitCode, FencedError, JobError, StorageOutageError
from job.evaluation.evaluate import EvaluationResult
from job.run.checkpointer import Attempt
from job.training.state import read_variables

log = logging.getLogger(__name__)

NAME = "summary.json"
SCHEMA = 1

_OUTCOMES = {
    ExitCode.PREEMPTED: "preempted",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.DIVERGED: "diverged",
}


def write_summary(attempt: Attempt, content: Mapping[str, Any]) -> None:
    """Replaces the summary of the run.

    Raises:
        FencedError: A newer attempt holds the run.
    """
    data = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    attempt.manager.write_result(NAME, data.encode())


def summarise(
    attempt: Attempt,
    *,
    outcome: str,
    exit_code: ExitCode = ExitCode.FINISHED,
    state: str | None = None,
    findings: EvaluationResult | None = None,
    artifacts: Mapping[str, str] | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """Everything known of the run, as JSON; what is not known is null.

    Args:
        attempt: Where the run stands.
        outcome: `finished`, `stopped_early`, `preempted`, `interrupted`, `diverged` or
            `failed`.
        exit_code: Of this process.
        state: sha256 of every variable after the last step.
        findings: How good the model is.
        artifacts: Names in the run folder by what they are.
        error: What went wrong, for people.
    """
    best = attempt.manager.head.best
    position = attempt.state.position
    return {
        "schema": SCHEMA,
        "run": attempt.session.config.run.name,
        "outcome": outcome,
        "exit_code": exit_code.value,
        "error": error,
        "global_step": position.global_step,
        "epochs": position.epoch,
        "attempts": attempt.manager.attempt,
        "seconds": round(attempt.seconds, 3),
        "state_sha256": state,
        "best": asdict(best) if best else None,
        **findings_json(findings),
        "metrics_port": attempt.session.port or None,
        "artifacts": dict(artifacts or {}),
    }


def findings_json(findings: EvaluationResult | None) -> dict[str, Any]:
    """How good the model is; null where it was not measured."""
    if findings is None:
        return {"threshold": None, "threshold_chosen_for": None, "metrics": None}
    return {
        "threshold": findings.threshold,
        "threshold_chosen_for": findings.criterion,
        "metrics": {
            "validation": dict(findings.validation),
            "test": {
                **findings.test,
                "baseline_roc_auc": findings.baseline_roc_auc,
                "baselines": dict(findings.baselines),
            },
        },
    }


def current_state_sha256(attempt: Attempt) -> str:
    """Fingerprint of every variable as it is now."""
    return state_sha256(read_variables(attempt.siamese.variables()))


@contextmanager
def recorded_failure(attempt: Attempt) -> Iterator[None]:
    """Leaves a summary and a status behind when the block raises.

    A process that was fenced writes nothing: the run belongs to a newer one. Nor does one
    that has waited long enough for its store.

    Raises:
        FencedError: Instead of what the block raised, where a newer attempt holds the run.
    """
    try:
        yield
    except (FencedError, StorageOutageError):
        raise
    except JobError as error:
        _record(attempt, error=error, code=error.exit_code)
        raise
    except Exception as error:
        _record(attempt, error=error, code=ExitCode.UNEXPECTED)
        raise


def _record(attempt: Attempt, *, error: Exception, code: ExitCode) -> None:
    stopped = code in (ExitCode.PREEMPTED, ExitCode.INTERRUPTED)
    status: Status = "preempted" if stopped else "failed"
    state = attempt.final_state_sha256
    if stopped and state is None:
        state = current_state_sha256(attempt)
    summary = summarise(
        attempt,
        outcome=_OUTCOMES.get(code, "failed"),
        exit_code=code,
        state=state,
        error=str(error),
    )
    try:
        attempt.manager.finish(status, str(error), exit_code=code.value)
        write_summary(attempt, summary)
    except FencedError:
        raise
    except JobError as second:
        # The first error is the one to end with; a full disk refuses this note of it, too.
        log.warning("failure not recorded", extra={"reason": str(second)})


def format_summary(summary: Mapping[str, Any], *, folder: str) -> str:
    """The summary for people.

    Args:
        summary: The content of `summary.json` of a run that was measured.
        folder: Where the run lives.

    Returns:
        Some lines without a line feed at the end.
    """
    best = summary["best"]
    lines = ["", _headline(summary)]
    if best:
        lines.append(f"best epoch {best['epoch']}: {best['monitor']} {best['value']:.4f}")
    lines += ["", *findings_lines(summary), "", f"written to {folder}:"]
    lines += [f"  {name:14}{path}" for name, path in summary["artifacts"].items()]
    return "\n".join([*lines, ""])


def findings_lines(report: Mapping[str, Any]) -> list[str]:
    """Measurements of test and validation side by side, baselines and threshold.

    Args:
        report: Holds `threshold`, `threshold_chosen_for` and `metrics` as `summary.json` does.
    """
    metrics = report["metrics"]
    baselines = {
        f"baseline {name.replace('_', ' ')}": value
        for name, value in metrics["test"]["baselines"].items()
    }
    width = max(26, *map(len, baselines))
    lines = [f"{'':{width}}{'test':>10}{'validation':>12}"]
    for name, metric in QUALITY_METRICS.items():
        if metric.is_exported:
            test, validation = metrics["test"][name], metrics["validation"][name]
            lines.append(f"{metric.title:{width}}{test:>10.4f}{validation:>12.4f}")
    lines += [
        f"{title:{width}}{value:>10.4f}  (ROC-AUC of an untrained baseline)"
        for title, value in baselines.items()
    ]
    threshold, criterion = report["threshold"], report["threshold_chosen_for"]
    return [
        *lines,
        "",
        f"a pair matches from score {threshold:.4f} (chosen on validation for {criterion})",
    ]


def _headline(summary: Mapping[str, Any]) -> str:
    how = "stopped early after" if summary["outcome"] == "stopped_early" else "finished"
    attempts, epochs = summary["attempts"], summary["epochs"]
    return (
        f"run {summary['run']} {how} {epochs} epoch{'s' if epochs > 1 else ''}, "
        f"{summary['global_step']} steps in {summary['seconds']:.0f} s"
        + (f" and {attempts} attempts" if attempts > 1 else "")
    )
