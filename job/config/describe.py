"""What `siamese-job config init`, `show` and `explain` print, from the models and their schema.

`starter` and `show` write YAML that `load_config` reads; `explain` writes for a person.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from job.config.keys import ROOT, Key, child, default_kind, find, narrowed, nearest_key
from job.config.loader.load_config import LoadedConfig
from job.config.loader.overrides import variable_of
from job.config.resume import is_mutable
from job.config.root import Config
from job.config.scalars import join_key, preview, to_yaml
from job.config.schema import json_schema
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

# Words of JSON Schema -> words for a person.
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "minItems": "number of entries at least",
    "maxItems": "number of entries at most",
    "minLength": "number of characters at least",
    "patternErrorMessage": "must be",
}

_Comment = Callable[[Key], str]


def starter(*, schema: str) -> str:
    """A short configuration to start from: the most used keys, their meaning and defaults.

    Args:
        schema: Path or URL of the JSON schema, for the editor's mode line.

    Returns:
        YAML that loads without an error and trains once `data.train` names an existing file.
    """
    values = Config.model_validate(_PLACEHOLDERS).model_dump()
    chosen = {
        section: {name: values[section][name] for name in names}
        for section, names in _STARTER_KEYS.items()
    }
    body = _lines(chosen, ROOT, before=_comment_above, after=lambda key: "")
    return _HEADER.format(schema=schema) + "\n".join(body) + "\n"


def show(loaded: LoadedConfig, *, with_origin: bool) -> str:
    """The resolved configuration, as YAML that loads to the same values.

    Args:
        loaded: The configuration.
        with_origin: Whether a comment after each value names its origin.
    """

    def origin(key: Key) -> str:
        return f"  # {loaded.origins[join_key(key.path)]}" if with_origin else ""

    body = _lines(loaded.config.model_dump(), ROOT, before=lambda key: "", after=origin)
    return "\n".join(body) + "\n"


def explain(dotted_key: str) -> str:
    """Describes one key, or a section with its keys; "" describes the whole.

    A key with another meaning in each kind of its section is described for each kind.

    Raises:
        ConfigError: There is no such key.
    """
    path = tuple(dotted_key.split(".")) if dotted_key else ()
    declared: list[tuple[list[str], dict[str, Any]]] = []
    for kind, node in _declarations(json_schema(), path):
        known = next((kinds for kinds, other in declared if _is_same(other, node)), None)
        if known is None:
            declared.append(([kind], node))
        elif kind not in known:
            known.append(kind)
    if not declared:
        near = nearest_key(dotted_key)
        hint = (
            f"Did you mean '{near}'?" if near else "Leave KEY out for a list of all sections."
        )
        raise ConfigError(f"config explain: there is no key {preview(dotted_key)}. {hint}")
    lines = [dotted_key or "the configuration"]
    for number, (kinds, node) in enumerate(declared):
        lines += [""] * bool(number)
        lines += _described(path, node, kinds=[kind for kind in kinds if kind])
    return "\n".join([*lines, *_keys_below(path, [node for _, node in declared])]) + "\n"


def _lines(
    values: Mapping[str, Any], key: Key, *, before: _Comment, after: _Comment
) -> list[str]:
    """A section as YAML lines, not indented; `before` gives lines, `after` the end of one."""
    key = narrowed(key, values.get("kind"))
    lines: list[str] = []
    for name, value in values.items():
        at = child(key, name)
        if at is None:
            continue
        lines += before(at).splitlines()
        if at.sections and isinstance(value, Mapping):
            below = _lines(value, at, before=before, after=after)
            lines += [f"{name}:", *(f"  {line}".rstrip() for line in below)]
        elif at.item and value:
            lines.append(f"{name}:")
            for index, entry in enumerate(value):
                entry_key = Key((*at.path, index), sections=at.item)
                first, *rest = _lines(entry, entry_key, before=before, after=after)
                lines += [f"- {first}", *(f"  {line}" for line in rest)]
        else:
            lines.append(f"{name}: {to_yaml(value)}{after(at)}")
    return lines


def _comment_above(key: Key) -> str:
    wrapped = textwrap.wrap(
        key.fields[0].description or "", _WIDTH - 2 * len(key.path), break_on_hyphens=False
    )
    blank = [""] if len(key.path) == 1 else []
    return "\n".join([*blank, *(f"# {line}" for line in wrapped)])


def _declarations(
    node: dict[str, Any], path: Sequence[str], kind: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of the schema at a key, with the kind of the nearest section around it."""
    if not path:
        yield kind, node
        return
    first, *rest = path
    for section in _alternatives(node):
        below = section.get("properties", {}).get(first)
        if below is None and first.isdigit():
            below = section.get("items")
        if below is not None:
            own = section.get("properties", {}).get("kind", {}).get("const", kind)
            yield from _declarations(below, rest, own)


