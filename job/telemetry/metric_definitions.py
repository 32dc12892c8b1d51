"""Every metric family that a run exports: its name, type, labels and meaning.

The names are public API: dashboards and alerts are written against them, and `docs/metrics.md`
lists them. `telemetry.run_metrics` gives the families values; nothing else creates one::

    families = MetricFamilies(CollectorRegistry(), run="quora", is_chief=True)
    families.loss.labels("quora", "validation").set(0.31)  # `run` first, then the others
"""

from itertools import product
from typing import Literal, TypeVar, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from job.config.monitors import ALL_METRICS

PREFIX = "siamese_"

Phase = Literal[
    "initializing",
    "restoring",
    "compiling",
    "training",
    "validating",
    "reporting",
    "draining",
    "succeeded",
    "failed",
]
CheckpointOperation = Literal["save", "restore"]
CheckpointResult = Literal["success", "failure", "skipped"]
RecordResult = Literal["ok", "corrupt"]
Level = Literal["debug", "info", "warning", "error", "critical"]

PHASES: tuple[Phase, ...] = get_args(Phase)
LEVELS: tuple[Level, ...] = get_args(Level)
OPERATIONS: tuple[CheckpointOperation, ...] = get_args(CheckpointOperation)
EXPORTED_QUALITY = tuple(name for name, it in ALL_METRICS.items() if it.is_exported)

BUILD_LABELS = (
    "version", "revision", "python_version", "tensorflow_version", "keras_version",
)  # fmt: skip
RUN_LABELS = (
    "run_id", "encoder", "head", "loss", "optimizer", "global_batch_size", "learning_rate",
    "precision", "strategy", "dataset", "monitor", "seed", "config_hash",
)  # fmt: skip
STEP_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
CHECKPOINT_BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

_Family = TypeVar("_Family", Counter, Gauge, Histogram, Summary)


