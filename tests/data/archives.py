"""Makes `.npz` files, sound ones and others."""

import struct
from pathlib import Path

import numpy as np


def npz_of(path: Path, *, compressed: bool = False, **arrays: np.ndarray) -> Path:
    """Writes arrays to a file, and returns its path."""
    with path.open("wb") as file:
        save = np.savez_compressed if compressed else np.savez
        save(file, **arrays)
    return path


def with_sizes(data: bytes, *, packed: int | None = None, unpacked: int | None = None) -> bytes:
    """The archive with other sizes of its first member in the directory at its end."""
    changed = bytearray(data)
    entry = changed.index(b"PK\x01\x02")
    for offset, value in ((20, packed), (24, unpacked)):
        if value is not None:
            struct.pack_into("<I", changed, entry + offset, value)
    return bytes(changed)
