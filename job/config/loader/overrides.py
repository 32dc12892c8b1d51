"""Reads what the environment and `--set` say: which key gets which value.

    from_sets(["training.epochs=3"])
    from_environment({"SIAMESE_TRAINING__EPOCHS": "3"})

Both give the same assignments; `merge` applies them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from job.config.keys import Path, all_keys, find, nearest_key
from job.config.loader.origin import Origin, Problem, environment_origin, set_origin
from job.config.loader.yaml12 import read_value
from job.config.scalars import join_key, preview

PREFIX = "SIAMESE_"
SEPARATOR = "__"


@dataclass(frozen=True)
class Assignment:
    """One key to be given one value."""

    path: Path
    value: Any
    origin: Origin


@dataclass(frozen=True)
class Overrides:
    """What one layer assigns, in order, and what is wrong with it."""

    assignments: tuple[Assignment, ...]
    problems: tuple[Problem, ...]


def from_sets(sets: Sequence[str]) -> Overrides:
    """Reads `--set key=value` arguments.

    Args:
        sets: Each as typed, without the flag.

    Returns:
        One assignment each, later ones last; a problem for one without `=`, without a value,
        with an unknown key or with a value that is not valid YAML.
    """
    assignments, problems = [], []
    for index, argument in enumerate(sets):
        typed, equals, text = argument.partition("=")
        path: Path = tuple(typed.strip().split("."))
        origin = set_origin(typed if join_key(path) == typed else preview(typed), index=index)
        key = find(path)
        if not equals:
            problem = f"needs key=value, as in training.epochs=3 (got {preview(argument)})"
        elif key is None:
            problem = f"there is no such key (got {preview(argument)}).{_suggest(typed)}"
        elif not text.strip():
            problem = "needs a value behind `=`; write null for none, '\"\"' for an empty text"
        else:
            try:
                assignments.append(Assignment(key.path, read_value(text), origin))
                continue
            except ValueError as error:
                problem = str(error)
        problems.append(Problem(origin, "", problem))
    return Overrides(tuple(assignments), tuple(problems))


def from_environment(env: Mapping[str, str]) -> Overrides:
    """Reads the variables whose name begins with `SIAMESE_`, in any case.

    Args:
        env: Names and values of all environment variables.

    Returns:
        One assignment each, sorted by name. A variable with an empty value counts as not set,
        as compose files and CI systems leave them. A problem for an unknown name, for two
        names of one key, and for a value that is not valid YAML.
    """
    assignments, problems = [], []
    seen: dict[Path, str] = {}
    names = sorted(name for name in env if name.upper().startswith(PREFIX))
    for index, name in enumerate(names):
        if not env[name].strip() or _is_service_link(name, env):
            continue
        path: Path = tuple(name[len(PREFIX) :].lower().split(SEPARATOR))
        typed = join_key(path)
        origin = environment_origin(name, key=typed, index=index)
        if typed not in all_keys() or any(str(part).isdigit() for part in path):
            problem = f"there is no such key (got {preview(env[name])}).{_suggest_name(name)}"
        elif path in seen:
            problem = f"{seen[path]} names the same key; unset one of the two"
        else:
            seen[path] = name
            try:
                assignments.append(Assignment(path, read_value(env[name]), origin))
                continue
            except ValueError as error:
                problem = str(error)
        problems.append(Problem(origin, "", problem))
    return Overrides(tuple(assignments), tuple(problems))


def variable_of(key: str) -> str:
    """The environment variable of a dotted key."""
    return PREFIX + key.replace(".", SEPARATOR).upper()


def _suggest(typed: str) -> str:
    near = nearest_key(typed)
    if near:
        return f" Did you mean '{near}'?"
    return " `siamese-job config explain` lists the keys."


def _suggest_name(name: str) -> str:
    near = nearest_key(name[len(PREFIX) :].lower().replace(SEPARATOR, "."))
    if near and ".0" not in near:
        return f" Did you mean '{variable_of(near)}'?"
    return (
        f" Names beginning with {PREFIX} belong to the configuration, with `{SEPARATOR}` for "
        f"each dot, as in {variable_of('training.epochs')}; unset it or name it otherwise."
    )


def _is_service_link(name: str, env: Mapping[str, str]) -> bool:
    """Whether Kubernetes made the variable, for a Service whose name begins with `siamese`.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    suffix = "_SERVICE_HOST"
    services = [other.removesuffix(suffix) for other in env if other.endswith(suffix)]
    return any(name.startswith((f"{at}_SERVICE_", f"{at}_PORT")) for at in services)
