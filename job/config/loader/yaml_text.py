"""From bytes to the text a YAML reader may see, and from its complaints to ours."""

import re
from dataclasses import dataclass

import yaml

MAX_BYTES = 1_000_000

# Line breaks to YAML 1.1, and so to PyYAML, but ordinary characters to YAML 1.2.
_OLD_BREAKS = re.compile("[\u0085\u2028\u2029]")

# Part of what PyYAML says -> what to do about it.
_HINTS = {
    "'\\t'": "indent with blanks, not tabs",
    "mapping values are not allowed": "one `key: value` a line, and quotes around a text that "
    "holds `: `",
    "could not find expected ':'": "a key needs a colon, a blank and a value",
    "expected <block end>": "the keys of one section need the same indentation",
    "cannot start any token": "put a text that starts with it in quotes",
    "unexpected end of stream": "a quote is not closed",
    "'<stream end>'": "a bracket is not closed",
    "undefined alias": "write `&` and its name before an earlier value",
    "another document": "one file holds one configuration",
    "expected ',' or": "a bracket is not closed, or a comma is missing",
}


@dataclass(frozen=True, order=True)
class Mark:
    """A place in a file; lines and columns count from 1, columns in characters."""

    line: int
    column: int


class YamlTextError(Exception):
    """Nothing after `mark` can be understood; the text says why."""

    def __init__(self, mark: Mark, text: str) -> None:
        super().__init__(text)
        self.mark = mark


def decoded(data: bytes) -> str:
    """Decodes a file's bytes.

    Args:
        data: UTF-8, with or without a byte order mark, at most `MAX_BYTES`.

    Returns:
        Its text, without the byte order mark.

    Raises:
        YamlTextError: Too long, not UTF-8, or with a character that YAML 1.1 and 1.2 read
            differently.
    """
    if len(data) > MAX_BYTES:
        raise YamlTextError(
            Mark(1, 1),
            f"a configuration may have at most {MAX_BYTES} bytes; is this the right file?",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlTextError(
            _mark_after(error.object[: error.start].decode("utf-8", "replace")),
            f"the file is not UTF-8 text (got the byte 0x{error.object[error.start]:02x}); "
            "save it as UTF-8",
        ) from None
    old = _OLD_BREAKS.search(text)
    if old:
        raise YamlTextError(
            _mark_after(text[: old.start()]),
            f"the character U+{ord(old[0]):04X} breaks the line for some readers of YAML; "
            f'write "\\u{ord(old[0]):04x}" in double quotes',
        )
    return text


def syntax_error(error: yaml.YAMLError, text: str) -> YamlTextError:
    """Says where and why PyYAML gave up, and what helps."""
    if isinstance(error, yaml.reader.ReaderError):
        return YamlTextError(
            _mark_after(text[: error.position]),
            f"the control character U+{int(error.character):04X} is not allowed; remove it",
        )
    if not isinstance(error, yaml.MarkedYAMLError):
        return YamlTextError(Mark(1, 1), f"not valid YAML: {error}")
    problem = str(error.problem or error.context)
    hint = next((f"; {hint}" for part, hint in _HINTS.items() if part in problem), "")
    place = error.problem_mark or error.context_mark
    mark = Mark(place.line + 1, place.column + 1) if place else Mark(1, 1)
    return YamlTextError(mark, f"not valid YAML: {problem}{hint}")


def _mark_after(before: str) -> Mark:
    lines = re.split("\r\n|\r|\n", before)
    return Mark(len(lines), len(lines[-1]) + 1)
