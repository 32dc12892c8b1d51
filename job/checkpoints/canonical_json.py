"""JSON with one byte sequence per value, so that hashes of records are comparable.

Keys are sorted, output is ASCII without spaces, and a newline ends it. JSON has no NaN or
infinity, so they are written as objects such as `{"$float":"nan"}`: a diverged loss in the
history is kept and other tools can still parse the file.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_TAG = "$float"


class DamagedError(Exception):
    """Stored bytes differ from what a commit promises; the message is the reason."""


def dumps(value: object) -> bytes:
    """Encodes nested mappings, sequences, text, Python numbers, booleans and None.

    Raises:
        TypeError: A value or key has another type, such as a NumPy scalar.
        ValueError: A mapping uses the key that marks non-finite floats.
    """
    plain = _plain(value, "value")
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def loads(data: bytes, *, limit_bytes: int) -> Any:
    """Decodes JSON; arrays become lists.

    Raises:
        DamagedError: It exceeds `limit_bytes`, is not UTF-8 JSON, repeats a key, or contains a
            bare NaN.
    """
    if len(data) > limit_bytes:
        raise DamagedError(f"{len(data)} bytes of JSON, the limit is {limit_bytes}")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_from_pairs,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"not valid JSON ({error})") from error


def _plain(value: object, where: str) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_TAG: str(float(value))}
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where}: the key {key!r} is not text. Convert it first.")
            if key == _TAG:
                raise ValueError(f"{where}: the key {_TAG!r} is reserved. Use another.")
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(
        f"{where}: {type(value).__name__} cannot be stored. Allowed are mappings, sequences, "
        "text, Python numbers, booleans and None. Convert it first."
    )


def _from_pairs(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    if _TAG not in found:
        return found
    if found not in ({_TAG: "nan"}, {_TAG: "inf"}, {_TAG: "-inf"}):
        raise ValueError(f"{found} is not a non-finite float")
    return float(found[_TAG])


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a JSON number")
    return value