class MetricFamilies:
    """The families as Prometheus objects; every family has the label `run` first.

    The series of counters and timers exist from the start, at 0, because PromQL's `increase`
    ignores the first value of a series. The series of a measurement appears with its first
    value, because 0 would be wrong.

    Args:
        registry: Where they are registered.
        run: Value of the label `run`.
        is_chief: Whether the series that only the chief has exist from the start, too.
    """

    def __init__(self, registry: CollectorRegistry, *, run: str, is_chief: bool) -> None:
        self._registry = registry
        self._run = run
        self._is_chief = is_chief
        self._declare_run()
        self._declare_progress()
        self._declare_training()
        self._declare_quality()
        self._declare_data()
        self._declare_checkpoints()
        self._declare_activations()

    def _gauge(self, name: str, help: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, help, ("run", *labels), registry=self._registry)

    def _counter(
        self, name: str, help: str, *, chief_only: bool = False, **labels: tuple[str, ...]
    ) -> Counter:
        family = Counter(PREFIX + name, help, ("run", *labels), registry=self._registry)
        return self._from_zero(family, *labels.values(), chief_only=chief_only)

    def _from_zero(
        self, family: _Family, *values: tuple[str, ...], chief_only: bool = False
    ) -> _Family:
        """Creates the series of every combination of the labels' values."""
        if self._is_chief or not chief_only:
            for labels in product(*values):
                family.labels(self._run, *labels)
        return family

    def _declare_run(self) -> None:
        gauge, counter = self._gauge, self._counter
        self.build_info = gauge("build_info", "Versions of the software; 1.", *BUILD_LABELS)
        self.run_info = gauge("run_info", "What the run was configured to do; 1.", *RUN_LABELS)
        self.run_phase = gauge(
            "run_phase", "1 for the phase the run is in, 0 for every other.", "phase"
        )
        self.run_start = gauge(
            "run_start_timestamp_seconds", "When the first attempt of the run began."
        )
        self.attempt_start = gauge(
            "attempt_start_timestamp_seconds", "When this process began."
        )
        self.run_attempts = gauge(
            "run_attempts", "Processes the run has had, this one included; over all attempts."
        )
        self.preemption_notices = counter(
            "preemption_notices_total", "SIGTERMs this process received."
        )
        self.log_messages = counter(
            "log_messages_total", "Lines this process logged, by severity.", level=LEVELS
        )

    def _declare_progress(self) -> None:
        gauge = self._gauge
        self.last_progress = gauge(
            "last_progress_timestamp_seconds",
            "When this process last finished a step, a batch of validation or a file.",
        )
        self.eta = gauge("eta_timestamp_seconds", "When training is expected to end.")
        self.global_step = gauge(
            "global_step", "Optimizer steps taken since the run began; over all attempts."
        )
        self.epoch = gauge("epoch", "Completed epochs; over all attempts.")
        self.target_steps = gauge(
            "target_steps", "Optimizer steps the run is configured to take."
        )
        self.target_epochs = gauge("target_epochs", "Epochs the run is configured to take.")
        self.progress = gauge("progress_ratio", "Optimizer steps taken over those to take.")

    def _declare_training(self) -> None:
        gauge, counter = self._gauge, self._counter
        self.train_steps = counter(
            "train_steps_total", "Optimizer steps this process took, repeated ones included."
        )
        self.train_examples = counter("train_examples_total", "Pairs this process trained on.")
        self.train_nonfinite_steps = counter(
            "train_nonfinite_steps_total", "Optimizer steps whose loss was not a finite number."
        )
        self.train_step_duration = self._from_zero(
            Histogram(
                f"{PREFIX}train_step_duration_seconds",
                "Wall time of one optimizer step; the mean of a call is observed once.",
                ("run",),
                registry=self._registry,
                buckets=STEP_BUCKETS,
            )
        )
        self.learning_rate = gauge("learning_rate", "Learning rate of the last optimizer step.")
        self.learning_rate_reductions = counter(
            "learning_rate_reductions_total",
            "Times this process cut the learning rate.",
            chief_only=True,
        )

    def _declare_quality(self) -> None:
        gauge = self._gauge
        self.loss = gauge(
            "loss",
            "Mean loss: of the epoch so far in training, else of the last evaluation.",
            "split",
        )
        self.quality = gauge(
            "quality_ratio",
            "Quality in [0, 1] at the last evaluation; of eer a small value is good.",
            "split",
            "metric",
        )
        self.decision_threshold = gauge(
            "decision_threshold", "Score from which a pair counts as a match."
        )
        self.best_value = gauge(
            "monitor_best_value", "Best value of the monitored measurement so far."
        )
        self.best_epoch = gauge(
            "best_epoch", "Completed epochs when the best value was measured."
        )
        self.epochs_since_improvement = gauge(
            "epochs_since_improvement", "Epochs since the monitored measurement improved."
        )
        self.patience_epochs = gauge(
            "early_stopping_patience_epochs",
            "Epochs without improvement that end training; 0 when early stopping is off.",
        )
        self.early_stopped = self._from_zero(
            gauge("early_stopped", "1 when a callback ended training."), chief_only=True
        )
        self.validation_duration = self._from_zero(
            Summary(
                f"{PREFIX}validation_duration_seconds",
                "Wall time of one evaluation on the validation split.",
                ("run",),
                registry=self._registry,
            ),
            chief_only=True,
        )

    def _declare_data(self) -> None:
        gauge, counter = self._gauge, self._counter
        self.dataset_examples = gauge(
            "dataset_examples", "Distinct items that the pairs of a split use.", "split"
        )
        self.dataset_pairs = gauge(
            "dataset_pairs", "Pairs of a split, by label.", "split", "pair"
        )
        self.input_records = counter(
            "input_records_total",
            "Input rows this process read, by what became of them.",
            result=get_args(RecordResult),
        )

    def _declare_checkpoints(self) -> None:
        gauge, counter = self._gauge, self._counter
        self.checkpoint_duration = self._from_zero(
            Histogram(
                f"{PREFIX}checkpoint_duration_seconds",
                "Wall time of one checkpoint operation, end to end.",
                ("run", "operation"),
                registry=self._registry,
                buckets=CHECKPOINT_BUCKETS,
            ),
            OPERATIONS,
            chief_only=True,
        )
        self.checkpoint_operations = counter(
            "checkpoint_operations_total",
            "Checkpoint operations this process tried, by how they ended.",
            chief_only=True,
            operation=OPERATIONS,
            result=get_args(CheckpointResult),
        )
        self.checkpoint_last_success = self._from_zero(
            gauge(
                "checkpoint_last_success_timestamp_seconds",
                "When this process last committed a checkpoint; 0 is never.",
            ),
            chief_only=True,
        )
        self.checkpoint_last_step = gauge(
            "checkpoint_last_step", "Optimizer step of the newest committed checkpoint."
        )
        self.checkpoint_bytes = gauge(
            "checkpoint_bytes", "Size of the newest committed checkpoint."
        )
        self.checkpoints_retained = gauge(
            "checkpoints_retained", "Committed checkpoints that are kept."
        )

    def _declare_activations(self) -> None:
        gauge = self._gauge
        # `layer`: those in `callbacks.activations.metric_layers`, at most 12.
        self.activation_mean = gauge(
            "activation_mean",
            "Mean activation of a layer for the first validation pair.",
            "layer",
        )
        self.activation_std = gauge(
            "activation_std", "Standard deviation of a layer's activations for it.", "layer"
        )
        self.activation_zero_ratio = gauge(
            "activation_zero_ratio",
            "Share of a layer's activations for it that are 0.",
            "layer",
        )
        self.activation_norm = gauge(
            "activation_norm", "Euclidean norm of a layer's activations for it.", "layer"
        )
