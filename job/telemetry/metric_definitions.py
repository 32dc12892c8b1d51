"""Every metric family that a run exports, in one table: its name, type, labels and meaning.

The names are public API (dashboards and alerts are written against them), and `docs/metrics.md`
shows this table. `telemetry.metrics` gives the families values; nothing else creates one::

    RunMetrics(CollectorRegistry(), run="quora").set_phase("training")
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from job.config.monitors import QUALITY_METRICS
from job.types import SPLITS

PREFIX = "siamese_"

Kind = Literal["gauge", "counter", "histogram", "summary"]
Scope = Literal["every worker", "chief"]
Phase = Literal[
    "initializing",
    "restoring",
    "compiling",
    "training",
    "validating",
    "checkpointing",
    "reporting",
    "draining",
    "succeeded",
    "failed",
]
CheckpointOperation = Literal["save", "restore", "delete"]
Level = Literal["debug", "info", "warning", "error", "critical"]

PHASES: tuple[Phase, ...] = get_args(Phase)
EXPORTED_QUALITY = tuple(name for name, it in QUALITY_METRICS.items() if it.is_exported)
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Label:
    """One label beside `run`.

    Attributes:
        name: As exported.
        values: The only values it may take; empty where they come from the run itself
            (versions, choices of the configuration, its layers).
    """

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """One metric family.

    Attributes:
        name: Without `PREFIX`.
        kind: Prometheus type.
        help: One sentence for the person who reads the endpoint.
        labels: Beside `run`, which every family carries.
        scope: Which workers export it.
        from_start: Whether its series exist, at 0, before anything happened. Counters and
            timers must (PromQL's `increase` ignores the first value of a series); a
            measurement must not (0 would be a lie).
        buckets: Upper bounds in seconds; histograms only.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    scope: Scope = "chief"
    from_start: bool = False
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name on the endpoint."""
        return PREFIX + self.name

    def known_label_sets(self) -> Iterator[dict[str, str]]:
        """Every combination of the labels' values; nothing when a label is open."""
        names = [label.name for label in self.labels]
        for values in product(*(label.values for label in self.labels)):
            yield dict(zip(names, values, strict=True))


def gauge(name: str, help: str, *labels: Label, scope: Scope = "chief") -> Family:
    """A value that is absent until it is known."""
    return Family(name, "gauge", help, labels, scope)


def gauge_from_zero(name: str, help: str, *labels: Label, scope: Scope = "chief") -> Family:
    """A value that truthfully is 0 before anything happened."""
    return Family(name, "gauge", help, labels, scope, from_start=True)


def counter(name: str, help: str, *labels: Label, scope: Scope = "chief") -> Family:
    """Something that this process counts, from 0."""
    return Family(name, "counter", help, labels, scope, from_start=True)


PHASE = Label("phase", PHASES)
SPLIT = Label("split", SPLITS)
METRIC = Label("metric", EXPORTED_QUALITY)
PAIR = Label("pair", ("positive", "negative"))
OPERATION = Label("operation", get_args(CheckpointOperation))
RESULT = Label("result", ("success", "failure"))
RECORD_RESULT = Label("result", ("ok", "corrupt", "filtered"))
LEVEL = Label("level", LEVELS)
LAYER = Label("layer")  # of those that `callbacks.activations.metric_layers` names, at most 12
BUILD_LABELS = tuple(
    Label(name)
    for name in (
        "version",
        "revision",
        "python_version",
        "tensorflow_version",
        "keras_version",
    )
)
RUN_LABELS = tuple(
    Label(name)
    for name in (
        "run_id",
        "encoder",
        "head",
        "loss",
        "optimizer",
        "global_batch_size",
        "learning_rate",
        "precision",
        "strategy",
        "dataset",
        "monitor",
        "seed",
        "config_hash",
    )
)

STEP_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
CHECKPOINT_BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

ABOUT_THE_RUN = (
    gauge("build_info", "Versions of the software; 1.", *BUILD_LABELS, scope="every worker"),
    gauge("run_info", "What the run was configured to do; 1.", *RUN_LABELS),
    gauge_from_zero(
        "run_phase",
        "1 for the phase the run is in, 0 for every other.",
        PHASE,
        scope="every worker",
    ),
    gauge("run_start_timestamp_seconds", "When the first attempt of the run began."),
    gauge("attempt_start_timestamp_seconds", "When this process began.", scope="every worker"),
    gauge("run_attempts", "Processes the run has had, this one included; over all attempts."),
    counter(
        "preemption_notices_total", "SIGTERMs this process received.", scope="every worker"
    ),
    counter(
        "log_messages_total",
        "Lines this process logged, by severity.",
        LEVEL,
        scope="every worker",
    ),
)
PROGRESS = (
    gauge(
        "last_progress_timestamp_seconds",
        "When this process last finished a step, a batch of validation or a file.",
        scope="every worker",
    ),
    gauge("eta_timestamp_seconds", "When training is expected to end."),
    gauge("global_step", "Optimizer steps taken since the run began; over all attempts."),
    gauge("epoch", "Completed epochs; over all attempts."),
    gauge("target_steps", "Optimizer steps the run is configured to take; 0 is open ended."),
    gauge("target_epochs", "Epochs the run is configured to take; 0 is open ended."),
    gauge("progress_ratio", "Optimizer steps taken over those to take."),
)
TRAINING = (
    counter(
        "train_steps_total",
        "Optimizer steps this process took, repeated ones included.",
        scope="every worker",
    ),
    counter("train_examples_total", "Pairs this process trained on.", scope="every worker"),
    counter(
        "train_nonfinite_steps_total",
        "Optimizer steps whose loss was not a finite number.",
        scope="every worker",
    ),
    Family(
        "train_step_duration_seconds",
        "histogram",
        "Wall time of one optimizer step; the mean of a call is observed once.",
        scope="every worker",
        from_start=True,
        buckets=STEP_BUCKETS,
    ),
    gauge("learning_rate", "Learning rate of the last optimizer step."),
    counter("learning_rate_reductions_total", "Times this process cut the learning rate."),
)
QUALITY = (
    gauge("loss", "Mean loss: of the last window of training, of the last evaluation.", SPLIT),
    gauge(
        "quality_ratio",
        "Quality in [0, 1] at the last evaluation; of eer a small value is good.",
        SPLIT,
        METRIC,
    ),
    gauge("decision_threshold", "Score from which a pair counts as a match."),
    gauge("monitor_best_value", "Best value of the monitored measurement so far."),
    gauge("best_epoch", "Completed epochs when the best value was measured."),
    gauge("epochs_since_improvement", "Epochs since the monitored measurement improved."),
    gauge(
        "early_stopping_patience_epochs",
        "Epochs without improvement that end training; 0 when early stopping is off.",
    ),
    gauge_from_zero("early_stopped", "1 when early stopping ended training."),
    Family(
        "validation_duration_seconds",
        "summary",
        "Wall time of one evaluation on the validation split.",
        from_start=True,
    ),
)
DATA = (
    gauge("dataset_examples", "Distinct items that the pairs of a split use.", SPLIT),
    gauge("dataset_pairs", "Pairs of a split, by label.", SPLIT, PAIR),
    counter(
        "input_records_total",
        "Input rows this process read, by what became of them.",
        RECORD_RESULT,
        scope="every worker",
    ),
)
CHECKPOINTS = (
    Family(
        "checkpoint_duration_seconds",
        "histogram",
        "Wall time of one checkpoint operation, end to end.",
        (OPERATION,),
        from_start=True,
        buckets=CHECKPOINT_BUCKETS,
    ),
    counter(
        "checkpoint_operations_total",
        "Checkpoint operations this process tried, by how they ended.",
        OPERATION,
        RESULT,
    ),
    gauge_from_zero(
        "checkpoint_last_success_timestamp_seconds",
        "When this process last committed a checkpoint; 0 is never.",
    ),
    gauge("checkpoint_last_step", "Optimizer step of the newest committed checkpoint."),
    gauge("checkpoint_bytes", "Size of the newest committed checkpoint."),
    gauge("checkpoints_retained", "Committed checkpoints that are kept."),
)

ACTIVATIONS = (
    gauge(
        "activation_mean", "Mean activation of a layer for the first validation pair.", LAYER
    ),
    gauge("activation_std", "Standard deviation of a layer's activations for it.", LAYER),
    gauge("activation_zero_ratio", "Share of a layer's activations for it that are 0.", LAYER),
    gauge("activation_norm", "Euclidean norm of a layer's activations for it.", LAYER),
)

FAMILIES: tuple[Family, ...] = (
    ABOUT_THE_RUN + PROGRESS + TRAINING + QUALITY + DATA + CHECKPOINTS + ACTIVATIONS
)


def metrics_table() -> str:
    """The families as a Markdown table, for `docs/metrics.md`.

    Returns:
        One row a family in the order of `FAMILIES`, ending with a newline.
    """
    rows = [
        ("family", "type", "labels beside `run`", "exported by", "meaning"),
        ("---",) * 5,
    ]
    for family in FAMILIES:
        labels = "; ".join(
            f"`{label.name}`" + (f": {', '.join(label.values)}" if label.values else "")
            for label in family.labels
        )
        rows.append((f"`{family.full_name}`", family.kind, labels, family.scope, family.help))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
