"""Says in words what a key may hold; messages and `config explain` share these words."""

from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from job.config.keys import choices_of, entry_of, sections_in
from job.config.scalars import shown, written
from job.config.section import PATTERN_RULE

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
