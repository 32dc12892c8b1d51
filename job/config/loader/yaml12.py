"""Reads YAML by the core schema of YAML 1.2 and records where each value was written.

PyYAML scans, parses and composes. `scalars` decides what a plain scalar means, because PyYAML
follows YAML 1.1: there `1e-3` is text, `no` a boolean, `1:30` the number 90, and the last of
two equal keys wins without a word. Rejected, each with a message: repeated keys, tags, merge
keys (`<<`, not part of 1.2), keys that are not text, a second document. Limits: 1 MB, 32
levels, 20,000 values with aliases expanded::

    document = read_document(b"training: {epochs: 3}")
    document.values  # {"training": {"epochs": 3}}
    document.marks[("training", "epochs")]  # Mark(line=1, column=20)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from job.config.loader.yaml_text import Mark, YamlTextError, decoded, syntax_error
from job.config.scalars import preview, resolve

MAX_DEPTH = 32
MAX_VALUES = 20_000

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlProblem:
    """A problem at one place; `path` is the key it concerns, () for none."""

    mark: Mark
    path: Path
    text: str


@dataclass(frozen=True)
class Document:
    """The content of a file.

    Attributes:
        values: The root value; None for an empty file or after a fatal problem.
        keys: Where each key, or list entry, is written.
        marks: Where each value is written.
        problems: In the order found. If there is one, `values` serves only to find more.
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
        Its values, their places and every problem; bad input never raises.
    """
    builder = _Builder()
    values = None
    try:
        root = _compose(decoded(data), builder.problems)
        values = builder.value(root, (), 0) if root else None
    except YamlTextError as error:
        builder.problems.append(YamlProblem(error.mark, (), str(error)))
    # A problem in an aliased value occurs at each use, but is reported once.
    once = {(problem.mark, problem.text): problem for problem in builder.problems}
    return Document(values, builder.keys, builder.marks, tuple(once.values()))


def read_value(text: str) -> Any:
    """Reads one value as typed after `key=` or in an environment variable.

    A value that starts with a quote, `[` or `{` is YAML in flow style. Any other value is one
    plain scalar up to its last character, so that `#`, `: ` and `@` need no quotes.

    Raises:
        ValueError: The value is not valid; the text says why and what to do.
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
            f"text may contain neither NUL nor half a character (got {preview(value)}); write "
            "UTF-8"
        )


class _Loader(yaml.SafeLoader):
    """PyYAML's composer, which leaves plain scalars to `scalars` and stops at the limits.

    Attributes:
        tags: One problem for each tag in the file.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.tags: list[YamlProblem] = []
        self._num_values = 0
        self._depth = -1
        self._complete: set[str] = set()

    def resolve(self, *_: Any) -> None:
        """Gives no node a tag, because YAML 1.1 would decide which one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Composes one node; an alias gives the node it refers to."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = _mark(event)
        self._num_values += 1
        _refuse_excess(mark, self._depth + 1, self._num_values)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._complete:
                raise YamlTextError(
                    mark,
                    f"`*{event.anchor}` refers to a value that is not complete here; write "
                    f"`&{event.anchor}` before an earlier value",
                )
            return super().compose_node(parent, index)
        if event.tag is not None:
            self.tags.append(_tag_problem(mark, event.tag))
        self.anchors.pop(event.anchor, None)  # YAML lets a later value take the name
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None:
            self._complete.add(event.anchor)
        return node


def _compose(text: str, tags: list[YamlProblem]) -> yaml.Node | None:
    """Composes the only document, None for an empty one; adds a problem for each tag."""
    try:
        loader = _Loader(text)
        loader.tags = tags
        root: yaml.Node | None = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            second = loader.peek_event()  # type: ignore[no-untyped-call]
            raise YamlTextError(
                _mark(second),
                "a second document starts here; one file holds one configuration",
            )
    except yaml.YAMLError as error:
        raise syntax_error(error, text) from None
    return root


def _tag_problem(mark: Mark, tag: str) -> YamlProblem:
    name = tag.replace("tag:yaml.org,2002:", "!!")
    text = (
        f"tags are not allowed (got {preview(name)}); remove it: a quoted value is text, any "
        "other value has the type it looks like"
    )
    return YamlProblem(mark, (), text)


@dataclass
class _Builder:
    """Turns nodes into values and records their places; an alias is built at each use."""

    problems: list[YamlProblem] = field(default_factory=list)
    keys: dict[Path, Mark] = field(default_factory=dict)
    marks: dict[Path, Mark] = field(default_factory=dict)

    def value(self, node: yaml.Node, path: Path, depth: int) -> Any:
        # Both limits are checked again here, because aliases multiply the values.
        self.marks[path] = _mark(node)
        _refuse_excess(_mark(node), depth, len(self.marks))
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            self.keys |= {(*path, index): _mark(item) for index, item in enumerate(node.value)}
            return [
                self.value(item, (*path, index), depth + 1)
                for index, item in enumerate(node.value)
            ]
        return self.mapping(node, path, depth)

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        try:
            value = node.value if node.style else resolve(node.value)
            _refuse_unusable(value)
        except ValueError as error:
            self.problem(node, path, str(error))
            return None
        return value

    def mapping(self, node: yaml.Node, path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
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
            self.keys[*path, key] = _mark(key_node)
            values[key] = self.value(value_node, (*path, key), depth + 1)
        return values

    def key(self, node: yaml.Node, path: Path) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self.problem(node, path, "a key must be text (got a list or a mapping)")
            return None
        if not node.style and node.value == "<<":
            self.problem(
                node,
                path,
                "YAML 1.2 has no merge key `<<`; repeat the keys where they apply",
            )
            return None
        key = self.scalar(node, path)
        if isinstance(key, str):
            return key
        self.problem(node, path, f"a key must be text (got {preview(key)}); put it in quotes")
        return None

    def problem(self, node: yaml.Node, path: Path, text: str) -> None:
        self.problems.append(YamlProblem(_mark(node), path, text))


def _mark(at: Any) -> Mark:
    """Where an event or a node begins."""
    return Mark(at.start_mark.line + 1, at.start_mark.column + 1)


def _refuse_excess(mark: Mark, depth: int, num_values: int) -> None:
    if depth > MAX_DEPTH:
        raise YamlTextError(mark, f"values may be nested at most {MAX_DEPTH} levels deep")
    if num_values > MAX_VALUES:
        raise YamlTextError(
            mark,
            f"a configuration may contain at most {MAX_VALUES} values, aliases expanded; is "
            "this the right file?",
        )
