"""Reads the `.npy` format: an array of numbers or texts, never a pickle.

Nothing is allocated before the header was held against the bytes that are there::

    with path.open("rb") as file:
        header = read_header(file, num_bytes=path.stat().st_size)
        array = read_array(file, header, dtype=np.dtype(np.float32))

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from job.types import Reason

_MAGIC = b"\x93NUMPY"
# NumPy's own bound: parsing a long literal could exhaust the stack.
_LONGEST_HEADER = 10_000
_BLOCK_BYTES = 1 << 20
_MAX_DIMENSIONS = 8

# What NumPy and other writers of the format write, and nothing that has to be evaluated.
_HEADER = re.compile(
    r"""\{(?:\s*['"](?:"""
    r"""descr['"]\s*:\s*['"](?P<dtype>[^'"]*)['"]"""
    r"""|fortran_order['"]\s*:\s*(?P<by_column>True|False)"""
    r"""|shape['"]\s*:\s*\((?P<shape>[0-9,\s]*)\)"""
    r""")\s*,?){3}\s*\}\s*"""
)
_RECORDS = re.compile(r"""descr['"]\s*:\s*\[""")

# Booleans, whole numbers, floating-point numbers, texts. Objects would have to be unpickled.
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[US][1-9][0-9]{0,8})")
_LENGTH = re.compile(r"[0-9]{1,15}")


class ArrayError(Exception):
    """The bytes are no array that is read here.

    Args:
        reason: Which kind of fault.
        detail: What they are instead.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Header:
    """What a `.npy` file says of its array.

    Args:
        dtype: Of booleans, numbers or texts.
        shape: Its shape.
        by_column: Whether the first axis varies fastest (Fortran order).
    """

    dtype: "np.dtype[np.generic]"
    shape: tuple[int, ...]
    by_column: bool

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], *, num_bytes: int) -> Header:
    """The header; the stream stands at the first value afterwards.

    Args:
        stream: At its beginning.
        num_bytes: How much the stream holds, header included.

    Raises:
        ArrayError: It is no `.npy`, its values are objects, or they are more or fewer than
            the bytes that are there.
    """
    start = stream.read(len(_MAGIC) + 2)
    if not start.startswith(_MAGIC) or len(start) < len(_MAGIC) + 2:
        raise ArrayError("format", "is no .npy data")
    size_format = "<H" if start[-2] == 1 else "<I"
    size_bytes = stream.read(struct.calcsize(size_format))
    if start[-2] not in (1, 2, 3) or len(size_bytes) < struct.calcsize(size_format):
        raise ArrayError("undecodable", "has a damaged .npy header")
    (size,) = struct.unpack(size_format, size_bytes)
    text = stream.read(min(size, _LONGEST_HEADER))
    if len(text) < size:
        raise ArrayError("undecodable", "has a damaged .npy header")
    header = _parsed(text)
    there = num_bytes - len(start) - len(size_bytes) - size
    if header.num_bytes != there:
        raise ArrayError(
            "undecodable",
            f"declares the shape {header.shape} of {header.dtype}, {header.num_bytes:,} bytes, "
            f"and holds {there:,}",
        )
    return header


def _parsed(text: bytes) -> Header:
    written = text.decode("latin-1")
    found = _HEADER.fullmatch(written)
    if _RECORDS.search(written):
        raise ArrayError("shape", "holds records, which are neither numbers nor texts")
    if not found or None in found.groups():
        raise ArrayError("undecodable", "has a damaged .npy header")
    dtype, by_column, shape = found["dtype"], found["by_column"], found["shape"].split(",")
    if "O" in dtype:
        raise ArrayError(
            "shape",
            "holds Python objects, which only a pickle could restore, and a pickle can run "
            "anything",
        )
    if not _DTYPE.fullmatch(dtype):
        what = f"has the type {dtype[:20]!r}, which is neither number nor text"
        raise ArrayError("shape", what)
    lengths = [length.strip() for length in shape if length.strip()]
    if len(lengths) > _MAX_DIMENSIONS or not all(map(_LENGTH.fullmatch, lengths)):
        raise ArrayError("undecodable", "has a damaged .npy header")
    return Header(np.dtype(dtype), tuple(map(int, lengths)), by_column == "True")


def read_array(
    stream: IO[bytes], header: Header, *, dtype: "np.dtype[np.generic]"
) -> NDArray[np.generic]:
    """The whole array, converted while it is read.

    Args:
        stream: Where `read_header` left it.
        header: What it returned.
        dtype: What the values become; a number too large for it becomes infinite.

    Raises:
        ArrayError: The stream ends early, or the array does not fit into memory.
    """
    try:
        array = np.empty(header.shape, dtype)
    except (MemoryError, ValueError) as error:  # ValueError: more than an address can say
        what = f"of the shape {header.shape} does not fit into memory"
        raise ArrayError("shape", what) from error
    # Values by column are those of the transposed array by row.
    flat = array.T.flat if header.by_column else array.reshape(-1)
    at = 0
    values = max(1, _BLOCK_BYTES // header.dtype.itemsize)
    for block in read_blocks(stream, header, values=values):
        with np.errstate(over="ignore", invalid="ignore"):
            flat[at : at + len(block)] = block
        at += len(block)
    return array


def read_blocks(
    stream: IO[bytes], header: Header, *, values: int
) -> Iterator[NDArray[np.generic]]:
    """The values in the order of the file, 1-D, so many at a time and the rest in the end.

    Args:
        stream: Where `read_header` left it.
        header: What it returned.
        values: Values of a block, >= 1.

    Raises:
        ArrayError: The stream ends early.
    """
    left = math.prod(header.shape)
    while left:
        count = min(left, values)
        data = stream.read(count * header.dtype.itemsize)
        if len(data) < count * header.dtype.itemsize:
            raise ArrayError("undecodable", "ends early")
        yield np.frombuffer(data, header.dtype)
        left -= count
