"""Reads what the comments of a chart's values file say about its keys.

A comment that begins with `# --` and the comment lines after it describe the key below them::

    [entry.key for entry in read_entries(text)]  # ["image", "image.repository", ...]
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

_KEY = re.compile(r"(?P<indent> *)(?P<name>[A-Za-z]\w*):")


@dataclass(frozen=True)
class Entry:
    """A described key: where it is, what it is by default and what it means."""

    key: str
    default: Any
    description: str


def read_entries(text: str) -> list[Entry]:
    """The described keys of a values file, in its order."""
    defaults = yaml.safe_load(text)
    entries = []
    above: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# --"):
            comment = [stripped.removeprefix("# --").strip()]
        elif stripped.startswith("#") and comment:
            comment.append(stripped.removeprefix("#").strip())
        elif found := _KEY.match(line):
            above = [*above[: len(found["indent"]) // 2], found["name"]]
            if comment:
                default = _at(defaults, above)
                entries.append(Entry(".".join(above), default, " ".join(comment)))
            comment = []
    return entries


def table(entries: list[Entry]) -> str:
    """The keys that hold no other described keys, as a Markdown table."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for entry in entries:
        if not any(other.key.startswith(f"{entry.key}.") for other in entries):
            default = json.dumps(entry.default)
            description = entry.description.replace("|", "\\|")
            lines.append(f"| `{entry.key}` | `{default}` | {description} |")
    return "\n".join(lines)


def _at(values: Any, path: list[str]) -> Any:
    for name in path:
        values = values[name]
    return values
