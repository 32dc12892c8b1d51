"""Carries what callbacks remember over a restart.

Keras' callbacks keep their counters in attributes, reset them in `on_train_begin` and offer no
way to read them back; the table below names the attributes that decide what happens next. A
callback of the user's own is carried when it has `get_state() -> JSON` and `set_state(JSON)`.
"""

from collections.abc import Sequence

import keras

from job.types import Json

_ATTRIBUTES: dict[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.TerminateOnNaN: (),
}


def can_remember(callback: keras.callbacks.Callback) -> bool:
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
