"""Says whose fault it is when a callback of the user's own fails.

guard(callback, key="callbacks.custom.0")
callback.on_epoch_end(3, logs)  # CallbackError: names class, method, file and line
"""

import functools
import json
import traceback
from collections.abc import Callable
from numbers import Real
from typing import Any

import keras

from job.errors import CallbackError, JobError

_METHODS = (
    "set_model",
    "set_params",
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "get_state",
    "set_state",
)


def guard(callback: keras.callbacks.Callback, *, key: str) -> None:
    """Has every method that training calls raise `CallbackError` where it fails.

    So it does where a method leaves the process, gives a state that JSON cannot hold, or puts
    something into `logs` that is no number: the checkpoint of the epoch could not be written.

    Args:
        callback: One of the user's; its methods are replaced by guarded ones.
        key: The key that names it, as in `callbacks.custom.0`.
    """
    for name in _METHODS:
        method = getattr(callback, name, None)
        if method is not None:
            what = f"{key}: {type(callback).__name__}.{name}"
            setattr(callback, name, _guarded(method, what=what))


def _guarded(method: Callable[..., Any], *, what: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        try:
            result = method(*args, **options)
        except JobError:
            raise
        # Nothing may leave the process with a code that says another thing than the log.
        except (Exception, SystemExit) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise CallbackError(
                f"{what} raised {type(error).__name__}: {error} ({place.filename}, line "
                f"{place.lineno}). Mend the callback; the run goes on from its last commit."
            ) from error
        _require_numbers(args, what=what)
        if method.__name__ == "get_state":
            _require_json(result, what=what)
        return result

    return call


def _require_numbers(arguments: tuple[Any, ...], *, what: str) -> None:
    logs = arguments[-1] if arguments and isinstance(arguments[-1], dict) else {}
    for name, value in logs.items():
        if not isinstance(value, Real):
            raise CallbackError(
                f"{what} put {value!r} into logs as {name!r}. Measurements are numbers: make "
                "it one, or keep it elsewhere."
            )


def _require_json(state: object, *, what: str) -> None:
    try:
        json.dumps(state)
    except (TypeError, ValueError) as error:
        raise CallbackError(
            f"{what} gave what JSON cannot hold ({error}). A state is made of numbers, texts, "
            "lists, mappings and None."
        ) from error
