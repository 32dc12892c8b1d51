"""Merges the file, the environment and `--set`; pure functions.

Each layer overrides the one before: defaults (which only the section models know), the file,
`SIAMESE_A__B`, `--set a.b=c`. A mapping for a section is merged key by key; any other value
replaces the previous one. A change of a section's `kind` drops the values that lower layers set
for the old kind.
"""

import copy
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from job.config.keys import ROOT, Key, Path, child, default_kind, find, kinds_of
from job.config.loader.origin import Origin, Problem, file_origin
from job.config.loader.overrides import Assignment
from job.config.loader.yaml12 import Document
from job.config.loader.yaml_text import Mark
from job.config.scalars import join_key


@dataclass(frozen=True)
class Layered:
    """The values of all layers as one tree, and their origins.

    Attributes:
        values: What the models are to validate.
        origins: Where each key, and its value, was given; the two differ in the file.
        problems: What made an assignment impossible.
    """

    values: Any
    origins: Mapping[Path, tuple[Origin, Origin]]
    problems: tuple[Problem, ...] = ()

    def origin_of(self, path: Path) -> Origin:
        """The origin of the value at `path`, or of the nearest value around it."""
        return self._nearest(path)[1]

    def origin_of_key(self, path: Path) -> Origin:
        """Like `origin_of`, for the key."""
        return self._nearest(path)[0]

    def _nearest(self, path: Path) -> tuple[Origin, Origin]:
        while path not in self.origins:
            path = path[:-1]
        return self.origins[path]


def from_document(document: Document, *, path: str) -> Layered:
    """The file alone.

    Args:
        document: What the file says.
        path: How messages name the file.
    """

    def origin(mark: Mark) -> Origin:
        return file_origin(path, line=mark.line, column=mark.column)

    start = Mark(1, 1)  # of the root, which has no key
    marks = {(): start, **document.marks}
    return Layered(
        document.values,
        {
            at: (origin(document.keys.get(at, start)), origin(mark))
            for at, mark in marks.items()
        },
    )


def apply(layered: Layered, assignments: Sequence[Assignment]) -> Layered:
    """Merges one layer into the ones below.

    Args:
        layered: The layers below.
        assignments: All of one layer; the last of two for a key wins.

    Returns:
        The merged layers. A `kind` is applied before the other keys, so that its reset keeps
        the values of this layer.
    """
    if not isinstance(layered.values, dict):
        return layered  # the file holds no mapping, which is reported as such
    tree = _Tree(copy.deepcopy(layered.values), dict(layered.origins))
    leaves = [leaf for assignment in copy.deepcopy(assignments) for leaf in _leaves(assignment)]
    problems = []
    for leaf in sorted(leaves, key=_rank):
        try:
            tree.apply(leaf)
        except ValueError as error:
            problems.append(Problem(leaf.origin, join_key(leaf.path), str(error)))
    return Layered(tree.values, tree.origins, (*layered.problems, *problems))


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


def _leaves(assignment: Assignment) -> Iterator[Assignment]:
    """One assignment for each key of a mapping for a section, however deep."""
    value = assignment.value
    if not value or not isinstance(value, dict) or not _is_section(assignment.path):
        yield assignment
        return
    for name, below in value.items():
        yield from _leaves(replace(assignment, path=(*assignment.path, name), value=below))


def _is_section(path: Path) -> bool:
    key = find(path)
    return key is not None and bool(key.sections)


def _is_kind(leaf: Assignment) -> bool:
    return leaf.path[-1] == "kind" and _is_section(leaf.path[:-1])


def _rank(leaf: Assignment) -> int:
    """Sorts kinds first, from the outside in; the rest stays in the order given."""
    return len(leaf.path) if _is_kind(leaf) else sys.maxsize


@dataclass
class _Tree:
    """A copy of the lower layers that the assignments of one layer are written into."""

    values: dict[str, Any]
    origins: dict[Path, tuple[Origin, Origin]]

    def apply(self, leaf: Assignment) -> None:
        """Writes one assignment, and the sections and lists around it that are absent.

        Raises:
            ValueError: It names an entry that its list cannot have.
        """
        node: Any = self.values
        for depth, part in enumerate(leaf.path[:-1], start=1):
            at = leaf.path[:depth]
            below = _get(node, part)
            if below is None:
                key = find(at)
                below = [] if key is not None and key.item else {}
                self.put(node, at, below, leaf.origin)
            if not isinstance(below, dict if _is_section(at) else (dict, list)):
                return  # a value above the key is wrong, and validation reports that
            node = below
        if _is_kind(leaf):
            self.reset(node, leaf)
        is_there = isinstance(_get(node, leaf.path[-1]), dict)
        if leaf.value == {} and is_there and _is_section(leaf.path):
            return  # an empty mapping changes nothing in a section
        self.put(node, leaf.path, leaf.value, leaf.origin)

    def reset(self, section: dict[str, Any], kind: Assignment) -> None:
        """Drops what lower layers set for another kind of a section."""
        above = kind.path[:-1]
        key = find(above)
        if key is None or kind.value not in tuple(kinds_of(key.sections)):
            return  # an unknown kind is reported, and nothing else
        if section.get("kind", default_kind(key)) != kind.value:
            for name in [name for name in section if name != "kind"]:
                del section[name]
                self.forget((*above, name))

    def put(self, node: Any, at: Path, value: Any, origin: Origin) -> None:
        position = _position(node, at[-1])
        if isinstance(node, list) and position == len(node):
            node.append(value)
        else:
            node[position] = value
        self.forget(at)
        self.origins[at] = origin, origin

    def forget(self, at: Path) -> None:
        for path in [path for path in self.origins if path[: len(at)] == at]:
            del self.origins[path]


def _get(node: Any, part: str | int) -> Any:
    position = _position(node, part)
    return node[position] if is_given(node, (position,)) else None


def _position(node: Any, part: str | int) -> str | int:
    """The key of a mapping, or the number in a list, that one part of a path names."""
    if isinstance(node, dict):
        return str(part)
    if re.fullmatch("[0-9]{1,6}", str(part)) and int(part) <= len(node):
        return int(part)
    raise ValueError(
        f"this list has {len(node)} entries; name one by its number from 0, or add one as "
        f"number {len(node)} (got {part})"
    )


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