def _alternatives(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The sections, lists and values that a node allows, null aside."""
    below = [*node.get("oneOf", []), *node.get("anyOf", [])]
    found = [part for alternative in below for part in _alternatives(alternative)]
    return [part for part in found or [node] if part.get("type") != "null"]


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two kinds declare a key alike; `kind` itself differs in its value only."""
    own = ("const", "default") if "const" in one and "const" in other else ()
    return all(one.get(k) == other.get(k) for k in {*one, *other} if k not in own)


def _described(path: Sequence[str], node: dict[str, Any], *, kinds: list[str]) -> list[str]:
    text = textwrap.wrap(node.get("description", ""), _WIDTH - 2, break_on_hyphens=False)
    facts = _facts(path, node, kinds) if path else {}
    rows = [f"  {name:<9} {fact}" for name, fact in facts.items()]
    return [*(f"  {line}" for line in text), *([""] if rows else []), *rows]


def _facts(path: Sequence[str], node: dict[str, Any], kinds: list[str]) -> dict[str, str]:
    parts = _alternatives(node)
    key = find(tuple(path))
    types = [part.get("type", "any") for part in parts]
    if any({"type": "null"} == part for part in node.get("anyOf", [])):
        types.append("null")
    facts = {"type": " or ".join(dict.fromkeys(types))}
    if "const" in node:
        section = find(tuple(path[:-1])) or ROOT
        return facts | {
            "allowed": ", ".join(kinds),
            "default": default_kind(section) or "none",
            "variable": variable_of(join_key(path)),
        }
    below = [part["properties"]["kind"]["const"] for part in parts if _has_kind(part)]
    if below:
        facts["kinds"] = ", ".join(below)
    if kinds:
        facts["of kind"] = ", ".join(kinds)
    for part in parts:
        facts |= {"allowed": ", ".join(part["enum"])} if "enum" in part else {}
        for name, values in (("bounds", part), ("entries", part.get("items", {}))):
            bounds = [f"{word} {values[at]}" for at, word in _BOUNDS.items() if at in values]
            facts |= {name: "; ".join(bounds)} if bounds else {}
    if "default" in node:
        facts["default"] = to_yaml(node["default"])
    elif key and key.fields and key.fields[0].is_required():
        facts["default"] = "none: the key is required"
    if key and not key.sections:
        facts["resume"] = "may change" if is_mutable(join_key(path)) else "fixed"
    if not any(part.isdigit() for part in path):
        facts["variable"] = variable_of(join_key(path))
    return facts


def _has_kind(part: dict[str, Any]) -> bool:
    return "const" in part.get("properties", {}).get("kind", {})


def _keys_below(path: Sequence[str], nodes: list[dict[str, Any]]) -> list[str]:
    """One row for each key of a section, over all its kinds, with its first sentence."""
    rows: dict[str, str] = {}
    for part in (part for node in nodes for part in _alternatives(node)):
        prefix = (*path, "0") if "items" in part else tuple(path)
        for section in _alternatives(part.get("items", part)):
            for name, below in section.get("properties", {}).items():
                sentence = below["description"].partition(". ")[0].rstrip(".")
                rows.setdefault(join_key((*prefix, name)), sentence)
    width = max(map(len, rows), default=0)
    head = ["", "  Keys:"] if rows else []
    return [*head, *(f"  {key:<{width}}  {sentence}." for key, sentence in rows.items())]
