"""JSON with one spelling for each value, so that a record's hash means something.

Sorted keys, no spaces, ASCII, a newline at the end. JSON has no NaN or infinity; here they are
objects such as `{"$float":"nan"}`, so that a diverged loss in the history is neither lost nor a
syntax error in other tools. Finite floats use Python's shortest form that reads back exactly::

    loads(dumps({"loss": math.nan}), limit_bytes=100)
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

_TAG = "$float"
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class DamagedError(Exception):
    """Stored bytes are not what a commit promises; the message is the reason."""


def dumps(value: object) -> bytes:
    """Returns the canonical JSON of nested mappings, sequences, text, numbers and None.

    Raises:
        TypeError: A value or key has another type (a NumPy scalar is not a Python one).
        ValueError: A mapping uses the key that marks non-finite floats.
    """
    text = json.dumps(
        _plain(value, where="value"),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    return text.encode("ascii") + b"\n"


def loads(data: bytes, *, limit_bytes: int) -> Any:
    """Returns the value of canonical or hand-edited JSON; arrays become lists.

    Args:
        data: UTF-8 bytes.
        limit_bytes: Longest document that is parsed.

    Raises:
        DamagedError: It is too long, not JSON, repeats a key, or holds a bare NaN.
    """
    if len(data) > limit_bytes:
        raise DamagedError(f"{len(data)} bytes of JSON, at most {limit_bytes} are read")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_from_pairs,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not valid JSON ({error})") from error


def _plain(value: object, *, where: str) -> Any:
    if isinstance(value, float):
        return _tagged(float(value))
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {
            _key(key, where): _plain(item, where=f"{where}.{key}")
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item, where=f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(
        f"{where}: {type(value).__name__} cannot be stored. Allowed are mappings, sequences, "
        f"text, Python numbers, booleans and None. Convert it first."
    )


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{where}: the key {key!r} is not text. Convert it first.")
    if key == _TAG:
        raise ValueError(f"{where}: the key {_TAG!r} marks non-finite floats. Use another.")
    return key


def _tagged(value: float) -> float | dict[str, str]:
    if math.isfinite(value):
        return value
    return {_TAG: "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}


def _from_pairs(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    if _TAG not in found:
        return found
    if len(found) != 1 or found[_TAG] not in _NON_FINITE:
        raise ValueError(f"{_TAG!r} must stand alone and be one of {', '.join(_NON_FINITE)}")
    return _NON_FINITE[found[_TAG]]


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a float")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
