"""Looks up what may stand at a dotted key, in the section models.

find(("training", "optimizer")).sections  # (AdamConfig, RmspropConfig, SgdConfig)
find(("training", "epochs")).is_mutable  # True
find(("training", "epoch"))  # None
"""

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from job.config.root import Config
from job.config.section import DEFAULT_KIND, Section
from job.config.suggest import nearest

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Key:
    """One key of the configuration, or the root.

    Attributes:
        path: From the root; an entry of a list has its number.
        fields: Its declarations, one per kind of section that has it; none for the root, for
            an entry of a list, and below `callbacks.custom.N.arguments`.
        sections: What a mapping here is read as, one per kind; none for a plain value.
        item: What an entry of the list here is read as; None when no list of sections.
        has_free_keys: Whether a mapping here has keys of the user's own.
        is_mutable: Whether the key, or one above it, is marked as one a resume may change.
    """

    path: Path
    fields: tuple[FieldInfo, ...] = ()
    sections: tuple[type[Section], ...] = ()
    item: tuple[type[Section], ...] = ()
    has_free_keys: bool = False
    is_mutable: bool = False


ROOT = Key((), sections=(Config,))


def find(path: Path) -> Key | None:
    """Looks a key up.

    Args:
        path: From the root; numbers of list entries as int or as digits.

    Returns:
        What may stand there, None when there is no such key.
    """
    key = ROOT
    for part in path:
        below = child(key, part)
        if below is None:
            return None
        key = below
    return key


def child(key: Key, part: str | int) -> Key | None:
    """The key one step below, None when there is none."""
    path = (*key.path, part)
    if key.has_free_keys:
        return Key(path, has_free_keys=True, is_mutable=key.is_mutable)
    if key.item:
        if isinstance(part, str) and not re.fullmatch("[0-9]{1,6}", part):
            return None
        return Key((*key.path, int(part)), sections=key.item, is_mutable=key.is_mutable)
    owners = tuple(section for section in key.sections if part in section.model_fields)
    if not owners:
        return None
    fields = tuple(section.model_fields[str(part)] for section in owners)
    annotations = [field.annotation for field in fields]
    return Key(
        path,
        fields=fields,
        sections=_unique(sections_in(annotation) for annotation in annotations),
        item=_unique(_items_in(annotation) for annotation in annotations),
        has_free_keys=any(get_origin(annotation) is dict for annotation in annotations),
        is_mutable=key.is_mutable or any(_is_marked(field) for field in fields),
    )


@cache
def all_keys() -> Mapping[str, Key]:
    """Every declared key by its dotted name, sections included, in the order declared.

    Entries of a list are declared once, under the number 0.
    """
    found: dict[str, Key] = {}
    _collect(ROOT, found)
    return found


def nearest_key(typed: str) -> str | None:
    """The dotted key that was probably meant, None when none is near.

    The last word may be right and the section wrong or left out.
    """
    last = typed.rpartition(".")[2]
    same = [key for key in all_keys() if key.rpartition(".")[2] == last != "0"]
    return same[0] if len(same) == 1 else nearest(typed, all_keys())


def names_in(sections: tuple[type[Section], ...]) -> tuple[str, ...]:
    """The keys of a section, over all its kinds, in the order declared."""
    return tuple(dict.fromkeys(name for section in sections for name in section.model_fields))


def kinds_of(sections: tuple[type[Section], ...]) -> dict[str, type[Section]]:
    """The section of each `kind`; empty for a section without kinds."""
    return {
        kind: section
        for section in sections
        if "kind" in section.model_fields
        for kind in get_args(section.model_fields["kind"].annotation)
    }


def default_kind(key: Key) -> str | None:
    """The `kind` a section has when nothing says otherwise, None when it has none."""
    if not kinds_of(key.sections):
        return None
    default = default_of(key.fields[0]) if key.fields else None
    extra = key.fields[0].json_schema_extra if key.fields else None
    if isinstance(extra, dict) and DEFAULT_KIND in extra:
        return str(extra[DEFAULT_KIND])
    if isinstance(default, Section):
        return str(default.model_dump()["kind"])
    return next(iter(kinds_of(key.sections))) if len(key.sections) == 1 else None


def narrowed(key: Key, kind: Any) -> Key:
    """The key with only the section of that kind; unchanged when it has no such kind."""
    section = kinds_of(key.sections).get(kind) if isinstance(kind, str) else None
    return replace(key, sections=(section,)) if section else key


def default_of(field: FieldInfo) -> Any:
    """A field's default; None for a required one, too (see `FieldInfo.is_required`)."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def sections_in(annotation: Any) -> tuple[type[Section], ...]:
    """The section models among the alternatives of a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return (annotation,)
    origin = get_origin(annotation)
    if origin is Annotated:
        return sections_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return _unique(sections_in(part) for part in get_args(annotation))
    return ()


def entry_of(field: FieldInfo) -> FieldInfo | None:
    """What each entry of a list of plain values may be; None for any other field."""
    if get_origin(field.annotation) is not list:
        return name_in(field)
    annotation = get_args(field.annotation)[0]
    return None if sections_in(annotation) else FieldInfo.from_annotation(annotation)


def name_in(field: FieldInfo) -> FieldInfo | None:
    """What each name of a `Names` field may be; None for any other field."""
    return _listed_beside_text(field.annotation)


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """The texts a field may have when that is a closed list, else none."""
    if get_origin(field.annotation) is Literal:
        return tuple(str(choice) for choice in get_args(field.annotation))
    alternatives = get_args(field.annotation)  # as in `Monitor | None`
    nested = (mark for part in alternatives for mark in getattr(part, "__metadata__", ()))
    for mark in (*field.metadata, *nested):
        if isinstance(schema := getattr(mark, "json_schema", None), dict):
            return tuple(schema.get("enum", ()))
    return ()


def _listed_beside_text(annotation: Any) -> FieldInfo | None:
    """The entry of the list among the alternatives of a type annotation."""
    for part in get_args(annotation):
        if get_origin(part) is list:
            return FieldInfo.from_annotation(get_args(part)[0])
        if get_origin(part) in (Annotated, Union) and (found := _listed_beside_text(part)):
            return found
    return None


def _items_in(annotation: Any) -> tuple[type[Section], ...]:
    return sections_in(get_args(annotation)[0]) if get_origin(annotation) is list else ()


def _unique(groups: Any) -> tuple[type[Section], ...]:
    return tuple(dict.fromkeys(section for group in groups for section in group))


def _is_marked(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("mutable") is True


def _collect(key: Key, found: dict[str, Key]) -> None:
    parts: tuple[str | int, ...] = (0,) if key.item else names_in(key.sections)
    for part in parts:
        below = child(key, part)
        if below is not None:
            found[".".join(map(str, below.path))] = below
            _collect(below, found)
