"""Finds the user's own callbacks: beside the configuration file, or in an installed package.

Nothing else is searched - not the working directory, not PYTHONPATH - so that what runs is
what the config names, on a laptop and in a pod.
"""

import functools
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np

from job.checkpoints import canonical_json
from job.config.callbacks import CustomCallbackConfig
from job.config.suggest import did_you_mean
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


def wrap_user_callback(callback: keras.callbacks.Callback, *, key: str) -> None:
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
        canonical_json.dumps(result)
    except (TypeError, ValueError, RecursionError) as error:
        raise CallbackError(
            f"{what} gave what JSON cannot hold ({error}). A state is made of numbers, texts, "
            "lists, mappings of texts to these, and None."
        ) from error


log = logging.getLogger(__name__)


def load_custom_callbacks(
    sections: Sequence[CustomCallbackConfig], *, folder: Path
) -> list[keras.callbacks.Callback]:
    """Imports and makes the callbacks that `callbacks.custom` names, guarded.

    Args:
        sections: Import strings and arguments.
        folder: Where the configuration file lies.

    Raises:
        ConfigError: The module or class is not found, does not import, is not a Keras callback
            or refuses its arguments.
    """
    callbacks = []
    for index, section in enumerate(sections):
        key = f"callbacks.custom.{index}"
        callback = _make(section, key=key, folder=folder)
        wrap_user_callback(callback, key=key)
        callbacks.append(callback)
    return callbacks


def _make(section: CustomCallbackConfig, *, key: str, folder: Path) -> keras.callbacks.Callback:
    module_name, _, class_name = section.target.partition(":")
    module = _import(module_name, key=key, folder=folder)
    known = [name for name, value in vars(module).items() if _is_callback_class(value)]
    kind = vars(module).get(class_name)
    if kind is None or not _is_callback_class(kind):
        raise ConfigError(
            f"{key}.target: '{section.target}': {module.__file__} has no subclass of "
            f"keras.callbacks.Callback called '{class_name}'.{did_you_mean(class_name, known)} "
            f"It has: {', '.join(known) or 'none'}."
        )
    try:
        callback = kind(**section.arguments)
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{key}.arguments: {class_name}(**{section.arguments}) raised "
            f"{type(error).__name__}: {error}. Mend the arguments or the callback."
        ) from error
    log.info(
        "custom callback loaded", extra={"target": section.target, "file": module.__file__}
    )
    return callback


def _is_callback_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, keras.callbacks.Callback)


def _import(name: str, *, key: str, folder: Path) -> ModuleType:
    _refuse_shadowed(name.partition(".")[0], key=key, folder=folder)
    with _search_path([str(folder), *_installed()]):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise ConfigError(
                    f"{key}.target: '{name}' imports '{error.name}', which is not installed. "
                    "Install it, or mend the module."
                ) from error
            raise ConfigError(
                f"{key}.target: no module '{name}' beside the configuration file ({folder}) or "
                "among the installed packages. Put the file there, or install the package."
            ) from error
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"{key}.target: importing '{name}' raised {type(error).__name__}: {error}. "
                "Mend the module."
            ) from error


def _refuse_shadowed(top: str, *, key: str, folder: Path) -> None:
    """A file beside the config must not lose silently against a module already loaded."""
    beside = [path for path in (folder / f"{top}.py", folder / top) if path.exists()]
    loaded = sys.modules.get(top)
    if not beside or loaded is None:
        return
    origin = getattr(loaded, "__file__", None)
    if origin is None or not Path(origin).resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"{key}.target: {beside[0]} has the name of a module already in use "
            f"({origin or 'built in'}). Rename the file."
        )


@contextmanager
def _search_path(entries: list[str]) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:] = entries
    try:
        yield
    finally:
        # The folder stays, last: a callback may import a neighbour while it runs.
        sys.path[:] = [*before, *(entries[:1] if entries[0] not in before else [])]


def _installed() -> list[str]:
    """`sys.path` without what the shell or the start of the program put there."""
    outside = {"", os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    return [entry for entry in sys.path if entry not in outside]
