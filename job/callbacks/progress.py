"""Tells a person how training goes."""

import logging
from collections.abc import Callable, Mapping

from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import RunCallback, TrainCall
from job.config.monitors import LOGGED
from job.telemetry.logs.events import LogValue
from job.telemetry.progress_reporter import Measured, ProgressReporter
from job.telemetry.run_metrics import RunMetrics
from job.types import Position

log = logging.getLogger(__name__)


class ProgressCallback(RunCallback):
    """Feeds the progress reporter, and logs one line for each epoch.

    Args:
        reporter: Decides what is shown when.
        metrics: Gets the expected end.
        position: Tells where training stands.
        best: The best epoch so far.
        pairs_per_step: The global batch size.
        epochs: Of the whole run.
    """

    def __init__(
        self,
        reporter: ProgressReporter,
        *,
        metrics: RunMetrics,
        position: Callable[[], Position],
        best: BestEpoch,
        pairs_per_step: int,
        epochs: int,
    ) -> None:
        super().__init__()
        self._reporter = reporter
        self._metrics = metrics
        self._position = position
        self._best = best
        self._pairs_per_step = pairs_per_step
        self._epochs = epochs
        self._rate = 0.0

    def on_state_ready(self) -> None:
        self._rate = self.learning_rate()

    def on_call_end(self, call: TrainCall) -> None:
        position, self._rate = self._position(), self.learning_rate()
        self._reporter.update(
            position.global_step,
            epoch=position.epoch,
            steps=call.steps,
            seconds=call.seconds,
            examples=call.steps * self._pairs_per_step,
            measured=Measured(
                call.logs["loss"],
                call.logs["accuracy"],
                learning_rate=self._rate,
            ),
        )
        if self._reporter.eta_seconds is not None:
            self._metrics.set_remaining(self._reporter.eta_seconds)

    def on_validation(self, measured: Mapping[str, float]) -> None:
        position = self._position()
        shown = {"step": position.global_step, "epoch": position.epoch + 1}
        log.info("validated", extra={**shown, **_rounded(measured)})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        number = LogValue(
            f"{epoch + 1}/{self._epochs}", {"epoch": epoch + 1, "target_epochs": self._epochs}
        )
        shown: dict[str, object] = {"epoch": number}
        measured = logs or {}
        # In the order of the table: Keras hands logs over in the order of the alphabet.
        shown |= _rounded(measured)
        best = self._best.best
        if best is not None:
            shown["best"] = f"{best.monitor}={best.value:.4f} at epoch {best.epoch}"
        log.info("epoch finished", extra=shown)
        # Not the rate in the logs: ReduceLROnPlateau puts the optimizer's variable there.
        rate = self.learning_rate()
        if rate < self._rate:
            log.info("learning rate reduced", extra={"learning_rate": rate})
        if self.model.stop_training:
            log.info("training stops early", extra={"epoch": epoch + 1})

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._reporter.finish()


def _rounded(measured: Mapping[str, float]) -> dict[str, float]:
    return {name: round(measured[name], 4) for name in LOGGED if name in measured}
