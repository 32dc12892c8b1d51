"""A custom callback that uses all six hooks: it logs where the time of each epoch goes.

Put a file like this next to the configuration file, which names it::

    callbacks:
      custom:
      - target: six_hooks:Timekeeper

It logs one line per epoch: `epoch timed epoch=3 blocks=12 steps=180 training_seconds=4.1 ...`.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """Counts and times of the current epoch.

    Attributes:
        epoch: The current epoch, counted from 0; -1 before the first.
        blocks: Blocks of optimizer steps in it; batch hooks enclose each.
        steps: Optimizer steps in it.
        training_seconds: Time inside those blocks.
        other_seconds: Time between them: validation, checkpoints, other callbacks.
        slowest_block_seconds: The longest block; the first of a process also compiles.
        run_seconds: Time of the previous epochs.
        last_loss: Training loss of the previous epoch; None in the first.
    """

    epoch: int = -1
    blocks: int = 0
    steps: int = 0
    training_seconds: float = 0.0
    other_seconds: float = 0.0
    slowest_block_seconds: float = 0.0
    run_seconds: float = 0.0
    last_loss: float | None = None


class Timekeeper(keras.callbacks.Callback):
    """Counts and times the blocks of each epoch.

    Its state is part of every checkpoint, so an epoch that a second process finishes is counted
    completely, and repeated steps count once.

    Args:
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._tally = Tally()
        self._mark = 0.0
        self._first_batch = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Resets the state; after this hook, a restart calls `set_state`."""
        self._tally = Tally()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Starts a new tally; a resume then restores what the epoch had counted."""
        before = self._tally
        self._tally = Tally(epoch, run_seconds=before.run_seconds, last_loss=before.last_loss)
        self._lap()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A block starts with this batch of the epoch."""
        self._tally.other_seconds += self._lap()
        self._first_batch = batch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """The block ends with this batch, often a few after its first one."""
        tally, seconds = self._tally, self._lap()
        tally.blocks += 1
        tally.steps += batch - self._first_batch + 1
        tally.training_seconds += seconds
        tally.slowest_block_seconds = max(tally.slowest_block_seconds, seconds)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Logs the tally; `logs` has the metrics of training and validation."""
        tally, loss = self._tally, (logs or {})["loss"]
        tally.other_seconds += self._lap()
        shown: dict[str, object] = {
            "epoch": epoch + 1,
            "blocks": tally.blocks,
            "steps": tally.steps,
            "training_seconds": round(tally.training_seconds, 3),
            "other_seconds": round(tally.other_seconds, 3),
            "slowest_block_seconds": round(tally.slowest_block_seconds, 3),
        }
        if tally.last_loss is not None:
            shown["loss_change"] = round(loss - tally.last_loss, 4)
        log.info("epoch timed", extra=shown)
        tally.run_seconds += tally.training_seconds + tally.other_seconds
        tally.last_loss = loss

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Called last, also after an error or a signal: release resources here."""
        log.info(
            "run timed",
            extra={
                "epochs_begun": self._tally.epoch + 1,
                "finished_epochs_seconds": round(self._tally.run_seconds, 3),
            },
        )

    def get_state(self) -> dict[str, Any]:
        """State for a restart: any JSON value."""
        return asdict(self._tally)

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores the result of `get_state`, in another process."""
        self._tally = Tally(**state)

    def _lap(self) -> float:
        """Seconds since the previous call."""
        before, self._mark = self._mark, self._clock()
        return self._mark - before
