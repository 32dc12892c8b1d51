"""Writes a configuration as YAML with the reasons as comments.

    text = write_config(choices, title=[...], schema="...")

Sections come in the order of the models, so the file reads as `config show` prints.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from job.config.root import Config
from job.config.scalars import to_yaml
from job.init.rules import Choice

_WIDTH = 96
_ORDER = tuple(Config.model_fields)


def write_config(choices: Sequence[Choice], *, title: Sequence[str], schema: str) -> str:
    """The choices as YAML.

    Args:
        choices: Value and reason of every key.
        title: Lines of the comment at the top.
        schema: Path or URL of the JSON schema, for the editor's mode line.
    """
    head = [f"# yaml-language-server: $schema={schema}"] if schema else []
    for line in title:
        head += _comment(line, indent="")
    sections: dict[str, list[Choice]] = {name: [] for name in _ORDER}
    for choice in choices:
        section, _, key = choice.key.partition(".")
        sections[section].append(Choice(key, choice.value, choice.why))
    blocks = ["\n".join(head)]
    for name, keys in sections.items():
        if keys:
            blocks.append("\n".join([f"{name}:", *_keys(keys)]))
    return "\n\n".join(blocks) + "\n"


def _keys(choices: Sequence[Choice]) -> Iterator[str]:
    for choice in choices:
        if choice.why:
            yield from _comment(choice.why, indent="  ")
        yield from _value(choice.key, choice.value, indent="  ")


def _value(key: str, value: Any, *, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield f"{indent}{key}:"
        for name, inner in value.items():
            yield from _value(name, inner, indent=f"{indent}  ")
    else:
        yield f"{indent}{key}: {to_yaml(value)}"


def _comment(text: str, *, indent: str) -> list[str]:
    lead = f"{indent}# "
    return textwrap.wrap(
        _printable(text),
        _WIDTH,
        initial_indent=lead,
        subsequent_indent=lead,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [lead.rstrip()]


def _printable(text: str) -> str:
    """Escapes what ends a comment or moves a cursor: names of columns may hold anything."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
