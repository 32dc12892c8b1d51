"""The callbacks of a run in calling order, and their state across restarts.

Callbacks that stop or steer training come first, so that the checkpoint of an epoch contains
every decision taken at its end. Observers come last; they change nothing.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras

from job.config.callbacks import CallbacksConfig
from job.config.monitors import MONITORS
from job.models.learning_rate import CONSTANT, RateSchedule, read_learning_rate
from job.types import Json

# The state of Keras' own callbacks; a custom callback has get_state() and set_state(state).
_ATTRIBUTES: dict[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.TerminateOnNaN: (),
}


def ordered_callbacks(
    *,
    control: Sequence[keras.callbacks.Callback],
    custom: Sequence[keras.callbacks.Callback],
    checkpoint: keras.callbacks.Callback,
    observers: Sequence[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """The callbacks of a run, in the order the loop calls them.

    Args:
        control: From `control_callbacks`: stop on NaN, learning rate plateau, early stopping.
        custom: The user's.
        checkpoint: Saves; everything before it is part of what it saves.
        observers: Metrics, progress, activations.
    """
    return [*control, *custom, checkpoint, *observers]


def control_callbacks(section: CallbacksConfig) -> list[keras.callbacks.Callback]:
    """The configured callbacks of Keras, each with an explicit mode."""
    callbacks = []
    if section.terminate_on_nan:
        callbacks.append(keras.callbacks.TerminateOnNaN())
    if (plateau := section.reduce_learning_rate) is not None:
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor=plateau.monitor,
                mode=MONITORS[plateau.monitor],
                factor=plateau.factor,
                patience=plateau.patience_epochs,
                min_delta=plateau.min_delta,
                cooldown=plateau.cooldown_epochs,
                min_lr=plateau.min_learning_rate,
                verbose=0,
            )
        )
    if (stopping := section.early_stopping) is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor=stopping.monitor,
                mode=MONITORS[stopping.monitor],
                patience=stopping.patience_epochs,
                min_delta=stopping.min_delta,
                verbose=0,
            )
        )
    return callbacks


def is_stateful(callback: keras.callbacks.Callback) -> bool:
    """Whether the callback's state survives a restart."""
    return type(callback) in _ATTRIBUTES or hasattr(callback, "get_state")


@dataclass(frozen=True)
class TrainCall:
    """One call of the compiled training function.

    Attributes:
        steps: Its optimizer steps.
        seconds: Its wall time; None for the first call of a process, which compiles.
        logs: Means of the epoch so far, as in `on_train_batch_end`.
        may_save: False if a save follows at once (the epoch ends), or none may (the loss is
            not finite).
    """

    steps: int
    seconds: float | None
    logs: Mapping[str, float]
    may_save: bool


class RunCallback(keras.callbacks.Callback):
    """A callback with hooks that Keras lacks.

    How steps are grouped into calls depends on measured time, so these methods may not change
    training.

    Attributes:
        schedule: The factor of the learning rate; `CallbackList` sets it.
    """

    schedule = CONSTANT

    def learning_rate(self) -> float:
        """The learning rate of the last step, of the first one before it."""
        return read_learning_rate(self.model.optimizer, schedule=self.schedule)

    def on_state_ready(self) -> None:
        """Training starts from here: a stored state has been put back, if there is one."""

    def on_call_end(self, call: TrainCall) -> None:
        """A call has ended, and the batch hook due after it has run."""

    def on_validation(self, measured: Mapping[str, float]) -> None:
        """The model was measured inside an epoch; `val_...` by name."""


