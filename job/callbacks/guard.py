"""Says whose fault it is when a callback of the user's own fails.

guard(callback, key="callbacks.custom.0")
callback.on_epoch_end(3, logs)  # CallbackError: names class, method, file and line
"""

import functools
import sys
import traceback
from collections.abc import Callable
from numbers import Real
from typing import Any

import keras
import numpy as np

from job.checkpoints import canonical
from job.errors import CallbackError, ConfigError, JobError

_HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
)
_OTHERS = ("set_model", "set_params", "get_state", "set_state")


def guard(callback: keras.callbacks.Callback, *, key: str) -> None:
    """Has every method that training calls raise `CallbackError` where it fails.

    So it does where a method leaves the process, where a state is none that a checkpoint can
    hold, and where a hook puts something into `logs` that is no number.

    Args:
        callback: One of the user's; its methods are replaced by guarded ones.
        key: The key that names it, as in `callbacks.custom.0`.

    Raises:
        ConfigError: A method is none that can be replaced.
    """
    for name in (*_HOOKS, *_OTHERS):
        method = getattr(callback, name, None)
        if method is None:
            continue
        what = f"{key}: {type(callback).__name__}.{name}"
        check = _require_numbers if name in _HOOKS else None
        if name == "get_state":
            check = _require_storable
        try:
            setattr(callback, name, _guarded(method, of=callback, what=what, check=check))
        except AttributeError as error:
            raise ConfigError(f"{what} must be a plain method ({error}).") from error


# Looks at the arguments of a call, its options and its result.
_Check = Callable[[tuple[Any, ...], dict[str, Any], Any, str], None]


def _guarded(
    method: Callable[..., Any], *, of: keras.callbacks.Callback, what: str, check: _Check | None
) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        try:
            result = method(*args, **options)
        except JobError:
            raise
        # Nothing may leave the process with a code that says another thing than the log.
        except (Exception, SystemExit) as error:
            raise CallbackError(
                f"{what} raised {type(error).__name__}: {error} ({_place(error, of=of)}). Mend "
                "the callback; the run goes on from its last commit."
            ) from error
        if check:
            check(args, options, result, what)
        return result

    return call


def _place(error: BaseException, *, of: keras.callbacks.Callback) -> str:
    """The last line of the callback's own module that was running, or the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(sys.modules.get(type(of).__module__), "__file__", None)
    frame = [*frames, *(frame for frame in frames if frame.filename == own)][-1]
    return f"{frame.filename}, line {frame.lineno}"


def _require_numbers(
    arguments: tuple[Any, ...], options: dict[str, Any], result: Any, what: str
) -> None:
    """Refuses what a hook put into `logs`; brings NumPy's numbers to Python's."""
    logs = options.get("logs", arguments[-1] if arguments else None)
    if not isinstance(logs, dict):
        return
    for name, value in logs.items():
        if not isinstance(name, str) or not isinstance(value, Real | np.bool_):
            raise CallbackError(
                f"{what} put {value!r} into logs as {name!r}. Measurements are numbers under a "
                "name: make it one, or keep it elsewhere."
            )
        logs[name] = value.item() if isinstance(value, np.generic) else value


def _require_storable(
    arguments: tuple[Any, ...], options: dict[str, Any], result: Any, what: str
) -> None:
    try:
        canonical.dumps(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise CallbackError(
            f"{what} gave what JSON cannot hold ({error}). A state is made of numbers, texts, "
            "lists, mappings of texts to these, and None."
        ) from error
