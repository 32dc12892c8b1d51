"""Numbers, durations and text as a person reads them in one line.

Pure functions; `format_duration(751)` is "12m31s".
"""

import math
import re

_NEEDS_QUOTES = re.compile(r'[\s"=\\]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def format_number(value: float) -> str:
    """A number in few characters: six significant digits, every digit before the point.

    Args:
        value: Any float; NaN and infinities become "nan", "inf", "-inf".
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) < 1e6:
        return f"{value:.6g}"
    if abs(value) < 1e15:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.6g}"


def format_rate(value: float) -> str:
    """A rate or a time per step: two digits, or every digit before the point.

    Args:
        value: Finite, >= 0.
    """
    return f"{value:.2g}" if value < 9.5 else f"{value:.0f}"


def format_duration(seconds: float) -> str:
    """A duration in its two largest units: "0.4s", "45s", "12m31s", "1h05m", "2d03h".

    Args:
        seconds: >= 0; what is not a finite number becomes "unknown".
    """
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    hours = round(seconds / 3600)
    return f"{hours // 24}d{hours % 24:02d}h"


def one_line(text: str) -> str:
    """Text with everything escaped that could end a line, move a cursor or hide other text.

    Args:
        text: Anything, lone surrogates included.
    """
    return "".join(_escaped(character) for character in text)


def quoted_if_needed(text: str) -> str:
    """A logfmt value: as it is, or in quotes where it holds blanks, quotes, `=` or nothing."""
    if text and not _NEEDS_QUOTES.search(text):
        return one_line(text)
    return '"' + "".join(_ESCAPES.get(each) or _escaped(each) for each in text) + '"'


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
