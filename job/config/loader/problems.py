"""Turns each of pydantic's errors into one line that a person can act on.

    run.yaml:4:3: training.epoch: unknown key (got 3). Did you mean 'epochs'?

A line names the place, the key, what is allowed, what was received and what to do. `merge`
knows the origin of a value; `hints` knows what a key may hold and what was probably meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from job.config.compatibility import IncompatibleError
from job.config.keys import (
    ROOT,
    Key,
    Path,
    child,
    choices_of,
    entry_of,
    kinds_of,
    name_in,
    narrowed,
)
from job.config.loader.hints import allowed, first_sentence, one_of, unknown_key
from job.config.loader.merge import Layered, is_given
from job.config.loader.origin import Layer, Problem
from job.config.scalars import join_key, preview, to_yaml
from job.config.suggest import did_you_mean

_SECTION_TYPES = ("model_type", "model_attributes_type")


@dataclass(frozen=True)
class _Place:
    """The place of an error: its path without union tags, and the keys there."""

    path: Path
    parent: Key
    key: Key | None  # None: there is no such key, or it is an entry of a list of plain values


def from_validation(error: ValidationError, *, layered: Layered) -> list[Problem]:
    """Explains every error of a failed validation, one problem each, not sorted.

    Args:
        error: What the root model raised for `layered.values`.
        layered: The values and their origins.
    """
    return [
        problem
        for details in error.errors(include_url=False)
        for problem in _problems(details, layered)
    ]


def required_in(sections: tuple[Any, ...]) -> list[str]:
    """The keys of a section that have no default."""
    return [
        name
        for section in sections
        for name, field in section.model_fields.items()
        if field.is_required()
    ]


def _problems(details: ErrorDetails, layered: Layered) -> list[Problem]:
    cause = details.get("ctx", {}).get("error")
    if not isinstance(cause, IncompatibleError):
        return [_problem(details, layered)]
    return [
        Problem(layered.origin_of(conflict.path), join_key(conflict.path), conflict.text)
        for conflict in cause.conflicts
    ]


def _problem(details: ErrorDetails, layered: Layered) -> Problem:
    place = _locate(details["loc"], layered.values)
    kind, value = details["type"], details["input"]
    if kind == "missing":
        return Problem(
            layered.origin_of_key(place.path[:-1]), join_key(place.path), _missing(place)
        )
    if kind == "extra_forbidden":
        text = unknown_key(place.parent, str(place.path[-1]), value)
        return Problem(layered.origin_of_key(place.path), join_key(place.path), text)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        path = (*place.path, "kind")
        given = value.get("kind") if isinstance(value, Mapping) else None
        choices = tuple(kinds_of(place.key.sections)) if place.key else ()
        return Problem(layered.origin_of(path), join_key(path), _choice(choices, given))
    origin = layered.origin_of(place.path)
    if kind == "value_error" and isinstance(value, Mapping):
        # The combination is wrong, so the place is the line of the section.
        origin = layered.origin_of_key(place.path)
    return Problem(origin, join_key(place.path), _bad_value(details, place, origin.layer))


def _locate(location: tuple[int | str, ...], values: Any) -> _Place:
    path: Path = ()
    parent, key = ROOT, ROOT
    for part in location:
        # pydantic names, between two keys, the kind it chose and the type of a free value.
        if len(key.sections) > 1 and part in kinds_of(key.sections):
            key = narrowed(key, part)
            continue
        if key.has_free_keys and not is_given(values, (*path, part)):
            continue
        # Also which alternative of a plain value it chose: no key is below one.
        if key.fields and isinstance(part, str) and name_in(key.fields[0]):
            continue
        path, parent = (*path, part), key
        below = child(key, part)
        if below is None:
            return _Place(path, parent, None)
        key = below
    return _Place(path, parent, key)


def _missing(place: _Place) -> str:
    key = place.key
    if key is None or not key.fields:
        return "is required"
    if key.sections:
        keys = ", ".join(f"`{name}`" for name in required_in(key.sections))
        return f"this section is required, with its key {keys}"
    return f"is required: {allowed(key.fields[0])}. {first_sentence(key.fields[0])}"


def _bad_value(details: ErrorDetails, place: _Place, layer: int) -> str:
    kind, value = details["type"], details["input"]
    field = _field(place)
    if field is not None and choices_of(field):
        return _choice(choices_of(field), value)
    if kind == "value_error":
        text = str(details["ctx"]["error"])
        return text if "(got " in text else f"{text} (got {preview(value)})"
    words = allowed(field) if field else _without_field(details)
    if kind == "finite_number":
        words = words.replace("a number", "a finite number")
    return f"must be {words} (got {preview(value)}).{_quoting(kind, value, layer)}"


def _quoting(kind: str, value: Any, layer: int) -> str:
    """How to write a value that YAML does not read as text; "" for another error."""
    if kind != "string_type" or not isinstance(value, (bool, int, float)):
        return ""
    if layer == Layer.FILE:
        return " Put it in quotes to make it text."
    # A shell removes one pair of quotes.
    return f" Put it in two pairs of quotes to make it text: '\"{to_yaml(value)}\"'."


def _field(place: _Place) -> FieldInfo | None:
    """The declaration; None for an entry of a list of sections and below free keys."""
    if place.key is not None:
        return place.key.fields[0] if place.key.fields else None
    return entry_of(place.parent.fields[0]) if place.parent.fields else None


def _without_field(details: ErrorDetails) -> str:
    if details["type"] in _SECTION_TYPES:
        return "a section with keys of its own"
    if details["type"] == "finite_number":
        return "a finite number"
    return f"valid: {details['msg']}"


def _choice(choices: tuple[str, ...], value: Any) -> str:
    near = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"must be {one_of(choices)} (got {preview(value)}).{near}"
