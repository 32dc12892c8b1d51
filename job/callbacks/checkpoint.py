"""Saves when the policy says so; the checkpointer does the work."""

from collections.abc import Callable, Mapping
from typing import Protocol

from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import RunCallback, TrainCall
from job.checkpoints.policy import SavePolicy
from job.checkpoints.records import Best
from job.types import Json, Position


class Checkpointer(Protocol):
    """Saves in the background; `run.checkpointer.RunCheckpointer`."""

    save_cost_seconds: float | None

    def save(self, *, metrics: Mapping[str, float], best: Best | None) -> None: ...

    def save_if_idle(self, *, metrics: Mapping[str, float]) -> None: ...

    def poll(self) -> None: ...

    def wait(self) -> None: ...


class CheckpointCallback(RunCallback):
    """Saves between calls and at the end of epochs.

    The save of a new best epoch and of the last one is never left out; any other is, if the one
    before it is still in flight.

    Args:
        checkpointer: Saves.
        policy: Decides when a save is due; the loop ends its calls where it counts steps.
        position: Reads the current position.
        epochs: Epochs of the whole run.
        best: Follows the monitored metric; its state is this callback's state.
        now: Monotonic clock in seconds.
    """

    def __init__(
        self,
        checkpointer: Checkpointer,
        *,
        policy: SavePolicy,
        position: Callable[[], Position],
        epochs: int,
        best: BestEpoch,
        now: Callable[[], float],
    ) -> None:
        super().__init__()
        self._checkpointer = checkpointer
        self._policy = policy
        self._position = position
        self._epochs = epochs
        self._best = best
        self._now = now
        self._saved_at = now()

    def on_state_ready(self) -> None:
        self._saved_at = self._now()

    def on_call_end(self, call: TrainCall) -> None:
        self._checkpointer.poll()
        if call.may_save and self._is_due(steps=call.steps):
            self._save_if_idle({})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        metrics, position = dict(logs or {}), self._position()
        improved = self._best.update(epoch, metrics, global_step=position.global_step)
        is_last = position.epoch >= self._epochs or self.model.stop_training
        if improved or is_last:
            self._checkpointer.save(metrics=metrics, best=self._best.best if improved else None)
            self._saved_at = self._now()
        elif self._policy.saves_every_epoch or self._is_due(steps=0):
            self._save_if_idle(metrics)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._checkpointer.wait()

    def get_state(self) -> Json:
        """The best epoch so far."""
        return self._best.state_dict()

    def set_state(self, state: Json) -> None:
        """Restores `get_state`."""
        self._best.load_state_dict(state)

    def _is_due(self, *, steps: int) -> bool:
        return self._policy.is_due(
            self._position().global_step,
            steps=steps,
            seconds=self._now() - self._saved_at,
            cost_seconds=self._checkpointer.save_cost_seconds,
        )

    def _save_if_idle(self, metrics: Mapping[str, float]) -> None:
        self._checkpointer.save_if_idle(metrics=metrics)
        self._saved_at = self._now()
