"""Reads YAML as YAML 1.2's core schema does, remembering where everything was written.

PyYAML scans and parses; what a scalar means is decided in `scalars`, because PyYAML follows
YAML 1.1, where `1e-3` is text, `no` a boolean, `1:30` the number 90 and the last of two equal
keys silently wins. Refused, each with a message: repeated keys, tags, merge keys (`<<`, not a
part of 1.2), keys that are not text, a second document. Limits: 1 MB, 32 levels, 20 000
values with aliases expanded::

    document = read_document(b"training: {epochs: 3}")
    document.values  # {"training": {"epochs": 3}}
    document.marks[("training", "epochs")]  # Mark(line=1, column=20)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from job.config.loader.yaml_text import Mark, YamlTextError, decoded, syntax_error
from job.config.scalars import resolve, shown

MAX_DEPTH = 32
MAX_VALUES = 20_000

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlProblem:
    """What is wrong at one place; `path` is the key it concerns, () when there is none."""

    mark: Mark
    path: Path
    text: str


@dataclass(frozen=True)
class Document:
    """What a file says.

    Attributes:
        values: The root value; None for an empty file or after a fatal problem.
        keys: Where each key, or list entry, is written.
        marks: Where each value is written.
        problems: Everything wrong, in the order met. With any, `values` serves only to find
            further problems.
    """

    values: Any
    keys: Mapping[Path, Mark]
    marks: Mapping[Path, Mark]
    problems: tuple[YamlProblem, ...]


def read_document(data: bytes) -> Document:
    """Reads one YAML document.

    Args:
        data: The file: UTF-8, with or without a byte order mark.

    Returns:
        Its values, where they stand, and everything that is wrong; never raises for bad input.
    """
    reader = _Reader()
    builder = _Builder()
    values = None
    problems: list[YamlProblem] = []
    try:
        root = reader.read(decoded(data))
        values = builder.value(root, (), 0) if root else None
    except YamlTextError as error:
        problems.append(YamlProblem(error.mark, (), str(error)))
    problems = [*reader.problems, *builder.problems, *problems]
    # What is wrong in an aliased value is met wherever it is used, but written once.
    once = {(problem.mark, problem.text): problem for problem in problems}
    return Document(values, builder.keys, builder.marks, tuple(once.values()))


def read_value(text: str) -> Any:
    """Reads one value as a person types it behind `key=` or into a variable.

    A value that starts with a quote, `[` or `{` is YAML in flow style; everything else is
    one plain scalar to its last character, so that `#`, `: ` and `@` need no quotes.

    Args:
        text: What was typed.

    Returns:
        The value.

    Raises:
        ValueError: It is not valid; the text says why and what to do.
    """
    text = text.strip()
    if text[:1] in ('"', "'", "[", "{"):
        document = read_document(text.encode("utf-8", "surrogateescape"))
        if document.problems:
            raise ValueError(document.problems[0].text)
        return document.values
    value = resolve(text)
    _refuse_unusable(value)
    return value


def _refuse_unusable(value: Any) -> None:
    if isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(
            f"text may hold neither NUL nor half a character (got {shown(value)}); write UTF-8"
        )


@dataclass
class _Node:
    """A value as written; `content` is a scalar, a list of nodes, or of (key, node) pairs."""

    mark: Mark
    content: Any
    kind: str  # "scalar", "list" or "mapping"
    is_plain: bool = False


@dataclass
class _Reader:
    """Turns PyYAML's events into nodes; follows aliases, but does not expand them."""

    problems: list[YamlProblem] = field(default_factory=list)
    anchors: dict[str, _Node] = field(default_factory=dict)
    num_values: int = 0

    def read(self, text: str) -> _Node | None:
        root = None
        try:
            events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    if root is not None:
                        raise YamlTextError(
                            _mark(event),
                            "a second document starts here; one file holds one configuration",
                        )
                    root = self.node(next(events), events, 0)
        except yaml.YAMLError as error:
            raise syntax_error(error, text) from None
        return root

    def node(self, event: Any, events: Iterator[Any], depth: int) -> _Node:
        mark = _mark(event)
        self.num_values += 1
        _refuse_excess(mark, depth, self.num_values)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise YamlTextError(
                    mark,
                    f"`*{event.anchor}` repeats a value that is not complete here; write "
                    f"`&{event.anchor}` before a value further up",
                )
            return self.anchors[event.anchor]
        if event.tag is not None:
            self.refuse_tag(mark, event.tag)
        node = self.contents(event, events, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def contents(self, event: Any, events: Iterator[Any], depth: int) -> _Node:
        mark = _mark(event)
        if isinstance(event, yaml.ScalarEvent):
            return _Node(mark, event.value, "scalar", is_plain=not event.style)
        nodes = []
        while not isinstance(event := next(events), yaml.CollectionEndEvent):
            nodes.append(self.node(event, events, depth + 1))
        if isinstance(event, yaml.SequenceEndEvent):
            return _Node(mark, nodes, "list")
        return _Node(mark, list(zip(nodes[::2], nodes[1::2], strict=True)), "mapping")

    def refuse_tag(self, mark: Mark, tag: str) -> None:
        name = tag.replace("tag:yaml.org,2002:", "!!")
        text = (
            f"tags are not allowed (got {shown(name)}); remove it: a value in quotes is text, "
            "any other has the type it looks like"
        )
        self.problems.append(YamlProblem(mark, (), text))


@dataclass
class _Builder:
    """Turns nodes into values, noting where each stands; an alias is built where it is used."""

    problems: list[YamlProblem] = field(default_factory=list)
    keys: dict[Path, Mark] = field(default_factory=dict)
    marks: dict[Path, Mark] = field(default_factory=dict)

    def value(self, node: _Node, path: Path, depth: int) -> Any:
        # Both limits are met here again: aliases multiply what the text holds.
        self.marks[path] = node.mark
        _refuse_excess(node.mark, depth, len(self.marks))
        if node.kind == "scalar":
            return self.scalar(node, path)
        if node.kind == "list":
            for index, item in enumerate(node.content):
                self.keys[*path, index] = item.mark
            return [
                self.value(item, (*path, index), depth + 1)
                for index, item in enumerate(node.content)
            ]
        return self.mapping(node, path, depth)

    def scalar(self, node: _Node, path: Path) -> Any:
        try:
            value = resolve(node.content) if node.is_plain else node.content
            _refuse_unusable(value)
        except ValueError as error:
            self.problem(node, path, str(error))
            return None
        return value

    def mapping(self, node: _Node, path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.content:
            key = self.key(key_node, path)
            if key is None:
                continue
            if key in values:
                first = self.keys[*path, key]
                self.problem(
                    key_node,
                    (*path, key),
                    f"this key is already on line {first.line}; keep one of the two",
                )
                continue
            self.keys[*path, key] = key_node.mark
            values[key] = self.value(value_node, (*path, key), depth + 1)
        return values

    def key(self, node: _Node, path: Path) -> str | None:
        if node.kind != "scalar":
            self.problem(node, path, "a key must be text (got a list or a mapping)")
            return None
        if node.is_plain and node.content == "<<":
            self.problem(
                node,
                path,
                "`<<` merges nothing in YAML 1.2; write the keys out where they apply",
            )
            return None
        key = self.scalar(node, path)
        if isinstance(key, str):
            return key
        self.problem(node, path, f"a key must be text (got {shown(key)}); put it in quotes")
        return None

    def problem(self, node: _Node, path: Path, text: str) -> None:
        self.problems.append(YamlProblem(node.mark, path, text))


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _refuse_excess(mark: Mark, depth: int, num_values: int) -> None:
    if depth > MAX_DEPTH:
        raise YamlTextError(mark, f"values may be nested at most {MAX_DEPTH} levels deep")
    if num_values > MAX_VALUES:
        raise YamlTextError(
            mark,
            f"a configuration may hold at most {MAX_VALUES} values, aliases expanded; is this "
            "the right file?",
        )
