"""The families of a chief, read from a registry in which every series has a value."""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from job.config.callbacks import ActivationsConfig
from job.telemetry.metric_definitions import (
    BUILD_LABELS,
    EXPORTED_QUALITY,
    PREFIX,
    RUN_LABELS,
)
from job.telemetry.run_metrics import RunMetrics
from job.types import SPLITS

(MAX_LAYERS,) = (
    bound.max_length
    for bound in ActivationsConfig.model_fields["metric_layers"].metadata
    if hasattr(bound, "max_length")
)
# Their values come from the run: versions, choices of the configuration, its layers.
OPEN_LABELS = {*BUILD_LABELS, *RUN_LABELS, "layer"}


@dataclass
class Exported:
    """A family as a scrape shows it.

    Attributes:
        name: With prefix and, for a counter, `_total`.
        kind: Prometheus type.
        help: Its sentence.
        labels: Names in their order, without `run` and `le`, with the values seen.
        has_series: Whether anything has been measured.
    """

    name: str
    kind: str
    help: str
    labels: dict[str, list[str]]
    has_series: bool


def exercise(metrics: RunMetrics) -> None:
    """Makes every series that a chief can have."""
    metrics.describe_build(**dict.fromkeys(BUILD_LABELS, "1.0"))
    metrics.describe_run(**dict.fromkeys(RUN_LABELS, "x"))
    metrics.start_attempt(2, run_started=5.0)
    metrics.set_targets(1000, epochs=10)
    metrics.set_position(250, epoch=2, target_steps=1000)
    metrics.set_remaining(60.0)
    metrics.observe_steps(16, seconds=0.8, examples=4096, nonfinite=1)
    metrics.set_learning_rate(0.001)
    metrics.learning_rate_reduced()
    for split in SPLITS:
        metrics.set_epoch_result(split, loss=0.5, quality=dict.fromkeys(EXPORTED_QUALITY, 0.9))
        metrics.set_dataset(split, examples=30, positive=10, negative=20)
    metrics.set_decision_threshold(0.4)
    metrics.set_best(0.31, epoch=3)
    metrics.set_early_stopping(1, patience_epochs=5)
    metrics.early_stopped()
    metrics.validation_finished(2.0)
    metrics.count_input_records(97, corrupt=2)
    metrics.checkpoint_saved(250, bytes=1024, seconds=0.2, retained=3)
    metrics.checkpoint_restored(200, seconds=0.3)
    metrics.checkpoint_failed()
    metrics.preemption_noticed()
    metrics.count_log_message(20)
    for layer in range(MAX_LAYERS):
        metrics.set_activations(f"encoder/{layer}", mean=0.1, std=0.2, zero_ratio=0.5, norm=3)


def families_in(registry: CollectorRegistry) -> Iterator[Exported]:
    for metric in registry.collect():
        if metric.name.startswith(PREFIX):
            name = metric.name + ("_total" if metric.type == "counter" else "")
            labels: dict[str, list[str]] = {}
            for sample in metric.samples:
                assert sample.labels["run"] == "quora"
                for label, value in sample.labels.items():
                    if label not in {"run", "le"} and value not in labels.setdefault(label, []):
                        labels[label].append(value)
            yield Exported(
                name, metric.type, metric.documentation, labels, bool(metric.samples)
            )


def exported() -> dict[str, Exported]:
    """Every family of a chief, by name."""
    registry = CollectorRegistry()
    exercise(RunMetrics(registry, run="quora"))
    return {family.name: family for family in families_in(registry)}


FAMILIES = exported()
