"""The whole way from a configuration file to a checked `Config`.

loaded = load_config(Path("run.yaml"), env=os.environ, sets=["training.epochs=3"])
loaded.config.training.epochs  # 3
loaded.origins["training.epochs"]  # "--set"
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from job.config.keys import ROOT, Key, child
from job.config.loader.merge import Layered, apply, from_document, is_given, with_default_kinds
from job.config.loader.origin import DEFAULT, Problem, file_origin, in_order
from job.config.loader.overrides import from_environment, from_sets
from job.config.loader.problems import from_validation, required_in
from job.config.loader.yaml12 import Document, read_document
from job.config.loader.yaml_text import MAX_BYTES
from job.config.root import Config
from job.config.scalars import join_key, preview
from job.errors import ConfigError, PermissionDeniedError


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where it comes from.

    Attributes:
        config: The checked values.
        path: The file, as given.
        folder: Its folder, absolute; symbolic links are kept, so that a file mounted from a
            ConfigMap has the mount as its folder.
        origins: Who gave each value, by dotted key: `default`, `FILE:LINE`, `env NAME` or
            `--set`.
    """

    config: Config
    path: Path
    folder: Path
    origins: Mapping[str, str]


def load_config(path: Path, *, env: Mapping[str, str], sets: Sequence[str]) -> LoadedConfig:
    """Reads, lays over each other and checks everything that configures a run.

    Args:
        path: The YAML file.
        env: Environment variables; those beginning with `SIAMESE_` count.
        sets: `key=value` of each `--set`.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: With every problem, one a line.
        PermissionDeniedError: The file may not be read.
    """
    document = read_document(_read(path))
    name = str(path) if str(path).isprintable() else repr(str(path))
    environment, flags = from_environment(env), from_sets(sets)
    problems = [*_file_problems(document, name), *environment.problems, *flags.problems]
    layered = from_document(document, path=name)
    layered = apply(apply(layered, environment.assignments), flags.assignments)
    problems += layered.problems
    config = None
    if isinstance(layered.values, dict):
        complete = with_default_kinds(layered)
        try:
            config = Config.model_validate(complete.values)
        except ValidationError as error:
            problems += _news(from_validation(error, layered=complete), problems)
    if problems or config is None:
        raise ConfigError("\n".join(problem.line() for problem in in_order(problems)))
    return LoadedConfig(config, path, path.absolute().parent, _origins(config, layered))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration file {str(path)!r}. Give the path of a YAML "
            "file; `siamese-job init DATA PATH` writes one from your data."
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            f"{str(path)!r} is a folder. Give the path of the YAML file in it."
        ) from None
    except PermissionError:
        raise PermissionDeniedError(
            f"{str(path)!r} may not be read by this user. Change its mode or owner, or "
            "run as the user it belongs to."
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ConfigError(
            f"{str(path)!r} cannot be read: {error}. Give the path of a YAML file."
        ) from error


def _file_problems(document: Document, name: str) -> list[Problem]:
    problems = [
        Problem(
            file_origin(name, line=problem.mark.line, column=problem.mark.column),
            join_key(problem.path),
            problem.text,
        )
        for problem in document.problems
    ]
    required = " and ".join(required_in(ROOT.sections))
    start = file_origin(name, line=1, column=1)
    if not problems and document.values is None:
        text = (
            f"the file is empty; the sections {required} are required. `siamese-job init` "
            "writes a file to start from."
        )
        problems.append(Problem(start, "", text))
    elif document.values is not None and not isinstance(document.values, dict):
        got = preview(document.values)
        text = f"must be sections with keys, {required} among them (got {got})"
        problems.append(Problem(start, "", text))
    return problems


def _news(found: list[Problem], known: list[Problem]) -> list[Problem]:
    # A value that could not be read is null to the models; once is enough.
    places = {problem.origin for problem in known}
    return [problem for problem in found if problem.origin not in places]


def _origins(config: Config, layered: Layered) -> dict[str, str]:
    origins = {}
    for path in _leaves(config.model_dump(), ROOT):
        given = is_given(layered.values, path)
        origins[join_key(path)] = (layered.origin_of(path) if given else DEFAULT).label
    return origins


def _leaves(value: Any, key: Key) -> Iterator[tuple[str | int, ...]]:
    if key.sections and isinstance(value, dict):
        parts: Iterable[str | int] = value
    elif key.item and value:
        parts = range(len(value))
    else:
        yield key.path
        return
    for part in parts:
        below = child(key, part)
        if below is not None:
            yield from _leaves(value[part], below)
