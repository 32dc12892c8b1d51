"""What a plain scalar means in YAML 1.2's core schema, and how a value is written as one.

    resolve("1e-3")  # 0.001
    to_yaml("no")    # '"no"', so that readers of YAML 1.1 take it for text too

Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_DIGITS = 100
_MAX_PREVIEW = 80

_NULL = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_NAN = (".nan", ".NaN", ".NAN")
_INFINITE = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

# Texts that need no quotes anywhere in YAML, unless one of the words below.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS_OF_YAML_1_1 = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# What a YAML reader refuses or takes for a line break, however it is quoted.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def resolve(text: str) -> str | int | float | bool | None:
    """Gives a plain (unquoted) scalar its value.

    Args:
        text: The scalar, without surrounding blanks.

    Returns:
        null, a boolean, an integer or a float by the core schema; else the text itself.

    Raises:
        ValueError: The number has more than `MAX_DIGITS` digits.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _NAN or _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    if not any(form.fullmatch(text) for form in (_DECIMAL, _OCTAL, _HEXADECIMAL, _FLOAT)):
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(
            f"a number may have at most {MAX_DIGITS} digits (got {len(text)}); put it in "
            "quotes to make it text"
        )
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    return int(text) if _DECIMAL.fullmatch(text) else float(text)


def to_yaml(value: Any) -> str:
    """Writes a value in YAML's flow style, on one line, so that it reads back equal.

    Args:
        value: null, boolean, number, text, or a list or string-keyed mapping of such.

    Returns:
        Text without a line break that YAML 1.1 and 1.2 read alike.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text_to_yaml(value)
    if isinstance(value, float):
        return _float_to_yaml(value)
    if isinstance(value, Mapping):
        entries = (f"{to_yaml(str(key))}: {to_yaml(item)}" for key, item in value.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(to_yaml(item) for item in value) + "]"
    return str(value)


def preview(value: Any) -> str:
    """Writes a value for a message: text in single quotes, at most about 80 characters."""
    if isinstance(value, str):
        # Cut first: a value may be a megabyte long.
        text = "'" + _escaped(value[: _MAX_PREVIEW + 1])[1:-1].replace('\\"', '"') + "'"
    else:
        text = to_yaml(value)
    return text if len(text) <= _MAX_PREVIEW else text[: _MAX_PREVIEW - 3] + "..."


def join_key(path: Sequence[str | int]) -> str:
    """Joins a path into the key a person types; odd parts are quoted, long ones cut."""
    return ".".join(part if _is_plain_part(part) else preview(part) for part in map(str, path))


def _is_plain_part(part: str) -> bool:
    return re.fullmatch(r"[\w-]{1,80}", part, re.ASCII) is not None


def _text_to_yaml(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML_1_1:
        return text
    return _escaped(text)


def _escaped(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _float_to_yaml(number: float) -> str:
    text = repr(number)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    # YAML 1.1 wants a point before the exponent.
    return text if "." in text or "e" not in text else text.replace("e", ".0e")
