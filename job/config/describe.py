"""What `siamese-job init`, `config show` and `config explain` print, from the section models.

`starter` and `show` write YAML that `load_config` reads; `explain` writes for a person.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import replace

from pydantic.fields import FieldInfo

from job.config.keys import (
    ROOT,
    Key,
    Path,
    child,
    default_kind,
    default_of,
    find,
    kinds_of,
    nearest_key,
)
from job.config.loader.hints import allowed, first_sentence
from job.config.loader.load_config import LoadedConfig
from job.config.loader.overrides import variable_of
from job.config.root import Config
from job.config.scalars import join_key, preview, to_yaml
from job.config.section import Section
from job.errors import ConfigError

_WIDTH = 96

# The values of a starter file that have no default.
_PLACEHOLDERS = {"run": {"name": "my-run"}, "data": {"kind": "text", "train": "train.csv"}}

# The keys of a starter file: required, or the first that people change.
_STARTER_KEYS = {
    "run": ("name", "root", "seed"),
    "data": ("kind", "train", "validation", "test"),
    "model": ("encoder", "head"),
    "training": ("epochs", "global_batch_size", "optimizer", "loss"),
    "callbacks": ("early_stopping",),
    "checkpoint": ("every_steps", "monitor"),
    "evaluation": ("threshold",),
    "metrics": ("host", "port"),
    "logging": ("format",),
}

_HEADER = """\
# yaml-language-server: $schema={schema}
#
# One training run: `siamese-job train FILE`.
# The most used keys with their defaults. `siamese-job config show FILE` prints every key,
# `config explain KEY` describes one, `config validate FILE` checks this file.
"""


def starter(*, schema: str) -> str:
    """A short configuration to start from: the most used keys, their meaning and defaults.

    Args:
        schema: Path or URL of the JSON schema, for the editor's mode line.

    Returns:
        YAML that loads without an error and trains once `data.train` names an existing file.
    """
    text = _HEADER.format(schema=schema)
    for path, field, line in _rows(Config.model_validate(_PLACEHOLDERS)):
        names = _STARTER_KEYS.get(str(path[0]), ())
        if names and (len(path) == 1 or path[1] in names):
            indent = "  " * (len(path) - 1)
            blank = "\n" if len(path) == 1 else ""
            text += f"{blank}{_wrapped(field.description, indent=f'{indent}# ')}\n{line}\n"
    return text


def show(loaded: LoadedConfig, *, with_origin: bool) -> str:
    """The resolved configuration, as YAML that loads to the same values.

    Args:
        loaded: The configuration.
        with_origin: Whether a comment after each value names its origin.
    """
    text = ""
    for path, _, line in _rows(loaded.config):
        origin = loaded.origins.get(join_key(path))
        text += f"{line}  # {origin}\n" if with_origin and origin else f"{line}\n"
    return text


def explain(dotted_key: str) -> str:
    """Describes one key, or a section with its keys; "" describes the whole.

    A key with another meaning in each kind of its section is described for each kind.

    Raises:
        ConfigError: There is no such key.
    """
    path = tuple(dotted_key.split(".")) if dotted_key else ()
    found = find(path)
    if found is None or not (found.fields or found.sections):
        near = nearest_key(dotted_key)
        hint = (
            f"Did you mean '{near}'?" if near else "Leave KEY out for a list of all sections."
        )
        raise ConfigError(f"config explain: there is no key {preview(dotted_key)}. {hint}")
    described: dict[str, list[str]] = {}
    for kind, key in _declarations(ROOT, path):
        described.setdefault(_description(key), []).append(kind)
    label = "allowed" if path[-1:] == ("kind",) else "of kind"
    texts = [
        text + (f"\n  {label:<9} {', '.join(kinds)}" if any(kinds) else "")
        for text, kinds in described.items()
    ]
    head = dotted_key or "the configuration"
    return "\n".join([head, "\n\n".join(texts), *_keys_below(found)]) + "\n"


def _rows(
    section: Section, path: Path = (), indent: str = "", bullet: str = ""
) -> Iterator[tuple[Path, FieldInfo, str]]:
    """Each key of a section, its declaration and its line of YAML.

    The first line begins with `bullet`, any other with `indent`.
    """
    lead = bullet or indent
    for name, value in section:
        at, field = (*path, name), type(section).model_fields[name]
        if isinstance(value, Section):
            yield at, field, f"{lead}{name}:"
            yield from _rows(value, at, f"{indent}  ")
        elif isinstance(value, list) and any(isinstance(entry, Section) for entry in value):
            yield at, field, f"{lead}{name}:"
            for index, entry in enumerate(value):
                yield from _rows(entry, (*at, index), f"{indent}  ", f"{indent}- ")
        else:
            yield at, field, f"{lead}{name}: {to_yaml(value)}"
        lead = indent


def _declarations(key: Key, path: Path, kind: str = "") -> Iterator[tuple[str, Key]]:
    """The key at `path` below `key`, for each kind of the innermost section that has kinds."""
    if not path:
        yield kind, key
        return
    for one in [replace(key, sections=(section,)) for section in key.sections] or [key]:
        below = child(one, path[0])
        if below is not None:
            yield from _declarations(below, path[1:], next(iter(kinds_of(one.sections)), kind))


def _description(key: Key) -> str:
    """What a key means and what it may hold; equal for two kinds that declare it alike."""
    if not key.fields:  # the root, or an entry of a list
        return _wrapped(key.sections[0].__doc__, indent="  ")
    field, facts = key.fields[0], {}
    if key.path[-1] == "kind":
        facts["default"] = default_kind(find(key.path[:-1]) or ROOT) or "none"
    else:
        facts["allowed"] = allowed(field)
        if kinds := kinds_of(key.sections):
            facts["kinds"] = ", ".join(kinds)
        if field.is_required():
            facts["default"] = "none: the key is required"
        elif not isinstance(default := default_of(field), Section):
            facts["default"] = to_yaml(default)
        if not key.sections:
            facts["resume"] = "may change" if key.is_mutable else "fixed"
    if not any(isinstance(part, int) for part in key.path):
        facts["variable"] = variable_of(join_key(key.path))
    rows = [f"  {name:<9} {fact}" for name, fact in facts.items()]
    return "\n".join([_wrapped(field.description, indent="  "), "", *rows])


def _keys_below(key: Key) -> list[str]:
    """One row for each key of a section, over all its kinds, with its first sentence."""
    above = (*key.path, 0) if key.item else key.path
    rows: dict[str, str] = {}
    for section in key.sections or key.item:
        for name, field in section.model_fields.items():
            rows.setdefault(join_key((*above, name)), first_sentence(field))
    width = max(map(len, rows), default=0)
    head = ["", "  Keys:"] if rows else []
    return [*head, *(f"  {name:<{width}}  {sentence}" for name, sentence in rows.items())]


def _wrapped(text: str | None, *, indent: str) -> str:
    return textwrap.fill(
        text or "",
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
