"""Gives a run's metric families their values, one method for each thing that happens in a run.

The families are declared in `telemetry.families`. Counters belong to this process; what must
outlive it (steps, epochs, attempts, the best value) is a gauge that the caller restores from
the run's state, since a counter carried over would look to PromQL like a reset::

    metrics = RunMetrics(CollectorRegistry(), run="quora")
    metrics.set_phase("training")
    metrics.observe_steps(16, seconds=0.8, examples=4096)
"""

import time
from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from job.telemetry.metric_definitions import (
    LEVELS,
    PHASES,
    CheckpointOperation,
    Phase,
    metrics_table,
)
from job.telemetry.metric_registry import BoundFamilies
from job.types import Split

__all__ = ["RunMetrics", "metrics_table"]


class RunMetrics:
    """The metrics of one process of one run.

    Building one stops the Prometheus client of this process from exporting `_created` series,
    which say nothing that the start timestamps do not.

    Args:
        registry: Where the families, and the client's own about process, platform and garbage
            collector, are registered; each registry takes one `RunMetrics`.
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
        self._phase: Phase | None = None
        self._families = BoundFamilies(registry, run=run, chief=chief)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._families.set("attempt_start_timestamp_seconds", clock())
        self.set_phase("initializing")
        self.heartbeat()

    # The run and its attempts.

    def set_phase(self, phase: Phase) -> None:
        """Says what the run is doing now."""
        if phase == self._phase:
            return  # the loop says so after every call
        self._phase = phase
        for other in PHASES:
            self._families.set("run_phase", float(other == phase), phase=other)

    def describe_build(self, **labels: str) -> None:
        """Says which software runs; takes the labels of `siamese_build_info`, all of them."""
        self._families.describe("build_info", labels)

    def describe_run(self, **labels: str | int | float) -> None:
        """Says what the run was configured to do; takes all labels of `siamese_run_info`."""
        self._families.describe("run_info", labels)

    def start_attempt(self, attempts: int, *, run_started: float) -> None:
        """Records which process of the run this is.

        Args:
            attempts: Processes the run has had, this one included; >= 1.
            run_started: When the first of them began; seconds since 1970.
        """
        self._families.set("run_attempts", attempts)
        self._families.set("run_start_timestamp_seconds", run_started)

    def preemption_noticed(self) -> None:
        """Counts a SIGTERM. Call it at a step's end: a signal handler must take no locks."""
        self._families.count("preemption_notices_total")

    def count_log_message(self, levelno: int) -> None:
        """Counts one log line by its numeric severity, rounded down to a standard one."""
        level = LEVELS[min(max(levelno // 10 - 1, 0), len(LEVELS) - 1)]
        self._families.count("log_messages_total", level=level)

    # Progress.

    def heartbeat(self) -> None:
        """Says that something finished just now; the stall alert watches this."""
        self._families.set("last_progress_timestamp_seconds", self._clock())

    def set_targets(self, steps: int, *, epochs: int) -> None:
        """Records how far training is to go; 0 where it is open ended."""
        self._families.set("target_steps", steps)
        self._families.set("target_epochs", epochs)

    def set_position(self, global_step: int, *, epoch: int, target_steps: int) -> None:
        """Records where training stands.

        Args:
            global_step: Optimizer steps since the run began.
            epoch: Completed epochs.
            target_steps: Optimizer steps to take in all; 0 leaves the share out.
        """
        self._families.set("global_step", global_step)
        self._families.set("epoch", epoch)
        if target_steps > 0:
            self._families.set("progress_ratio", min(global_step / target_steps, 1.0))

    def set_remaining(self, seconds: float) -> None:
        """Records how long training is still expected to take."""
        self._families.set("eta_timestamp_seconds", self._clock() + seconds)

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
        self._families.count("train_steps_total", steps)
        self._families.count("train_examples_total", examples)
        self._families.count("train_nonfinite_steps_total", nonfinite)
        if seconds is not None:
            self._families.observe("train_step_duration_seconds", seconds / steps)
        self.heartbeat()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Records the learning rate of the last step."""
        self._families.set("learning_rate", learning_rate)

    def learning_rate_reduced(self) -> None:
        """Counts a cut of the learning rate."""
        self._families.count("learning_rate_reductions_total")

    # Quality.

    def set_epoch_result(
        self, split: Split, *, loss: float | None = None, quality: Mapping[str, float]
    ) -> None:
        """Records what was measured on one split.

        Args:
            split: On which.
            loss: Mean loss; None when it was not measured.
            quality: Values in [0, 1] by name, from `metric_definitions.EXPORTED_QUALITY`.

        Raises:
            ValueError: A name is none of those.
        """
        if loss is not None:
            self._families.set("loss", loss, split=split)
        for name, value in quality.items():
            self._families.set("quality_ratio", value, split=split, metric=name)

    def set_decision_threshold(self, threshold: float) -> None:
        """Records the score from which a pair counts as a match."""
        self._families.set("decision_threshold", threshold)

    def set_best(self, value: float, *, epoch: int) -> None:
        """Records the best value of the monitored measurement and when it was measured."""
        self._families.set("monitor_best_value", value)
        self._families.set("best_epoch", epoch)

    def set_early_stopping(
        self, epochs_since_improvement: int, *, patience_epochs: int
    ) -> None:
        """Records how near the run is to being ended early; patience 0 is never."""
        self._families.set("epochs_since_improvement", epochs_since_improvement)
        self._families.set("early_stopping_patience_epochs", patience_epochs)

    def early_stopped(self) -> None:
        """Records that early stopping ended training."""
        self._families.set("early_stopped", 1)

    def validation_finished(self, seconds: float) -> None:
        """Records the wall time of one evaluation on the validation split."""
        self._families.observe("validation_duration_seconds", seconds)
        self.heartbeat()

    def set_activations(
        self, layer: str, *, mean: float, std: float, zero_ratio: float, norm: float
    ) -> None:
        """Records how a layer answers to one validation pair.

        Args:
            layer: Its name; one of at most 12.
            mean: Mean of its activations.
            std: Their standard deviation.
            zero_ratio: Share of them that are 0, in [0, 1].
            norm: Square root of the sum of their squares.
        """
        self._families.set("activation_mean", mean, layer=layer)
        self._families.set("activation_std", std, layer=layer)
        self._families.set("activation_zero_ratio", zero_ratio, layer=layer)
        self._families.set("activation_norm", norm, layer=layer)

    # Data.

    def set_dataset(self, split: Split, *, examples: int, positive: int, negative: int) -> None:
        """Records the size of a split.

        Args:
            split: Which.
            examples: Distinct items its pairs use.
            positive: Pairs that match.
            negative: Pairs that do not.
        """
        self._families.set("dataset_examples", examples, split=split)
        self._families.set("dataset_pairs", positive, split=split, pair="positive")
        self._families.set("dataset_pairs", negative, split=split, pair="negative")

    def count_input_records(self, ok: int, *, corrupt: int = 0, filtered: int = 0) -> None:
        """Counts input rows read: used, quarantined, and left out on purpose."""
        self._families.count("input_records_total", ok, result="ok")
        self._families.count("input_records_total", corrupt, result="corrupt")
        self._families.count("input_records_total", filtered, result="filtered")

    # Checkpoints.

    def checkpoint_saved(self, step: int, *, bytes: int, seconds: float, retained: int) -> None:
        """Records a committed checkpoint.

        Args:
            step: Optimizer step it holds.
            bytes: Its size.
            seconds: From the start of the save to the commit.
            retained: Committed checkpoints kept afterwards.
        """
        self._checkpoint_done("save", seconds)
        self._families.set("checkpoint_last_success_timestamp_seconds", self._clock())
        self._families.set("checkpoint_last_step", step)
        self._families.set("checkpoint_bytes", bytes)
        self._families.set("checkpoints_retained", retained)

    def checkpoint_restored(self, step: int, *, seconds: float) -> None:
        """Records that the run goes on from the committed checkpoint of `step`."""
        self._checkpoint_done("restore", seconds)
        self._families.set("checkpoint_last_step", step)

    def checkpoint_deleted(self, seconds: float) -> None:
        """Records that an old checkpoint was removed."""
        self._checkpoint_done("delete", seconds)

    def checkpoint_failed(self, operation: CheckpointOperation = "save") -> None:
        """Counts a checkpoint operation that failed."""
        self._families.count(
            "checkpoint_operations_total", operation=operation, result="failure"
        )

    def _checkpoint_done(self, operation: CheckpointOperation, seconds: float) -> None:
        self._families.observe("checkpoint_duration_seconds", seconds, operation=operation)
        self._families.count(
            "checkpoint_operations_total", operation=operation, result="success"
        )
        self.heartbeat()
