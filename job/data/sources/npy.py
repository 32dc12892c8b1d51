"""Reads `.npy` data with NumPy: arrays of numbers or strings, never a pickle.

NumPy parses the header. It is compared with the number of bytes before anything is allocated::

    with path.open("rb") as file:
        header = read_header(file, num_bytes=path.stat().st_size)
        array = read_array(file)

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import math
import tokenize
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from job.types import Reason

# A header is a Python literal. NumPy passes on what its parser raises for a damaged one.
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    tokenize.TokenError,
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
)
# Version 3 differs only in the encoding of field names, and records are rejected.
_HEADER_READERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


class ArrayError(Exception):
    """The data is not an array that this program reads.

    Args:
        reason: Category of the fault.
        detail: What was received.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Header:
    """The shape and type that `.npy` data declares."""

    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"


def read_header(stream: IO[bytes], *, num_bytes: int) -> Header:
    """Reads the header and compares it with the size of the data.

    Args:
        stream: Positioned at the start of the data.
        num_bytes: Size of the data, header included.

    Raises:
        ArrayError: The data is not `.npy`, holds Python objects, or is shorter or longer than
            its header declares. NumPy would read the first array of data that is longer, which
            hides that a second `np.save` wrote to the same file.
    """
    if stream.read(len(npy_format.MAGIC_PREFIX)) != npy_format.MAGIC_PREFIX:
        raise ArrayError("format", "is not .npy data")
    stream.seek(0)
    try:
        version = npy_format.read_magic(stream)
        shape, _, dtype = _HEADER_READERS[version](stream)
        declared = math.prod(shape) * dtype.itemsize
    except _DAMAGE as error:
        raise ArrayError("undecodable", "has a damaged .npy header") from error
    if not dtype.itemsize:
        raise ArrayError("shape", f"has the type {dtype.str!r}, whose values hold no bytes")
    if dtype.hasobject:
        raise ArrayError(
            "shape", "holds Python objects, which only a pickle, and so any code, could restore"
        )
    actual = num_bytes - stream.tell()
    if declared != actual:
        raise ArrayError(
            "undecodable",
            f"declares the shape {shape} of {dtype}, {declared:,} bytes, and holds {actual:,}",
        )
    return Header(shape, dtype)


def read_array(stream: IO[bytes]) -> NDArray[np.generic]:
    """Reads the whole array, header included.

    The file is read, not memory-mapped: a mapped file that is truncated meanwhile ends the
    process with SIGBUS.

    Args:
        stream: Seekable; `read_header` accepted it.

    Raises:
        ArrayError: The data ends early, or does not fit into memory.
    """
    stream.seek(0)
    try:
        array: NDArray[np.generic] = npy_format.read_array(stream, allow_pickle=False)
    except _DAMAGE as error:
        raise ArrayError("undecodable", f"cannot be read ({error})") from error
    return array
