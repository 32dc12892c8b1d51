"""Merges the file, the environment and `--set`; pure functions.

Each layer overrides the one before: defaults (which only the section models know), the file,
`SIAMESE_A__B`, `--set a.b=c`. A mapping for a section is merged key by key; any other value
replaces the previous one. A change of a section's `kind` drops the values that lower layers set
for the old kind.
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from job.config.keys import ROOT, Key, Path, child, default_kind, find, kinds_of
from job.config.loader.origin import Origin, Problem, file_origin
from job.config.loader.overrides import Assignment
from job.config.loader.yaml12 import Document
from job.config.scalars import join_key


@dataclass(frozen=True)
class Layered:
    """The values of all layers as one tree, and their origins.

    Attributes:
        values: What the models are to validate.
        keys: Where each key was given.
        marks: Where each value was given; differs from `keys` in the column, for the file.
        problems: What made an assignment impossible.
    """

    values: Any
    keys: Mapping[Path, Origin]
    marks: Mapping[Path, Origin]
    problems: tuple[Problem, ...] = ()

    def origin_of(self, path: Path) -> Origin:
        """The origin of the value at `path`, or of the nearest value around it."""
        return _nearest(self.marks, path)

    def origin_of_key(self, path: Path) -> Origin:
        """Like `origin_of`, for the key."""
        return _nearest(self.keys, path)


def from_document(document: Document, *, path: str) -> Layered:
    """The file alone.

    Args:
        document: What the file says.
        path: How messages name the file.
    """
    keys = {
        at: file_origin(path, line=mark.line, column=mark.column)
        for at, mark in document.keys.items()
    }
    marks = {
        at: file_origin(path, line=mark.line, column=mark.column)
        for at, mark in document.marks.items()
    }
    start = file_origin(path, line=1, column=1)
    return Layered(document.values, {(): start, **keys}, {(): start, **marks})


def apply(layered: Layered, assignments: Sequence[Assignment]) -> Layered:
    """Merges one layer into the ones below.

    Args:
        layered: The layers below.
        assignments: All of one layer; the last of two for a key wins.

    Returns:
        The merged layers. A `kind` is applied before the other keys, so that its reset keeps
        the values of this layer.
    """
    leaves = [leaf for assignment in assignments for leaf in _leaves(assignment)]
    kinds = sorted((leaf for leaf in leaves if _is_kind(leaf)), key=lambda leaf: len(leaf.path))
    ordered = [*kinds, *(leaf for leaf in leaves if not _is_kind(leaf))]
    if not isinstance(layered.values, dict):
        return layered  # the file holds no mapping, which is reported as such
    tree = _Tree(copy.deepcopy(layered.values), dict(layered.keys), dict(layered.marks))
    problems = []
    for leaf in ordered:
        try:
            tree.apply(leaf)
        except _ImpossibleError as error:
            problems.append(Problem(leaf.origin, join_key(leaf.path), str(error)))
    return Layered(tree.values, tree.keys, tree.marks, (*layered.problems, *problems))


def with_default_kinds(layered: Layered) -> Layered:
    """Writes the default `kind` into every section of several kinds that names none.

    A tagged union cannot be validated without its tag, and `optimizer: {learning_rate: 0.01}`
    is as clear as any other omitted key.
    """
    return replace(layered, values=_with_kinds(layered.values, ROOT))


def is_given(values: Any, path: Path) -> bool:
    """Whether a tree of mappings and lists has a value, null included, at `path`."""
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


class _ImpossibleError(Exception):
    """An assignment names an entry that cannot exist."""


def _leaves(assignment: Assignment) -> Iterator[Assignment]:
    key = find(assignment.path)
    if key is None or not key.sections or not isinstance(assignment.value, Mapping):
        yield assignment
        return
    if not assignment.value:
        yield assignment
    for name, value in assignment.value.items():
        yield from _leaves(Assignment((*assignment.path, name), value, assignment.origin))


def _is_kind(leaf: Assignment) -> bool:
    section = find(leaf.path[:-1])
    return leaf.path[-1] == "kind" and section is not None and bool(section.sections)


@dataclass
class _Tree:
    """A copy that the assignments of one layer are written into."""

    values: dict[str, Any]
    keys: dict[Path, Origin]
    marks: dict[Path, Origin]

    def apply(self, leaf: Assignment) -> None:
        """Writes one assignment.

        Raises:
            _ImpossibleError: It names an entry that its list cannot have.
        """
        parent = self.parent_of(leaf)
        if parent is None:
            return  # a value above it is wrong, and validation reports that
        if _is_kind(leaf):
            self.reset_siblings(parent, leaf=leaf)
        self.put(parent, leaf=leaf)

    def parent_of(self, leaf: Assignment) -> dict[str, Any] | list[Any] | None:
        """The mapping or list that holds the last part of the path; created if absent."""
        node: Any = self.values
        for depth, part in enumerate(leaf.path[:-1], start=1):
            at = leaf.path[:depth]
            key = find(at)
            if _get(node, part) is None:
                _set(node, part, [] if key is not None and key.item else {})
                self.attribute(at, leaf.origin)
            node = _get(node, part)
            is_section = key is not None and bool(key.sections)
            if not isinstance(node, dict if is_section else (dict, list)):
                return None
        return node  # type: ignore[no-any-return]

    def reset_siblings(self, parent: Any, *, leaf: Assignment) -> None:
        above = leaf.path[:-1]
        key = find(above)
        if key is None or leaf.value not in tuple(kinds_of(key.sections)):
            return  # an unknown kind is reported, and nothing else
        if parent.get("kind", default_kind(key)) == leaf.value:
            return
        # All come from lower layers, because the kinds of a layer are applied first.
        for name in [name for name in parent if name != "kind"]:
            del parent[name]
            self.forget((*above, name))

    def put(self, parent: dict[str, Any] | list[Any], *, leaf: Assignment) -> None:
        key = find(leaf.path)
        is_there = isinstance(_get(parent, leaf.path[-1]), dict)
        if key is not None and key.sections and leaf.value == {} and is_there:
            return  # an empty mapping changes nothing in a section
        _set(parent, leaf.path[-1], copy.deepcopy(leaf.value))
        self.attribute(leaf.path, leaf.origin)

    def attribute(self, at: Path, origin: Origin) -> None:
        self.forget(at)
        self.keys[at] = self.marks[at] = origin

    def forget(self, at: Path) -> None:
        for places in (self.keys, self.marks):
            for path in [path for path in places if path[: len(at)] == at]:
                del places[path]


def _get(node: dict[str, Any] | list[Any], part: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(str(part))
    index = _index(node, part)
    return node[index] if index < len(node) else None


def _set(node: dict[str, Any] | list[Any], part: str | int, value: Any) -> None:
    if isinstance(node, dict):
        node[str(part)] = value
    elif (index := _index(node, part)) == len(node):
        node.append(value)
    else:
        node[index] = value


def _index(node: list[Any], part: str | int) -> int:
    if re.fullmatch("[0-9]{1,6}", str(part)) and int(part) <= len(node):
        return int(part)
    raise _ImpossibleError(
        f"this list has {len(node)} entries; name one by its number from 0, or add one as "
        f"number {len(node)} (got {part})"
    )


def _nearest(places: Mapping[Path, Origin], path: Path) -> Origin:
    while path not in places:
        path = path[:-1]
    return places[path]


def _with_kinds(value: Any, key: Key) -> Any:
    if isinstance(value, list) and key.item:
        entry = Key((*key.path, 0), sections=key.item)
        return [_with_kinds(item, entry) for item in value]
    if not isinstance(value, dict) or not key.sections:
        return value
    kind = default_kind(key) if len(key.sections) > 1 and "kind" not in value else None
    start: dict[str, Any] = {} if kind is None else {"kind": kind}
    for name, item in value.items():
        at = child(key, name)
        start[name] = item if at is None else _with_kinds(item, at)
    return start
