"""The closing screen: what a person wants to know when the run is over, on one page."""

from collections.abc import Mapping
from typing import Any

_ROWS = (
    ("ROC-AUC", "roc_auc"),
    ("average precision", "average_precision"),
    ("equal error rate", "eer"),
    ("accuracy at threshold", "accuracy"),
    ("F1 at threshold", "f1"),
)


def closing_screen(summary: Mapping[str, Any], *, folder: str) -> str:
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
    for title, name in _ROWS:
        test, validation = metrics["test"][name], metrics["validation"][name]
        lines.append(f"{title:{width}}{test:>10.4f}{validation:>12.4f}")
    lines += [
        f"{title:{width}}{value:>10.4f}  (ROC-AUC of a score nobody trained)"
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
