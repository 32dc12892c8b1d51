"""Callbacks that disturb a run from inside; `values.planted` ships this file with a release."""

import threading
import time
from pathlib import Path
from typing import Any

import keras

from job.telemetry import server

_FOR_EVER = threading.Event()


class Pace(keras.callbacks.Callback):
    """Makes training last, so that a scenario can act in the middle of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        time.sleep(self._seconds)


class DeafEndpoint(Pace):
    """Answers no request to the metrics port after the second epoch's end, and trains on.

    The first may come as soon as a run goes on, before the startup probe was answered.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self._num_ends = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._num_ends += 1
        if self._num_ends == 2:
            server._Handler.handle = lambda handler: _FOR_EVER.wait()


class StuckHook(keras.callbacks.Callback):
    """Never returns from the end of the first epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        _FOR_EVER.wait()


class Hoarder(Pace):
    """Fills the working directory, an emptyDir, at the end of each epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        Path(f"/scratch/hoard-{epoch}").write_bytes(bytes(8 << 20))
