"""The book's activation logger: the output of every layer for one validation pair, per epoch.

Source: Chollet, Deep Learning with Python, 1st edition, section 7.2.1.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from job.callbacks.callback_list import RunCallback
from job.checkpoints.fenced_files import EpochFiles
from job.checkpoints.serialization import encode_npz
from job.config.suggest import did_you_mean
from job.errors import ConfigError
from job.models.activation_probe import Activations, statistics_of
from job.telemetry.listener import Listeners
from job.types import Position

log = logging.getLogger(__name__)

DIRECTORY = "activations"


class ActivationsCallback(RunCallback):
    """Writes a file at each epoch's end and exports statistics of the selected layers.

    A process killed between an epoch's commit and its file left no file. The next process
    starts with the weights of that commit, and writes the file first.

    Args:
        probe: Computes the activations with the current weights.
        files: Where they are written.
        listener: Receives the statistics of `metric_layers`.
        metric_layers: Names of layers, see `require_layers`.
        position: Reads the current position.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        probe: Callable[[], Activations],
        files: EpochFiles,
        listener: Listeners,
        metric_layers: Sequence[str],
        position: Callable[[], Position],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._probe = probe
        self._files = files
        self._listener = listener
        self._metric_layers = metric_layers
        self._position = position
        self._clock = clock

    def on_state_ready(self) -> None:
        position = self._position()
        is_epoch_end = position.epoch > 0 and position.step_in_epoch == 0
        if is_epoch_end and position.epoch not in self._files.epochs():
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
            self._listener.set_activations(layer, **asdict(statistics_of(activations, layer)))
        self._listener.heartbeat()


def require_layers(wanted: Sequence[str], *, known: Sequence[str]) -> None:
    """Rejects `callbacks.activations.metric_layers` that the model does not have.

    Raises:
        ConfigError: One of them is unknown.
    """
    for index, name in enumerate(wanted):
        if name not in known:
            raise ConfigError(
                f"callbacks.activations.metric_layers.{index}: the model has no layer "
                f"'{name}'.{did_you_mean(name, known)} Available: {', '.join(known)}."
            )
