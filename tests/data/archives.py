"""Writes `.npz` files, valid ones and others."""

import struct
from pathlib import Path

import numpy as np


def npz_of(path: Path, *, compressed: bool = False, **arrays: np.ndarray) -> Path:
    """Writes arrays to a file and returns its path."""
    with path.open("wb") as file:
        save = np.savez_compressed if compressed else np.savez
        save(file, **arrays)
    return path


def with_sizes(data: bytes, *, unpacked: int) -> bytes:
    """The archive with another unpacked size of its first member in its central directory."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, changed.index(b"PK\x01\x02") + 24, unpacked)
    return bytes(changed)
