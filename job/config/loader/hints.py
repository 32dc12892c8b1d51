"""Says what a key may hold, and what a wrong key was probably meant to be."""

from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from job.config.keys import (
    Key,
    Path,
    child,
    choices_of,
    entry_of,
    find,
    kinds_of,
    name_in,
    names_in,
    narrowed,
    sections_in,
)
from job.config.scalars import join_key, preview, to_yaml
from job.config.section import PATTERN_RULE
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
    extra, choices, entry = field.json_schema_extra, choices_of(field), entry_of(field)
    if name := name_in(field):
        words, entry = f"{allowed(name)}, or a list of such", None
    elif isinstance(extra, dict) and PATTERN_RULE in extra:
        words = str(extra[PATTERN_RULE])
    else:
        words = one_of(choices) if choices else f"{_type(field)}{_bounds(field)}"
    if entry is not None:
        words += f", each {allowed(entry)}"
    return f"{words}{',' if name else ''} or null" if _is_nullable(field) else words


def first_sentence(field: FieldInfo) -> str:
    """What a field means, in one sentence."""
    return (field.description or "").partition(". ")[0].rstrip(".") + "."


def one_of(choices: tuple[str, ...]) -> str:
    """A closed list of texts, to be read after "must be"."""
    return f"one of {', '.join(choices)}" if len(choices) > 1 else preview(choices[0])


def _is_nullable(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _type(field: FieldInfo) -> str:
    if sections_in(field.annotation):
        return "a section with keys of its own"
    parts = [part for part in get_args(field.annotation) if part is not type(None)]
    annotation = parts[0] if _is_nullable(field) else field.annotation
    return _TYPES[get_origin(annotation) or annotation]


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
    given = [name for name in phrases if name in bound]
    return " and".join(f"{phrases[name]} {_number(bound[name])}" for name in given)


def _number(number: float) -> str:
    return to_yaml(int(number) if number == int(number) else number)


def unknown_key(parent: Key, name: str, value: Any) -> str:
    """Rejects a key that its section does not have, and names the one probably meant.

    Args:
        parent: The section, narrowed to its kind.
        name: The key as written.
        value: Its value.
    """
    known = names_in(parent.sections)
    hint = (
        _other_kinds(parent, name)
        or did_you_mean(name, known)
        or f" Known keys here: {', '.join(known)}."
    )
    return f"unknown key (got {preview(value)}).{hint}"


def _other_kinds(parent: Key, name: str) -> str:
    """Names the other kinds of the section, or of one around it, that have the key."""
    for depth in range(len(parent.path), 0, -1):
        above, below = parent.path[:depth], (*parent.path[depth:], name)
        section = find(above)
        if section is None:
            continue
        kinds = [kind for kind in kinds_of(section.sections) if _has(section, kind, below)]
        if kinds:
            around = f" of `{join_key(above)}`" if len(below) > 1 else ""
            return f" It belongs to another kind{around}: {', '.join(kinds)}."
    return ""


def _has(section: Key, kind: str, below: Path) -> bool:
    key: Key | None = narrowed(section, kind)
    for part in below:
        key = child(key, part) if key else None
    return key is not None
