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
_TOO_DEEP = f"values may be nested at most {MAX_DEPTH} levels deep, aliases expanded"

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
        values = builder.value(root, ()) if root else None
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
    """PyYAML's composer, which leaves plain scalars to `scalars` and counts values.

    Args:
        text: The file.
        problems: Gets one problem for each tag.
    """

    def __init__(self, text: str, problems: list[YamlProblem]) -> None:
        super().__init__(text)
        self._problems = problems
        self._num_values = 0

    def resolve(self, *_: Any) -> None:
        """Gives no node a tag, because YAML 1.1 would decide which one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Composes one node; an alias gives the node it refers to."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self._num_values += 1
        _refuse_excess(event, self._num_values)
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)  # YAML lets a later value take the name
            if event.tag is not None:
                self._problems.append(YamlProblem(_mark(event), (), _tag_refused(event.tag)))
        return super().compose_node(parent, index)


def _compose(text: str, problems: list[YamlProblem]) -> yaml.Node | None:
    """The root of the only document; None for an empty one."""
    try:
        return _Loader(text, problems).get_single_node()
    except yaml.YAMLError as error:
        raise syntax_error(error, text) from None
    except RecursionError:
        raise YamlTextError(Mark(1, 1), _TOO_DEEP) from None


def _tag_refused(tag: str) -> str:
    name = tag.replace("tag:yaml.org,2002:", "!!")
    return (
        f"tags are not allowed (got {preview(name)}); remove it: a quoted value is text, any "
        "other value has the type it looks like"
    )


@dataclass
class _Builder:
    """Turns nodes into values and records their places; an alias is built at each use."""

    problems: list[YamlProblem] = field(default_factory=list)
    keys: dict[Path, Mark] = field(default_factory=dict)
    marks: dict[Path, Mark] = field(default_factory=dict)

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.marks[path] = _mark(node)
        if len(path) > MAX_DEPTH:
            raise YamlTextError(_mark(node), _TOO_DEEP)
        _refuse_excess(node, len(self.marks))  # once more, because aliases multiply values
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self.keys |= {(*path, index): _mark(item) for index, item in enumerate(node.value)}
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            return _scalar(node)
        except ValueError as error:
            self.problem(node, path, str(error))
            return None

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            try:
                key = _key(key_node)
            except ValueError as error:
                self.problem(key_node, path, str(error))
                continue
            at = (*path, key)
            if key in values:
                line = self.keys[at].line
                text = f"this key is already on line {line}; keep one of the two"
                self.problem(key_node, at, text)
                continue
            self.keys[at] = _mark(key_node)
            values[key] = self.value(value_node, at)
        return values

    def problem(self, node: yaml.Node, path: Path, text: str) -> None:
        self.problems.append(YamlProblem(_mark(node), path, text))


def _scalar(node: Any) -> Any:
    value = node.value if node.style else resolve(node.value)
    _refuse_unusable(value)
    return value


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("a key must be text (got a list or a mapping)")
    if not node.style and node.value == "<<":
        raise ValueError("YAML 1.2 has no merge key `<<`; repeat the keys where they apply")
    key = _scalar(node)
    if not isinstance(key, str):
        raise ValueError(f"a key must be text (got {preview(key)}); put it in quotes")
    return key


def _mark(at: Any) -> Mark:
    """Where an event or a node begins."""
    return Mark(at.start_mark.line + 1, at.start_mark.column + 1)


def _refuse_excess(at: Any, num_values: int) -> None:
    if num_values > MAX_VALUES:
        raise YamlTextError(
            _mark(at),
            f"a configuration may contain at most {MAX_VALUES} values, aliases expanded; is "
            "this the right file?",
        )
