"""Gives a run's metric families their values, one method for each thing that happens in a run.

`telemetry.metric_definitions` declares the families. Counters belong to this process. What
outlives it (steps, epochs, attempts, the best value) is a gauge that the caller restores from
the run's state, since PromQL would take a restored counter for a reset::

    metrics = RunMetrics(CollectorRegistry(), run="quora")
    metrics.set_phase("training")
    metrics.observe_steps(16, seconds=0.8, examples=4096)
"""

import time
from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from job.telemetry.logs.events import severity
from job.telemetry.metric_definitions import (
    EXPORTED_QUALITY,
    PHASES,
    CheckpointOperation,
    MetricFamilies,
    Phase,
)
from job.types import Split


class RunMetrics:
    """The metrics of one process of one run.

    Building one stops the Prometheus client of this process from exporting `_created` series,
    which say nothing that the start timestamps do not.

    Args:
        registry: Where the families and the client's own collectors (process, platform, garbage
            collector) are registered; each registry takes one `RunMetrics`.
        run: Name of the run, the value of the label `run` on every family.
        chief: Whether this is worker 0; the others export only what each worker has.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        run: str,
        chief: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._run = run
        self._phase: Phase | None = None
        self._families = MetricFamilies(registry, run=run, is_chief=chief)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._set(self._families.attempt_start, clock())
        self.set_phase("initializing")
        self.heartbeat()

    # The run and its attempts.

    def set_phase(self, phase: Phase) -> None:
        """Says what the run is doing now."""
        if phase == self._phase:
            return  # the loop says so after every call
        self._phase = phase
        for other in PHASES:
            self._set(self._families.run_phase, other == phase, other)

    def describe_build(self, **labels: str) -> None:
        """Says which software runs; takes the labels of `siamese_build_info`, all of them."""
        self._describe(self._families.build_info, labels)

    def describe_run(self, **labels: str | int | float) -> None:
        """Says what the run was configured to do; takes all labels of `siamese_run_info`."""
        self._describe(self._families.run_info, labels)

    def start_attempt(self, attempts: int, *, run_started: float) -> None:
        """Records how many processes the run has had, and when (since 1970) the first began."""
        self._set(self._families.run_attempts, attempts)
        self._set(self._families.run_start, run_started)

    def preemption_noticed(self) -> None:
        """Counts a SIGTERM, once the run has ended for it."""
        self._families.preemption_notices.labels(self._run).inc()

    def count_log_message(self, levelno: int) -> None:
        """Counts one log line by its numeric severity, rounded down to a standard one."""
        self._families.log_messages.labels(self._run, severity(levelno).lower()).inc()

    # Progress.

    def heartbeat(self) -> None:
        """Says that something finished just now; the stall alert watches this."""
        self._set(self._families.last_progress, self._clock())

    def set_targets(self, steps: int, *, epochs: int) -> None:
        """Records the planned length of training."""
        self._set(self._families.target_steps, steps)
        self._set(self._families.target_epochs, epochs)

    def set_position(self, global_step: int, *, epoch: int, target_steps: int) -> None:
        """Records steps since the run began and completed epochs."""
        self._set(self._families.global_step, global_step)
        self._set(self._families.epoch, epoch)
        self._set(self._families.progress, min(global_step / target_steps, 1.0))

    def set_remaining(self, seconds: float) -> None:
        """Records how long training is still expected to take."""
        self._set(self._families.eta, self._clock() + seconds)

    # Training.

    def observe_steps(
        self, steps: int, *, seconds: float | None, examples: int, nonfinite: int = 0
    ) -> None:
        """Records the optimizer steps of one call into the compiled function.

        Args:
            steps: How many; >= 1.
            seconds: Wall time of the whole call, whose mean over the steps is observed once.
                None for a call that also compiled: its time says nothing about a step's.
            examples: Pairs in those steps.
            nonfinite: How many of the steps had a loss that is not a finite number.
        """
        families = self._families
        families.train_steps.labels(self._run).inc(steps)
        families.train_examples.labels(self._run).inc(examples)
        families.train_nonfinite_steps.labels(self._run).inc(nonfinite)
        if seconds is not None:
            families.train_step_duration.labels(self._run).observe(seconds / steps)
        self.heartbeat()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Records the learning rate of the last step."""
        self._set(self._families.learning_rate, learning_rate)

    def learning_rate_reduced(self) -> None:
        """Counts a cut of the learning rate."""
        self._families.learning_rate_reductions.labels(self._run).inc()

    # Quality.

    def set_epoch_result(
        self, split: Split, *, loss: float | None = None, quality: Mapping[str, float]
    ) -> None:
        """Records what was measured on one split.

        Args:
            split: On which.
            loss: Mean loss; None when it was not measured.
            quality: Measurements by name; those of `EXPORTED_QUALITY` are exported.
        """
        if loss is not None:
            self._set(self._families.loss, loss, split)
        for name in EXPORTED_QUALITY:
            if name in quality:
                self._set(self._families.quality, quality[name], split, name)

    def set_decision_threshold(self, threshold: float) -> None:
        """Records the score from which a pair counts as a match."""
        self._set(self._families.decision_threshold, threshold)

    def set_best(self, value: float, *, epoch: int) -> None:
        """Records the best value of the monitored measurement and when it was measured."""
        self._set(self._families.best_value, value)
        self._set(self._families.best_epoch, epoch)

    def set_early_stopping(
        self, epochs_since_improvement: int, *, patience_epochs: int
    ) -> None:
        """Records how close early stopping is; patience 0 is never."""
        self._set(self._families.epochs_since_improvement, epochs_since_improvement)
        self._set(self._families.patience_epochs, patience_epochs)

    def early_stopped(self) -> None:
        """Records that early stopping ended training."""
        self._set(self._families.early_stopped, 1)

    def validation_finished(self, seconds: float) -> None:
        """Records the wall time of one evaluation on the validation split."""
        self._families.validation_duration.labels(self._run).observe(seconds)
        self.heartbeat()

    def set_activations(
        self, layer: str, *, mean: float, std: float, zero_ratio: float, norm: float
    ) -> None:
        """Records the activations of a layer for one validation pair; at most 12 layers."""
        self._set(self._families.activation_mean, mean, layer)
        self._set(self._families.activation_std, std, layer)
        self._set(self._families.activation_zero_ratio, zero_ratio, layer)
        self._set(self._families.activation_norm, norm, layer)

    # Data.

    def set_dataset(self, split: Split, *, examples: int, positive: int, negative: int) -> None:
        """Records the distinct items, matching and other pairs of a split."""
        self._set(self._families.dataset_examples, examples, split)
        self._set(self._families.dataset_pairs, positive, split, "positive")
        self._set(self._families.dataset_pairs, negative, split, "negative")

    def count_input_records(self, ok: int, *, corrupt: int = 0) -> None:
        """Counts input rows read: used, and quarantined."""
        self._families.input_records.labels(self._run, "ok").inc(ok)
        self._families.input_records.labels(self._run, "corrupt").inc(corrupt)

    # Checkpoints.

    def checkpoint_saved(self, step: int, *, bytes: int, seconds: float, retained: int) -> None:
        """Records the checkpoint of `step`, and how many are retained after its commit."""
        self._checkpoint_done("save", seconds)
        self._set(self._families.checkpoint_last_success, self._clock())
        self._set(self._families.checkpoint_last_step, step)
        self._set(self._families.checkpoint_bytes, bytes)
        self._set(self._families.checkpoints_retained, retained)

    def checkpoint_restored(self, step: int, *, seconds: float) -> None:
        """Records that the run resumes from the committed checkpoint of `step`."""
        self._checkpoint_done("restore", seconds)
        self._set(self._families.checkpoint_last_step, step)

    def checkpoint_failed(self) -> None:
        """Counts a save that failed."""
        self._families.checkpoint_operations.labels(self._run, "save", "failure").inc()

    def checkpoint_skipped(self) -> None:
        """Counts a periodic save that was left out, because the one before is in flight."""
        self._families.checkpoint_operations.labels(self._run, "save", "skipped").inc()

    def _checkpoint_done(self, operation: CheckpointOperation, seconds: float) -> None:
        self._families.checkpoint_duration.labels(self._run, operation).observe(seconds)
        self._families.checkpoint_operations.labels(self._run, operation, "success").inc()
        self.heartbeat()

    def _set(self, gauge: Gauge, value: float, *labels: str) -> None:
        gauge.labels(self._run, *labels).set(value)

    def _describe(self, info: Gauge, labels: Mapping[str, object]) -> None:
        """Sets an info gauge to 1 under the given labels and removes its previous series.

        Raises:
            ValueError: A label is missing or unknown.
        """
        # The exposition is UTF-8: one lone surrogate in a label would fail every scrape.
        encodable = {
            name: str(value).encode("utf-8", "backslashreplace").decode()
            for name, value in labels.items()
        }
        info.clear()
        info.labels(run=self._run, **encodable).set(1)