class CallbackList:
    """A `keras.callbacks.CallbackList` with a state.

    Args:
        callbacks: In calling order.
        model: The compiled model that callbacks see.
        schedule: The factor of the learning rate.

    Attributes:
        hooks: The `CallbackList`; the loop calls its `on_...` methods.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        model: keras.Model,
        schedule: RateSchedule = CONSTANT,
    ) -> None:
        self._callbacks = list(callbacks)
        self._model = model
        self._schedule = schedule
        for one in self._run_callbacks():
            one.schedule = schedule
        self._restored_stop_reason = ""
        self._has_ended = False
        model.stop_training = False
        self.hooks = keras.callbacks.CallbackList(
            self._callbacks, add_history=False, add_progbar=False, model=model
        )

    def state_dict(self) -> dict[str, Json]:
        """JSON state of each stateful callback, by class and number within the class.

        A copy: a callback may return an object that it changes later, while it is being saved.
        """
        state: dict[str, Json] = {}
        for name, callback in self._named():
            if hasattr(callback, "get_state"):
                state[name] = copy.deepcopy(callback.get_state())
            elif type(callback) in _ATTRIBUTES:
                names = _ATTRIBUTES[type(callback)]
                state[name] = {attribute: getattr(callback, attribute) for attribute in names}
        return state

    def load_state_dict(self, state: Mapping[str, Json], *, stop_reason: str = "") -> None:
        """Restores the state of an earlier attempt.

        Args:
            state: From `state_dict`. A callback that is not in it starts fresh.
            stop_reason: Why that attempt had ended training, "" if it had not.
        """
        for name, callback in self._named():
            if name not in state:
                continue
            own = state[name]
            if hasattr(callback, "set_state"):
                callback.set_state(own)
            elif isinstance(own, Mapping):
                for attribute, value in own.items():
                    setattr(callback, attribute, value)
        self._restored_stop_reason = stop_reason
        self._model.stop_training = bool(stop_reason) and self._is_still_stopped(stop_reason)

    def on_state_ready(self) -> None:
        """Tells the program's own callbacks that training starts from the current state."""
        for callback in self._run_callbacks():
            callback.on_state_ready()

    def on_call_end(self, call: TrainCall) -> None:
        """Tells the program's own callbacks of a call."""
        for callback in self._run_callbacks():
            callback.on_call_end(call)

    def on_validation(self, measured: Mapping[str, float]) -> None:
        """Tells the program's own callbacks of a validation inside an epoch."""
        for callback in self._run_callbacks():
            callback.on_validation(measured)

    def end(self) -> None:
        """Calls `on_train_end` once, also after an error."""
        if not self._has_ended:
            self._has_ended = True
            self.hooks.on_train_end()

    @property
    def terminates_on_nan(self) -> bool:
        """Whether a loss that is not finite ends training."""
        return any(isinstance(c, keras.callbacks.TerminateOnNaN) for c in self._callbacks)

    @property
    def stop_reason(self) -> str:
        """Class name of the callback that ended training, "" if none has."""
        if not self._model.stop_training:
            return ""
        if self._restored_stop_reason:
            return self._restored_stop_reason
        stoppers = (c for c in self._callbacks if getattr(c, "stopped_epoch", 0))
        stopper = next(stoppers, None)
        return type(stopper).__name__ if stopper else "callback"

    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        return read_learning_rate(self._model.optimizer, schedule=self._schedule)

    def _is_still_stopped(self, reason: str) -> bool:
        """Whether an earlier stop still applies; a longer patience lifts an early stop."""
        return not any(
            isinstance(callback, keras.callbacks.EarlyStopping)
            and callback.wait < callback.patience
            for callback in self._callbacks
            if type(callback).__name__ == reason
        )

    def _run_callbacks(self) -> list[RunCallback]:
        return [one for one in self._callbacks if isinstance(one, RunCallback)]

    def _named(self) -> list[tuple[str, keras.callbacks.Callback]]:
        """Names that do not change when an unrelated callback is added or removed."""
        seen: dict[str, int] = {}
        named = []
        for callback in self._callbacks:
            kind = f"{type(callback).__module__}.{type(callback).__qualname__}"
            seen[kind] = seen.get(kind, -1) + 1
            named.append((f"{kind}#{seen[kind]}", callback))
        return named
