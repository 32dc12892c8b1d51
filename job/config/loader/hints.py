"""Guesses what a person meant by a key that does not exist or a value of the wrong type."""

from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from job.config.keys import (
    Key,
    Path,
    all_keys,
    child,
    choices_of,
    default_of,
    entry_of,
    find,
    kinds_of,
    names_in,
    narrowed,
    sections_in,
)
from job.config.loader.origin import Layer
from job.config.scalars import dotted, resolve, shown, written
from job.config.section import PATTERN_RULE, Section
from job.config.suggest import did_you_mean

_TYPES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def allowed(field: FieldInfo) -> str:
    """What a field may hold, to be read after "must be".

    Returns:
        As in "a number above 0 and below 1", "one of best, last" or "text or null".
    """
    words = _rule(field) or _choices(field) or f"{_type(field)}{_bounds(field)}"
    entry = entry_of(field)
    if entry is not None:
        words += f", each {allowed(entry)}"
    return f"{words} or null" if is_nullable(field) else words


def is_nullable(field: FieldInfo) -> bool:
    """Whether null is a value of the field."""
    return type(None) in get_args(field.annotation)


def bare_type(field: FieldInfo) -> Any:
    """The Python type a field's value has when it is not null; list and dict without items."""
    parts = [part for part in get_args(field.annotation) if part is not type(None)]
    annotation = parts[0] if is_nullable(field) else field.annotation
    return get_origin(annotation) or annotation


def one_of(choices: tuple[str, ...]) -> str:
    """A closed list of texts, to be read after "must be"."""
    return f"one of {', '.join(choices)}" if len(choices) > 1 else shown(choices[0])


def _rule(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get(PATTERN_RULE, "")) if isinstance(extra, dict) else ""


def _choices(field: FieldInfo) -> str:
    choices = choices_of(field)
    return one_of(choices) if choices else ""


def _type(field: FieldInfo) -> str:
    if sections_in(field.annotation):
        return "a section with keys of its own"
    return _TYPES[bare_type(field)]


def _bounds(field: FieldInfo) -> str:
    bound = {
        name: getattr(mark, name)
        for mark in field.metadata
        for name in ("gt", "ge", "lt", "le", "min_length", "max_length")
        if getattr(mark, name, None) is not None
    }
    if "min_length" in bound and "max_length" in bound:
        return f" of {bound['min_length']} to {bound['max_length']} entries"
    if "max_length" in bound:
        return f" of at most {bound['max_length']} entries"
    if "min_length" in bound:
        return " that is not empty"
    if "ge" in bound and "le" in bound:
        return f" from {_number(bound['ge'])} to {_number(bound['le'])}"
    phrases = {"gt": " above", "ge": ", at least", "lt": " below", "le": " at most"}
    said = [
        f"{words} {_number(bound[name])}" for name, words in phrases.items() if name in bound
    ]
    return " and".join(said)


def _number(number: float) -> str:
    return written(int(number) if number == int(number) else number)


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
