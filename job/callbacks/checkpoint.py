"""Saves when the policy says so; the checkpointer does the work."""

from collections.abc import Callable, Mapping
from typing import Protocol

from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import RunCallback, TrainCall
from job.checkpoints.policy import SavePolicy
from job.checkpoints.records import Best
from job.checkpoints.serialization import RunState
from job.types import Json, Position


class Checkpointer(Protocol):
    """Takes and commits snapshots; `run.checkpointer.RunCheckpointer`."""

    def snapshot(self) -> RunState: ...

    def save(
        self, snapshot: RunState, *, metrics: Mapping[str, float], best: Best | None
    ) -> None: ...

    def wait(self) -> None: ...


class CheckpointCallback(RunCallback):
    """Saves between calls and at every epoch's end.

    Args:
        checkpointer: Takes and commits snapshots.
        policy: Decides within an epoch; the loop ends its calls where it saves.
        position: Reads the current position.
        best: Follows the monitored metric; its state is this callback's state.
    """

    def __init__(
        self,
        checkpointer: Checkpointer,
        *,
        policy: SavePolicy,
        position: Callable[[], Position],
        best: BestEpoch,
    ) -> None:
        super().__init__()
        self._checkpointer = checkpointer
        self._policy = policy
        self._position = position
        self._best = best

    def on_call_end(self, call: TrainCall) -> None:
        position = self._position()
        before = position.global_step - call.steps
        if call.may_save and self._policy.should_save(position, last_saved_step=before):
            self._save({}, None)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        metrics = dict(logs or {})
        step = self._position().global_step
        improved = self._best.update(epoch, metrics, global_step=step)
        self._save(metrics, self._best.best if improved else None)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._checkpointer.wait()

    def get_state(self) -> Json:
        """The best epoch so far."""
        return self._best.state_dict()

    def set_state(self, state: Json) -> None:
        """Restores `get_state`."""
        self._best.load_state_dict(state)

    def _save(self, metrics: Mapping[str, float], best: Best | None) -> None:
        self._checkpointer.save(self._checkpointer.snapshot(), metrics=metrics, best=best)
