"""Messages between workers, as bytes on a stream.

A frame is a header of 16 bytes (four bytes of mark, uint32 length of the facts, uint64 length
of the arrays, in network order), the facts as JSON, and the arrays as `.npz` without pickle.
"""

import io
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from job.types import Json

_HEADER = struct.Struct("!4sIQ")
_MARK = b"SJM1"
# A stranger that connects may not make this process allocate much.
FACTS_LIMIT_BYTES = 64 << 20
GREETING_LIMIT_BYTES = 1 << 20


class MalformedMessageError(Exception):
    """The other end speaks something else."""


@dataclass(frozen=True)
class Message:
    """What one worker tells another.

    Attributes:
        kind: What it is about.
        facts: JSON values by name.
        arrays: Arrays of numbers or booleans by name.
    """

    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The frame."""
        facts: dict[str, Json] = {"kind": self.kind, "facts": dict(self.facts)}
        text = json.dumps(facts, separators=(",", ":")).encode()
        packed = _packed(self.arrays)
        return _HEADER.pack(_MARK, len(text), len(packed)) + text + packed


def read_message(read: Callable[[int], bytes], *, limit_bytes: int | None = None) -> Message:
    """Reads one frame.

    Args:
        read: Returns exactly so many bytes.
        limit_bytes: Largest frame; None: of any size.

    Raises:
        MalformedMessageError: The bytes are no frame, or too many.
    """
    mark, num_facts, num_arrays = _HEADER.unpack(read(_HEADER.size))
    total = num_facts + num_arrays
    if mark != _MARK or num_facts > FACTS_LIMIT_BYTES or total > (limit_bytes or total):
        raise MalformedMessageError(f"no message of a worker: {mark!r}, {total} bytes")
    try:
        content = json.loads(read(num_facts))
        kind, facts = str(content["kind"]), dict(content["facts"])
        return Message(kind, facts, _unpacked(read(num_arrays)))
    except (ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise MalformedMessageError(f"no message of a worker: {error}") from error


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    if not arrays:
        return b""
    packed = io.BytesIO()
    # Numbered: `savez` takes names as keywords, where `file` and `names` have another meaning.
    np.savez(packed, *arrays.values(), names=np.array(list(arrays)))
    return packed.getvalue()


def _unpacked(packed: bytes) -> dict[str, NDArray[Any]]:
    if not packed:
        return {}
    with np.load(io.BytesIO(packed), allow_pickle=False) as content:
        names = [str(name) for name in content["names"]]
        return {name: content[f"arr_{number}"] for number, name in enumerate(names)}
