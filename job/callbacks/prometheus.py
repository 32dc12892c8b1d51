"""Tells the Prometheus families what training does."""

from collections.abc import Callable, Mapping

import keras

from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import RunCallback, TrainCall
from job.telemetry.metric_definitions import Phase
from job.telemetry.run_metrics import RunMetrics
from job.types import Position

_VALIDATION_PREFIX = "val_"


class MetricsCallback(RunCallback):
    """Exports position, speed, loss, quality and the best epoch.

    Args:
        metrics: The families.
        set_phase: Tells every listener what the run does.
        position: Tells where training stands.
        best: The best epoch so far.
        pairs_per_step: The global batch size.
        target_steps: Optimizer steps of the whole run.
        nonfinite_steps: Counts the steps of this process whose loss was no finite number.
        early_stopping: Its counter and patience are exported; None when it is off.
    """

    def __init__(
        self,
        metrics: RunMetrics,
        *,
        set_phase: Callable[[Phase], None],
        position: Callable[[], Position],
        best: BestEpoch,
        pairs_per_step: int,
        target_steps: int,
        nonfinite_steps: Callable[[], int],
        early_stopping: keras.callbacks.EarlyStopping | None,
    ) -> None:
        super().__init__()
        self._metrics = metrics
        self._set_phase = set_phase
        self._position = position
        self._best = best
        self._pairs_per_step = pairs_per_step
        self._target_steps = target_steps
        self._early_stopping = early_stopping
        self._nonfinite_steps = nonfinite_steps
        self._nonfinite_before = 0
        self._rate = 0.0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._set_phase("compiling")
        self._show_position()

    def on_state_ready(self) -> None:
        self._show_learning_rate()

    def on_call_end(self, call: TrainCall) -> None:
        nonfinite = self._nonfinite_steps() - self._nonfinite_before
        self._nonfinite_before += nonfinite
        self._set_phase("training")
        self._metrics.observe_steps(
            call.steps,
            seconds=call.seconds,
            examples=call.steps * self._pairs_per_step,
            nonfinite=nonfinite,
        )
        self._metrics.set_epoch_result("train", loss=call.logs["loss"], quality={})
        self._show_learning_rate()
        self._show_position()

    def on_validation(self, measured: Mapping[str, float]) -> None:
        self._show_validation(measured)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        measured = dict(logs or {})
        self._metrics.set_epoch_result(
            "train", loss=measured["loss"], quality={"accuracy": measured["accuracy"]}
        )
        self._show_validation(measured)
        if self.learning_rate() < self._rate:
            self._metrics.learning_rate_reduced()
        self._show_learning_rate()
        self._show_best(epoch)
        self._show_position()

    def _show_validation(self, measured: Mapping[str, float]) -> None:
        validation = {
            name.removeprefix(_VALIDATION_PREFIX): value
            for name, value in measured.items()
            if name.startswith(_VALIDATION_PREFIX)
        }
        loss = validation.pop("loss", None)
        self._metrics.set_epoch_result("validation", loss=loss, quality=validation)

    def _show_learning_rate(self) -> None:
        self._rate = self.learning_rate()
        self._metrics.set_learning_rate(self._rate)

    def _show_best(self, epoch: int) -> None:
        best = self._best.best
        if best is not None:
            self._metrics.set_best(best.value, epoch=best.epoch)
        stopping = self._early_stopping
        since_best = epoch + 1 - (best.epoch if best else 0)
        self._metrics.set_early_stopping(
            stopping.wait if stopping else since_best,
            patience_epochs=stopping.patience if stopping else 0,
        )
        if self.model.stop_training:
            self._metrics.early_stopped()

    def _show_position(self) -> None:
        position = self._position()
        self._metrics.set_position(
            position.global_step, epoch=position.epoch, target_steps=self._target_steps
        )
