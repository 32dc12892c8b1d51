"""The quality metrics, where each is shown, and which direction is better.

`evaluation.metrics` and `evaluation.retrieval` compute what is declared here, and the monitors,
the Prometheus label and the closing summary are read off it. Names are Keras': training metrics
bare, validation metrics with `val_`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from job.config.suggest import did_you_mean

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class QualityMetric:
    """A metric of the model, measured on validation and test.

    Attributes:
        mode: Which direction is better.
        is_monitored: Whether callbacks and the best checkpoint can follow `val_<name>`.
        is_exported: Whether Prometheus shows it; in [0, 1] then.
        title: Row of the closing summary.
        is_shown: Whether the closing summary has that row.
    """

    mode: Mode
    is_monitored: bool
    is_exported: bool
    title: str
    is_shown: bool = True


# Metrics of labels and scores.
QUALITY_METRICS: dict[str, QualityMetric] = {
    "roc_auc": QualityMetric("max", True, True, "ROC-AUC"),
    "average_precision": QualityMetric("max", True, True, "average precision"),
    "eer": QualityMetric("min", True, True, "equal error rate"),
    "tar_at_far_1e-1": QualityMetric("max", True, False, "true accepts at 1e-1 false accepts"),
    "tar_at_far_1e-2": QualityMetric("max", True, False, "true accepts at 1e-2 false accepts"),
    "tar_at_far_1e-3": QualityMetric("max", True, False, "true accepts at 1e-3 false accepts"),
    "tar_at_far_1e-4": QualityMetric("max", True, False, "true accepts at 1e-4 false accepts"),
    "accuracy": QualityMetric("max", True, True, "accuracy at threshold"),
    "precision": QualityMetric("max", False, False, "precision at threshold"),
    "recall": QualityMetric("max", False, False, "recall at threshold"),
    "false_accept_rate": QualityMetric(
        "min", False, False, "false accepts at threshold", is_shown=False
    ),
    "balanced_accuracy": QualityMetric(
        "max", False, False, "balanced accuracy at threshold", is_shown=False
    ),
    "f1": QualityMetric("max", False, True, "F1 at threshold"),
    "mcc": QualityMetric("max", False, False, "MCC at threshold", is_shown=False),
}

# Metrics of labels and probabilities, before (`raw_`) and after calibration.
CALIBRATION_METRICS: dict[str, QualityMetric] = {
    "raw_brier": QualityMetric(
        "min", True, False, "Brier score of the raw score", is_shown=False
    ),
    "brier": QualityMetric("min", False, False, "Brier score of the probability"),
    "raw_ece": QualityMetric(
        "min", False, False, "calibration error of the raw score", is_shown=False
    ),
    "ece": QualityMetric("min", False, False, "calibration error of the probability"),
}

# Measured with a head that orders pairs by a distance of their embeddings.
RETRIEVAL_METRICS: dict[str, QualityMetric] = {
    "recall_at_1": QualityMetric("max", True, True, "recall at 1"),
    "recall_at_10": QualityMetric("max", True, True, "recall at 10"),
    "mrr": QualityMetric("max", True, True, "mean reciprocal rank"),
    "map": QualityMetric("max", True, True, "mean average precision"),
}

ALL_METRICS = QUALITY_METRICS | CALIBRATION_METRICS | RETRIEVAL_METRICS

MONITORS: dict[str, Mode] = {
    "loss": "min",
    "accuracy": "max",
    "val_loss": "min",
    "val_accuracy": "max",  # declared below as well; here for its place in lists
}
MONITORS |= {f"val_{name}": it.mode for name, it in ALL_METRICS.items() if it.is_monitored}

# The monitors that a line of the log has room for.
LOGGED = [
    name
    for name in MONITORS
    if (metric := ALL_METRICS.get(name.removeprefix("val_"))) is None or metric.is_exported
]


def _is_measured(name: str) -> str:
    if name in MONITORS:
        return name
    raise ValueError(
        f"nothing of this name is measured.{did_you_mean(name, MONITORS)} "
        f"Measured at every epoch's end: {', '.join(MONITORS)}"
    )


Monitor = Annotated[
    str,
    AfterValidator(_is_measured),
    WithJsonSchema({"type": "string", "enum": list(MONITORS)}),
]
