"""What `siamese-job config` prints about the configuration; all of it from the models.

`starter` and `show` write YAML that `load_config` takes back; `explain` writes for a person.
"""

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from job.config.keys import (
    ROOT,
    Key,
    child,
    choices_of,
    default_kind,
    default_of,
    find,
    kinds_of,
    kinds_of_owners,
    names_in,
    narrowed,
    nearest_key,
)
from job.config.loader.hints import allowed, bare_type, one_of
from job.config.loader.load_config import LoadedConfig
from job.config.loader.overrides import variable_of
from job.config.resume import is_mutable
from job.config.root import Config
from job.config.scalars import dotted, shown, written
from job.errors import ConfigError

_WIDTH = 96

# What a starter file holds where there is no default.
_PLACEHOLDERS = {"run": {"name": "my-run"}, "data": {"kind": "text", "train": "train.csv"}}

_HEADER = """\
# yaml-language-server: $schema={schema}
#
# One training run: `siamese-job train FILE`.
# Every key of these kinds is shown with its default; a key that keeps it may be left out.
# Another `kind` has other keys: `config explain SECTION` lists them.
# `siamese-job config validate FILE` checks the file, `config explain KEY` describes a key.
"""

_Comment = Callable[[Key], str]


def starter(*, schema: str) -> str:
    """A configuration to start from: every key, its meaning and its default.

    Args:
        schema: Path or URL of the JSON schema, for the editor's mode line.

    Returns:
        YAML that loads without an error, once `data.train` names a file that is there.
    """
    values = Config.model_validate(_PLACEHOLDERS).model_dump()
    body = _lines(values, ROOT, before=_comment_above, after=lambda key: "")
    return _HEADER.format(schema=schema) + "\n".join(body) + "\n"


def show(loaded: LoadedConfig, *, with_origin: bool) -> str:
    """The resolved configuration, as YAML that loads to the same values.

    Args:
        loaded: The configuration.
        with_origin: Whether a comment behind each value says who gave it.
    """

    def origin(key: Key) -> str:
        return f"  # {loaded.origins[dotted(key.path)]}" if with_origin else ""

    body = _lines(loaded.config.model_dump(), ROOT, before=lambda key: "", after=origin)
    return "\n".join(body) + "\n"


def explain(dotted_key: str) -> str:
    """Describes one key, or a section with its keys; "" describes the whole.

    Raises:
        ConfigError: There is no such key.
    """
    key = find(tuple(dotted_key.split("."))) if dotted_key else ROOT
    if key is None:
        near = nearest_key(dotted_key)
        hint = (
            f"Did you mean '{near}'?" if near else "Leave KEY out for a list of all sections."
        )
        raise ConfigError(f"config explain: there is no key {shown(dotted_key)}. {hint}")
    facts = ["", *_facts(key)] if key.fields else []
    return "\n".join([*_heading(key), *facts, *_contents(key)]) + "\n"


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
            lines.append(f"{name}: {written(value)}{after(at)}")
    return lines


def _comment_above(key: Key) -> str:
    field = key.fields[0]
    text = _description(key)
    if len(choices_of(field)) > 1 or bare_type(field) in (int, float):
        text += f" {_sentence(allowed(field))}"
    if key.sections and default_of(field) is None and not field.is_required():
        text += f" Its keys: {', '.join(names_in(key.sections))}."
    if key.item:
        text += f" Keys of an entry: {', '.join(names_in(key.item))}."
    kinds = tuple(kinds_of(key.sections))
    if len(kinds) > 1:
        text += f" Kinds: {', '.join(kinds)}."
    indent = 2 * (len(key.path) - 1)
    wrapped = textwrap.wrap(text, _WIDTH - indent - 2, break_on_hyphens=False)
    blank = [""] if len(key.path) == 1 else []
    return "\n".join([*blank, *(f"# {line}" for line in wrapped)])


def _description(key: Key) -> str:
    if key.fields:
        return key.fields[0].description or ""
    return (key.sections[0].__doc__ or "") if key.sections else "A value of the callback's own."


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _first_sentence(key: Key) -> str:
    if not key.fields:
        return _sentence_of(_description(key))
    return " / ".join(_by_kind(key, lambda field: _sentence_of(field.description or "")))


def _sentence_of(text: str) -> str:
    head, stop, _ = text.partition(". ")
    return f"{head}." if stop else head


def _heading(key: Key) -> list[str]:
    texts = _by_kind(key, lambda field: field.description or "") if key.fields else {}
    if len(texts) < 2:
        texts = {_description(key): ()}
    lines = [dotted(key.path) or "the configuration"]
    for text, kinds in texts.items():
        lines += textwrap.wrap(
            f"{_or(kinds)}: {text}" if kinds else text,
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
    return lines


def _by_kind(key: Key, say: Callable[[FieldInfo], str]) -> dict[str, tuple[str, ...]]:
    """What is said of a key to the kinds it is said for, in the order declared."""
    said: dict[str, tuple[str, ...]] = {}
    for field, kinds in zip(key.fields, kinds_of_owners(key), strict=True):
        words = say(field)
        said[words] = tuple(dict.fromkeys((*said.get(words, ()), *kinds)))
    return said


def _each(said: Mapping[str, tuple[str, ...]]) -> str:
    """What is said, with the kinds behind it where that is not the same for all."""
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{words} ({_or(kinds)})" for words, kinds in said.items())


def _or(kinds: tuple[str, ...]) -> str:
    return " or ".join(kinds)


def _facts(key: Key) -> list[str]:
    if key.path[-1] == "kind" and len(key.owners) > 1:
        # Each kind declares its own name only; a person may choose among all.
        section = find(key.path[:-1]) or ROOT
        words, default = one_of(tuple(kinds_of(key.owners))), default_kind(section) or "none"
    else:
        words, default = _each(_by_kind(key, allowed)), _default(key)
    facts = {"allowed": words, "default": default}
    kinds = tuple(kinds_of(key.sections))
    if len(kinds) > 1:
        facts["kinds"] = ", ".join(kinds)
    if not key.sections:
        facts["resume"] = (
            "mutable: a run that goes on may change it"
            if is_mutable(dotted(key.path))
            else "binding: a run keeps what it began with"
        )
    if not any(isinstance(part, int) for part in key.path):
        facts["variable"] = variable_of(dotted(key.path))
    return [f"  {name:<9} {fact}" for name, fact in facts.items()]


def _default(key: Key) -> str:
    if key.fields[0].is_required():
        return "none: it is required"
    if key.sections:
        kind = default_kind(key) if default_of(key.fields[0]) is not None else None
        return "null" if default_of(key.fields[0]) is None else f"the section{_of_kind(kind)}"
    return _each(_by_kind(key, lambda field: written(default_of(field))))


def _of_kind(kind: str | None) -> str:
    return f" of kind {kind}" if kind else " with the defaults of its keys"


def _contents(key: Key) -> list[str]:
    entry = Key((*key.path, 0), sections=key.item) if key.item else key
    below = [at for name in names_in(entry.sections) if (at := child(entry, name))]
    if not below:
        return []
    width = max(len(dotted(at.path)) for at in below)
    head = ["", "  Each entry of the list has these keys:" if key.item else "  Keys:"]
    rows = [f"  {dotted(at.path):<{width}}  {_first_sentence(at)}" for at in below]
    return [*head, *rows]
