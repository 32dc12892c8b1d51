import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy_format

from job.data.sources.npy import ArrayError, read_array, read_header


def saved(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    npy_format.write_array(stream, array, **options)
    return stream.getvalue()


def read(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    header = read_header(stream, num_bytes=len(data))
    array = read_array(stream)
    assert (array.shape, array.dtype) == (header.shape, header.dtype)
    return array


def with_header(text: str, *, content: bytes = b"", version: int = 1, size: int | None = None):
    """A file with a handwritten header."""
    length = (len(text) if size is None else size).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + content


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.arange(5, dtype=">i2"),
        np.array(7, np.uint64),
        np.zeros((0, 3), np.float16),
        np.array(["a", "bcd", ""]),
    ],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_arrays_are_read(array, version):
    found = read(saved(array, version=version))
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "format", "not .npy data"),
        (b"\x93NUMP", "format", "not .npy data"),
        (b"PK\x03\x04" + b"\0" * 100, "format", "not .npy data"),
        (b"\x80\x04]\x94.", "format", "not .npy data"),  # a bare pickle
        (with_header(GOOD, version=4), "undecodable", "damaged .npy header"),
        (with_header(GOOD)[:9], "undecodable", "damaged .npy header"),
        (with_header(GOOD, size=9_999), "undecodable", "damaged .npy header"),
        (with_header(GOOD, version=2, size=2**32 - 1), "undecodable", "damaged .npy header"),
        (with_header(GOOD + " " * 20_000), "undecodable", "damaged .npy header"),
        (with_header("{}"), "undecodable", "damaged .npy header"),
        (with_header("{[]: 1}"), "undecodable", "damaged .npy header"),
        (with_header("__import__('os').getcwd()"), "undecodable", "damaged .npy header"),
        (with_header("(" * 9_000), "undecodable", "damaged .npy header"),
        (saved(np.array([{}], object)), "shape", "holds Python objects"),
        (with_header(GOOD.replace("<f4", "<U0")), "shape", "hold no bytes"),
        (saved(np.zeros(3, "f4"))[:-1], "undecodable", "float32, 12 bytes, and holds 11"),
        (saved(np.zeros(3, "f4")) + b"\0", "undecodable", "float32, 12 bytes, and holds 13"),
        # 4 TB from 4 bytes: nothing is allocated.
        (
            with_header(GOOD.replace("(1,)", "(1000000, 1000000)"), content=b"\0" * 4),
            "undecodable",
            "4,000,000,000,000 bytes, and holds 4",
        ),
        # Negative lengths whose product is the size.
        (with_header(GOOD.replace("(1,)", "(-1, -1)"), content=b"\0" * 4), "undecodable", ""),
        # No value, and more rows than memory can address.
        (with_header(GOOD.replace("(1,)", f"(0, {10**18}, {10**18})")), "undecodable", ""),
    ],
)
def test_anything_else_is_rejected_with_its_reason(data, reason, words):
    with pytest.raises(ArrayError) as caught:
        read(data)
    assert caught.value.reason == reason
    assert words in caught.value.detail


def test_data_that_shrinks_after_the_header_was_read_is_rejected():
    stream = io.BytesIO(saved(np.zeros(1000))[:-8])
    read_header(stream, num_bytes=8128)
    with pytest.raises(ArrayError) as caught:
        read_array(stream)
    assert caught.value.reason == "undecodable"


WHOLE = saved(np.arange(6, dtype=np.float32).reshape(2, 3))


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4))
@pytest.mark.filterwarnings("ignore")  # the header is parsed as Python
def test_flipped_bytes_never_end_in_another_error(changes):
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    try:
        found = read(bytes(data))
    except ArrayError:
        return
    assert found.nbytes <= len(WHOLE)
