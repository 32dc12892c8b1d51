"""Guesses what a person meant by a key that does not exist or a value of the wrong type."""

from typing import Any

from pydantic.fields import FieldInfo

from job.config.keys import (
    Key,
    Path,
    all_keys,
    child,
    default_of,
    find,
    kinds_of,
    names_in,
    narrowed,
)
from job.config.origin import Layer
from job.config.scalars import dotted, resolve, shown, written
from job.config.section import Section
from job.config.suggest import did_you_mean
from job.config.wording import bare_type

_YES = frozenset({"yes", "on", "y"})
_NO = frozenset({"no", "off", "n"})
_MAX_PLACES = 3


def unknown_key(parent: Key, name: str, value: Any) -> str:
    """Says that a section has no such key, and which one was probably meant.

    Args:
        parent: The section, narrowed to the kind it has.
        name: The key as written.
        value: What was written for it.
    """
    return f"unknown key (got {shown(value)}).{_meant(parent, name)}"


def _meant(parent: Key, name: str) -> str:
    known = names_in(parent.sections)
    first, colon, rest = name.partition(":")
    if colon and first in known:
        return f" A blank is missing after the colon: write `{first}: {rest}`."
    if "." in name and find((*parent.path, *name.split("."))):
        above, _, last = name.rpartition(".")
        return f" Keys are nested: write `{last}` in the section `{above}`."
    other = _other_kinds(parent, name)
    if other:
        return other
    near = did_you_mean(name, known)
    if near:
        return near
    elsewhere = [key for key in all_keys() if key.rpartition(".")[2] == name][:_MAX_PLACES]
    if elsewhere:
        return f" Did you mean {' or '.join(repr(key) for key in elsewhere)}?"
    return f" Known keys here: {', '.join(known)}."


def _other_kinds(parent: Key, name: str) -> str:
    """Which other kinds of the section, or else of one around it, have the key; "" for none."""
    for depth in range(len(parent.path), 0, -1):
        above, below = parent.path[:depth], (*parent.path[depth:], name)
        section = find(above)
        if section is None:
            continue
        kinds = [kind for kind in kinds_of(section.sections) if _has(section, kind, below)]
        if kinds:
            around = f" of `{dotted(above)}`" if len(below) > 1 else ""
            return f" It belongs to another kind{around}: {', '.join(kinds)}."
    return ""


def _has(section: Key, kind: str, below: Path) -> bool:
    key: Key | None = narrowed(section, kind)
    for part in below:
        key = child(key, part) if key else None
    return key is not None


def wrong_type(kind: str, value: Any, field: FieldInfo | None, layer: int) -> str:
    """What to write instead, with a leading blank; "" when there is nothing to add.

    Args:
        kind: pydantic's name of the error.
        value: What was received.
        field: What the value is for; None for an entry of a list.
        layer: Where the value comes from; quotes need more care in a shell.
    """
    if value is None:
        return _for_null(field)
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        if layer == Layer.FILE:
            return " Put it in quotes to make it text."
        return f" Put it in quotes of its own to make it text: '\"{written(value)}\"'."
    if kind == "bool_type" and isinstance(value, str):
        return _for_boolean(value)
    if kind in ("int_type", "float_type") and field is not None:
        return _for_number(value, bare_type(field))
    if kind == "list_type":
        return " Begin each entry with `- `."
    return ""


def _for_null(field: FieldInfo | None) -> str:
    if field is None or field.is_required():
        return ""
    default = default_of(field)
    if isinstance(default, Section):
        return " Give it a key, or leave the section out."
    return f" Leave the key out for its default, {shown(default)}."


def _for_boolean(value: str) -> str:
    word = value.lower()
    if word in _YES | _NO:
        meant = "true" if word in _YES else "false"
        return f" YAML 1.2 reads {written(value)} as text: write {meant}."
    return f" Write {word} without quotes." if word in ("true", "false") else ""


def _for_number(value: Any, wanted: type) -> str:
    if isinstance(value, float) and value.is_integer():
        return f" Write {int(value)}, without a point or an exponent."
    if not isinstance(value, str):
        return ""
    try:
        number = resolve(value.strip().replace("_", ""))
    except ValueError:
        return ""
    if isinstance(number, bool) or not isinstance(number, (int, wanted)):
        return ""
    return f" Write {written(number)}, without quotes or underscores."
