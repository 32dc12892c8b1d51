"""The book's activation logger: what every layer makes of one validation pair, epoch by epoch.

Source: Chollet, Deep Learning with Python, 1st edition, section 7.2.1.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import keras

from job.checkpoints.epoch_artifacts import EpochArtifacts
from job.checkpoints.serialization import encode_npz
from job.config.suggest import did_you_mean
from job.errors import ConfigError
from job.models.activation_probe import Activations, statistics_of
from job.telemetry.run_metrics import RunMetrics
from job.types import Position

log = logging.getLogger(__name__)

FOLDER = "activations"


class ActivationsCallback(keras.callbacks.Callback):
    """Writes a file at each epoch's end and exports the layers that were asked for.

    A process that was killed between an epoch's commit and its file left none; the next one
    begins with the weights of that commit, and writes it first.

    Args:
        probe: Computes the activations under the weights of this moment.
        files: Where they are written.
        metrics: Gets the layers that `metric_layers` names.
        metric_layers: Names of layers, see `require_layers`.
        position: Tells where training stands.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        probe: Callable[[], Activations],
        files: EpochArtifacts,
        metrics: RunMetrics,
        metric_layers: Sequence[str],
        position: Callable[[], Position],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._probe = probe
        self._files = files
        self._metrics = metrics
        self._metric_layers = metric_layers
        self._position = position
        self._clock = clock

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        position = self._position()
        is_at_an_end = position.epoch > 0 and position.step_in_epoch == 0
        if is_at_an_end and position.epoch not in self._files.epochs():
            self._write(position.epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._write(epoch + 1)

    def _write(self, epoch: int) -> None:
        started = self._clock()
        activations = self._probe()
        data = encode_npz(activations)
        file = self._files.write(epoch, data)
        seconds = self._clock() - started
        log.info(
            "activations written",
            extra={"epoch": epoch, "file": file, "bytes": len(data), "seconds": seconds},
        )
        for layer in self._metric_layers:
            self._metrics.set_activations(layer, **asdict(statistics_of(activations, layer)))
        self._metrics.heartbeat()


def require_layers(wanted: Sequence[str], *, known: Sequence[str]) -> None:
    """Refuses a name that no layer has.

    Args:
        wanted: `callbacks.activations.metric_layers`.
        known: The layers that the model has.

    Raises:
        ConfigError: One of them is not known.
    """
    for index, name in enumerate(wanted):
        if name not in known:
            raise ConfigError(
                f"callbacks.activations.metric_layers.{index}: the model has no layer "
                f"'{name}'.{did_you_mean(name, known)} Name any of: {', '.join(known)}."
            )
