"""Saves when the policy says so; the service given does the writing."""

import math
from collections.abc import Callable, Mapping

import keras

from job.callbacks.best_epoch import BestEpoch
from job.checkpoints.policy import SavePolicy
from job.checkpoints.records import Best
from job.types import Json, Position

# Writes the state of this moment: measurements of a finished epoch (else none), and the best
# epoch if that is the one just finished (else None).
Save = Callable[[Mapping[str, float], Best | None], None]


class CheckpointCallback(keras.callbacks.Callback):
    """Asks for a save between two steps and at every epoch's end.

    Args:
        policy: Decides between epochs' ends.
        position: Tells where training stands.
        best: Follows the monitored measurement; its memory travels with the checkpoint.
        save: Writes the state.
    """

    def __init__(
        self,
        *,
        policy: SavePolicy,
        position: Callable[[], Position],
        best: BestEpoch,
        save: Save,
    ) -> None:
        super().__init__()
        self._policy = policy
        self._position = position
        self._best = best
        self._save = save
        self._last_saved_step = 0

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._last_saved_step = self._position().global_step

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        position = self._position()
        if not math.isfinite((logs or {})["loss"]):
            # Going on from here would only diverge again; the commit before it stands.
            return
        if self._policy.should_save(position, last_saved_step=self._last_saved_step):
            self._save({}, None)
            self._last_saved_step = position.global_step

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        measured = dict(logs or {})
        step = self._position().global_step
        improved = self._best.update(epoch, measured, global_step=step)
        self._save(measured, self._best.best if improved else None)
        self._last_saved_step = step

    def get_state(self) -> Json:
        """What a restart needs to know: the best epoch so far."""
        return self._best.to_json()

    def set_state(self, state: Json) -> None:
        """Takes back what `get_state` gave."""
        self._best.restore(state)
