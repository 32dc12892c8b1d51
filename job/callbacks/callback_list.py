"""The one ordered list of callbacks, and the list as the loop sees it.

Order: what may stop or steer training comes first, so that the checkpoint of an epoch holds
every decision taken at its end; what only watches comes last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from job.config.callbacks import CallbacksConfig, EarlyStoppingConfig, ReduceLearningRateConfig
from job.config.monitors import MONITORS
from job.types import Json

_ATTRIBUTES: dict[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.TerminateOnNaN: (),
}


def is_stateful(callback: keras.callbacks.Callback) -> bool:
    """Whether a restart can give the callback back what it knew."""
    return type(callback) in _ATTRIBUTES or hasattr(callback, "get_state")


def read_memory(callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, Json]:
    """What each callback remembers, by its place and class in the stack.

    Returns:
        JSON values; callbacks that can not be asked are left out.
    """
    memory: dict[str, Json] = {}
    for name, callback in _named(callbacks):
        if hasattr(callback, "get_state"):
            memory[name] = callback.get_state()
        elif type(callback) in _ATTRIBUTES:
            memory[name] = {
                attribute: getattr(callback, attribute)
                for attribute in _ATTRIBUTES[type(callback)]
            }
    return memory


def write_memory(
    callbacks: Sequence[keras.callbacks.Callback], memory: dict[str, Json]
) -> None:
    """Gives callbacks back what `read_memory` took; call it after `on_train_begin`.

    Args:
        callbacks: The stack of the new process.
        memory: From the checkpoint. A callback that is not in it starts afresh.
    """
    for name, callback in _named(callbacks):
        remembered = memory.get(name)
        if remembered is None:
            continue
        if hasattr(callback, "set_state"):
            callback.set_state(remembered)
        elif isinstance(remembered, dict):
            for attribute, value in remembered.items():
                setattr(callback, attribute, value)


def _named(
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[tuple[str, keras.callbacks.Callback]]:
    """Names that stay the same when an unrelated callback is added or removed."""
    seen: dict[str, int] = {}
    named = []
    for callback in callbacks:
        kind = f"{type(callback).__module__}.{type(callback).__qualname__}"
        seen[kind] = seen.get(kind, -1) + 1
        named.append((f"{kind}#{seen[kind]}", callback))
    return named


@dataclass(frozen=True)
class ControlCallbacks:
    """Keras' own callbacks that may stop or steer training; None where one is off."""

    terminate_on_nan: keras.callbacks.TerminateOnNaN | None
    reduce_learning_rate: keras.callbacks.ReduceLROnPlateau | None
    early_stopping: keras.callbacks.EarlyStopping | None


def build_control_callbacks(section: CallbacksConfig) -> ControlCallbacks:
    """Keras' own callbacks as configured, each with an explicit mode."""
    plateau, stopping = section.reduce_learning_rate, section.early_stopping
    return ControlCallbacks(
        keras.callbacks.TerminateOnNaN() if section.terminate_on_nan else None,
        _reduce_learning_rate(plateau) if plateau else None,
        _early_stopping(stopping) if stopping else None,
    )


def ordered_callbacks(
    deciders: ControlCallbacks,
    *,
    custom: Sequence[keras.callbacks.Callback],
    checkpoint: keras.callbacks.Callback,
    watchers: Sequence[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """The callbacks of a run, in the order they are called.

    Args:
        deciders: Keras' own.
        custom: The user's, already made.
        checkpoint: Saves; everything before it is part of what it saves.
        watchers: Metrics, progress and activations; they change nothing.
    """
    own = (deciders.terminate_on_nan, deciders.reduce_learning_rate, deciders.early_stopping)
    return [*(c for c in own if c is not None), *custom, checkpoint, *watchers]


def _reduce_learning_rate(section: ReduceLearningRateConfig) -> keras.callbacks.Callback:
    return keras.callbacks.ReduceLROnPlateau(
        monitor=section.monitor,
        mode=MONITORS[section.monitor],
        factor=section.factor,
        patience=section.patience_epochs,
        min_delta=section.min_delta,
        cooldown=section.cooldown_epochs,
        min_lr=section.min_learning_rate,
        verbose=0,
    )


def _early_stopping(section: EarlyStoppingConfig) -> keras.callbacks.Callback:
    return keras.callbacks.EarlyStopping(
        monitor=section.monitor,
        mode=MONITORS[section.monitor],
        patience=section.patience_epochs,
        min_delta=section.min_delta,
        verbose=0,
    )


@dataclass(frozen=True)
class Memory:
    """What the stack of an earlier process knew.

    Attributes:
        callbacks: From `read_memory`.
        stop_reason: Why training had ended, "" when it had not.
    """

    callbacks: dict[str, Json]
    stop_reason: str = ""


class CallbackList:
    """A `keras.callbacks.CallbackList` that remembers.

    Args:
        callbacks: In calling order.
        model: The compiled model that callbacks see.
        memory: What an earlier attempt of the run knew; None at the first.

    Attributes:
        hooks: The `CallbackList`: its `on_...` methods are what the loop calls.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        model: keras.Model,
        memory: Memory | None,
    ) -> None:
        self._callbacks = list(callbacks)
        self._model = model
        self._memory = memory
        self._has_ended = False
        model.stop_training = False
        self.hooks = keras.callbacks.CallbackList(
            self._callbacks, add_history=False, add_progbar=False, model=model
        )

    def begin(self) -> None:
        """Starts the callbacks, then gives them back what they knew.

        In this order: Keras' callbacks forget everything in `on_train_begin`.
        """
        self.hooks.on_train_begin()
        if self._memory is not None:
            write_memory(self._callbacks, self._memory.callbacks)
            self._model.stop_training = self._still_stopped(self._memory.stop_reason)

    def _still_stopped(self, reason: str) -> bool:
        """Whether an earlier stop stands; more patience than was waited for lifts it."""
        stoppers = [c for c in self._callbacks if type(c).__name__ == reason]
        patience = [
            c.patience for c in stoppers if isinstance(c, keras.callbacks.EarlyStopping)
        ]
        waited = [c.wait for c in stoppers if isinstance(c, keras.callbacks.EarlyStopping)]
        return bool(reason) and not (patience and waited[0] < patience[0])

    def end(self) -> None:
        """Lets callbacks close what they opened, also after an error."""
        if not self._has_ended:
            self._has_ended = True
            self.hooks.on_train_end()

    def memory(self) -> Memory:
        """What a later attempt needs to know."""
        return Memory(read_memory(self._callbacks), self.stop_reason)

    @property
    def stop_reason(self) -> str:
        """Name of the callback kind that asked to stop, "" when none has."""
        if not self._model.stop_training:
            return ""
        if self._memory is not None and self._memory.stop_reason:
            return self._memory.stop_reason
        stoppers = (c for c in self._callbacks if getattr(c, "stopped_epoch", 0))
        stopper = next(stoppers, None)
        return type(stopper).__name__ if stopper else "callback"

    def learning_rate(self) -> float:
        """The optimizer's learning rate; a mirrored variable is not a float to Keras."""
        return float(self._model.optimizer.learning_rate.value.numpy())
