"""Loads the user's callbacks, and reports their errors as the user's.

`callbacks.custom` names a module next to the configuration file or in an installed package.
The working directory and PYTHONPATH are not searched, so that a laptop and a pod run the same
code.
"""

import functools
import importlib
import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
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

log = logging.getLogger(__name__)

_HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
)
_OTHER_METHODS = ("set_model", "set_params", "get_state", "set_state")


def load_custom_callbacks(
    sections: Sequence[CustomCallbackConfig], *, folder: Path
) -> list[keras.callbacks.Callback]:
    """Imports, builds and wraps the callbacks that `callbacks.custom` names.

    Args:
        sections: Import strings and arguments.
        folder: Directory of the configuration file.

    Raises:
        ConfigError: The module or class is missing, fails to import, is not a Keras callback or
            rejects its arguments.
    """
    callbacks = []
    for index, section in enumerate(sections):
        key = f"callbacks.custom.{index}"
        callbacks.append(_build(section, key=key, folder=folder))
        wrap_user_callback(callbacks[-1], key=key)
    return callbacks


def wrap_user_callback(callback: keras.callbacks.Callback, *, key: str) -> None:
    """Replaces the methods that training calls by ones that raise `CallbackError`.

    They raise it for any error, for `sys.exit`, for a state that JSON cannot hold, and for a
    value in `logs` that is not a number. The message names method, file and line.

    Raises:
        ConfigError: A method cannot be replaced.
    """
    own = getattr(sys.modules.get(type(callback).__module__), "__file__", None)
    for name in (*_HOOKS, *_OTHER_METHODS):
        method = getattr(callback, name, None)
        if method is None:
            continue
        what = f"{key}: {type(callback).__name__}.{name}"
        try:
            setattr(callback, name, _guarded(method, name, what=what, file=own))
        except AttributeError as error:
            raise ConfigError(f"{what} must be a plain method ({error}).") from error


def _guarded(
    method: Callable[..., Any], name: str, *, what: str, file: str | None
) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        try:
            result = method(*args, **options)
        except JobError:
            raise
        except (Exception, SystemExit) as error:
            frames = traceback.extract_tb(error.__traceback__)
            line = [*frames, *(one for one in frames if one.filename == file)][-1]
            raise CallbackError(
                f"{what} raised {type(error).__name__}: {error} ({line.filename}, line "
                f"{line.lineno}). Fix the callback; the run resumes from its last commit."
            ) from error
        if name == "get_state":
            _require_json(result, what=what)
        elif name in _HOOKS:
            _require_numbers(options.get("logs", args[-1] if args else None), what=what)
        return result

    return call


def _require_json(state: object, *, what: str) -> None:
    try:
        canonical_json.dumps(state)
    except (TypeError, ValueError, RecursionError) as error:
        raise CallbackError(
            f"{what} returned a value that JSON cannot hold ({error}). Return numbers, text, "
            "lists, mappings of text to these, or None."
        ) from error


def _require_numbers(logs: object, *, what: str) -> None:
    """Rejects what a hook put into `logs`; converts NumPy scalars to Python numbers."""
    if not isinstance(logs, dict):
        return
    for name, value in logs.items():
        if not isinstance(name, str) or not isinstance(value, Real | np.bool_):
            raise CallbackError(
                f"{what} put {value!r} into logs as {name!r}. Logs hold numbers under text "
                "keys: convert the value, or store it elsewhere."
            )
        logs[name] = value.item() if isinstance(value, np.generic) else value


def _build(
    section: CustomCallbackConfig, *, key: str, folder: Path
) -> keras.callbacks.Callback:
    module_name, _, class_name = section.target.partition(":")
    module = _import(module_name, key=key, folder=folder)
    known = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, keras.callbacks.Callback)
    }
    if class_name not in known:
        raise ConfigError(
            f"{key}.target: '{section.target}': {module.__file__} has no subclass of "
            f"keras.callbacks.Callback named '{class_name}'.{did_you_mean(class_name, known)} "
            f"It has: {', '.join(known) or 'none'}."
        )
    try:
        callback = known[class_name](**section.arguments)
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{key}.arguments: {class_name}(**{section.arguments}) raised "
            f"{type(error).__name__}: {error}. Fix the arguments or the callback."
        ) from error
    facts = {"target": section.target, "file": module.__file__}
    log.info("custom callback loaded", extra=facts)
    return callback


def _import(name: str, *, key: str, folder: Path) -> ModuleType:
    top = name.partition(".")[0]
    candidates = (folder / f"{top}.py", folder / top / "__init__.py")
    file = next((one for one in candidates if one.is_file()), None)
    loaded = sys.modules.get(top)
    origin = getattr(loaded, "__file__", None)
    if file and loaded and (origin is None or not file.samefile(origin)):
        raise ConfigError(
            f"{key}.target: {file} has the name of a module that is already loaded "
            f"({origin or 'built in'}). Rename the file."
        )
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last: for what the callback imports from there
    try:
        if file and loaded is None:
            _import_file(top, file)
        elif loaded is None and not _is_installed(top, folder=folder):
            raise ModuleNotFoundError(name=top)
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{key}.target: '{name}' imports '{error.name}', which is not installed. "
                "Install it, or fix the module."
            ) from error
        raise ConfigError(
            f"{key}.target: no module '{name}' next to the configuration file ({folder}) or "
            "among the installed packages. Put the file there, or install the package."
        ) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"{key}.target: importing '{name}' raised {type(error).__name__}: {error}. "
            "Fix the module."
        ) from error


def _import_file(name: str, file: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _is_installed(name: str, *, folder: Path) -> bool:
    """Whether Python finds the module, and not in the working directory or PYTHONPATH."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return False
    if not spec.has_location and not spec.submodule_search_locations:
        return True  # built in
    package = list(spec.submodule_search_locations or [])
    root = Path(package[0] if package else str(spec.origin)).resolve().parent
    shell = [os.getcwd(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return root == folder.resolve() or root not in [Path(one).resolve() for one in shell]
