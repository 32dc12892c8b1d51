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
        is_exported: Whether Prometheus and the closing summary show it; in [0, 1] then.
        title: Row of the closing summary.
    """

    mode: Mode
    is_monitored: bool
    is_exported: bool
    title: str


# Of labels and scores.
QUALITY_METRICS: dict[str, QualityMetric] = {
    "roc_auc": QualityMetric("max", True, True, "ROC-AUC"),
    "average_precision": QualityMetric("max", True, True, "average precision"),
    "eer": QualityMetric("min", True, True, "equal error rate"),
    "accuracy": QualityMetric("max", True, True, "accuracy at threshold"),
    "f1": QualityMetric("max", False, True, "F1 at threshold"),
    "mcc": QualityMetric("max", False, False, "Matthews correlation at threshold"),
}

# Measured with a head that orders pairs by a distance of their embeddings.
RETRIEVAL_METRICS: dict[str, QualityMetric] = {
    "recall_at_1": QualityMetric("max", True, True, "recall at 1"),
    "recall_at_10": QualityMetric("max", True, True, "recall at 10"),
    "mrr": QualityMetric("max", True, True, "mean reciprocal rank"),
    "map": QualityMetric("max", True, True, "mean average precision"),
}

ALL_METRICS = QUALITY_METRICS | RETRIEVAL_METRICS

MONITORS: dict[str, Mode] = {
    "loss": "min",
    "accuracy": "max",
    "val_loss": "min",
    "val_accuracy": "max",  # declared below as well; here for its place in lists
}
MONITORS |= {f"val_{name}": it.mode for name, it in ALL_METRICS.items() if it.is_monitored}


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
