import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy_format

from job.data.sources.npy import ArrayError, Header, read_array, read_blocks, read_header


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def read(data: bytes, *, dtype: str | None = None) -> np.ndarray:
    stream = io.BytesIO(data)
    header = read_header(stream, num_bytes=len(data))
    return read_array(stream, header, dtype=np.dtype(dtype) if dtype else header.dtype)


def with_header(text: str, *, content: bytes = b"", version: int = 1, size: int | None = None):
    """A file whose header is written by hand."""
    width = 2 if version == 1 else 4
    length = len(text) if size is None else size
    return (
        b"\x93NUMPY" + bytes([version, 0]) + length.to_bytes(width, "little") + text.encode()
    ) + content


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.arange(5, dtype=">i2"),
        np.array(7, np.uint64),
        np.zeros((0, 3), np.float16),
        np.array([True, False]),
        np.array(["a", "bcd", ""]),
        np.array([b"x"]),
    ],
)
def test_what_numpy_saves_is_read(array):
    found = read(saved(array))
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("by_column", [False, True])
def test_values_are_converted_a_block_at_a_time(monkeypatch, by_column):
    monkeypatch.setattr("job.data.sources.npy._BLOCK_BYTES", 64)
    array = np.random.default_rng(0).normal(size=(50, 7))
    found = read(saved(np.asfortranarray(array) if by_column else array), dtype="f4")
    assert np.array_equal(found, array.astype(np.float32))


def test_a_number_beyond_the_type_becomes_infinite_without_a_warning():
    assert read(saved(np.array([1e300, -1e300, 1.0])), dtype="f4").tolist() == [
        float("inf"),
        float("-inf"),
        1.0,
    ]


def test_blocks_are_in_the_order_of_the_file():
    data = saved(np.arange(10))
    stream = io.BytesIO(data)
    header = read_header(stream, num_bytes=len(data))
    blocks = [block.tolist() for block in read_blocks(stream, header, values=4)]
    assert blocks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version):
    stream = io.BytesIO()
    npy_format.write_array(stream, np.arange(3), version=version)
    assert read(stream.getvalue()).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "{'shape': (1,), 'descr': '<f4', 'fortran_order': False}",
        '{"descr":"<f4","fortran_order":False,"shape":(1,)}\n',
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1), }   \n",
    ],
)
def test_headers_of_other_writers_are_read(text):
    assert read(with_header(text, content=b"\0" * 4)).tolist() == [0.0]


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "format", "is no .npy data"),
        (b"\x93NUMPY\x01", "format", "is no .npy data"),
        (b"PK\x03\x04" + b"\0" * 100, "format", "is no .npy data"),
        (b"\x80\x04]\x94.", "format", "is no .npy data"),  # a bare pickle
        (with_header(GOOD, version=4), "undecodable", "damaged .npy header"),
        (with_header(GOOD, version=0), "undecodable", "damaged .npy header"),
        (with_header(GOOD)[:9], "undecodable", "damaged .npy header"),
        (with_header(GOOD, size=9_999), "undecodable", "damaged .npy header"),
        (with_header(GOOD, version=2, size=2**32 - 1), "undecodable", "damaged .npy header"),
        (with_header(GOOD + " " * 20_000), "undecodable", "damaged .npy header"),
        (with_header("{}"), "undecodable", "damaged .npy header"),
        (with_header("__import__('os').getcwd()"), "undecodable", "damaged .npy header"),
        (with_header("(" * 9_000), "undecodable", "damaged .npy header"),
        (with_header(GOOD.replace("False", "0")), "undecodable", "damaged .npy header"),
        (with_header(GOOD.replace("(1,)", "(-1,)")), "undecodable", "damaged .npy header"),
        (with_header(GOOD.replace("(1,)", "(1 2,)")), "undecodable", "damaged .npy header"),
        (with_header(GOOD.replace("(1,)", "(1,)*9")), "undecodable", "damaged .npy header"),
        (
            with_header(GOOD.replace("(1,)", f"({'1,' * 9})"), content=b"\0" * 4),
            "undecodable",
            "damaged .npy header",
        ),
        (with_header(GOOD.replace("(1,)", "(" + "9" * 16 + ",)")), "undecodable", "damaged"),
        (with_header("{'shape': (1,), " * 3 + "}"), "undecodable", "damaged .npy header"),
        (saved(np.array([{}], object)), "shape", "holds Python objects"),
        (saved(np.zeros(2, [("a", "f4")])), "shape", "holds records"),
        (saved(np.zeros(2, "c8")), "shape", "has the type '<c8'"),
        (saved(np.zeros(2, "M8[s]")), "shape", "has the type '<M8[s]'"),
        (with_header(GOOD.replace("<f4", "<U0")), "shape", "has the type '<U0'"),
        (
            saved(np.zeros(3, np.float32))[:-1],
            "undecodable",
            "declares the shape (3,) of float32, 12 bytes, and holds 11",
        ),
        (saved(np.zeros(3, np.float32)) + b"\0", "undecodable", "12 bytes, and holds 13"),
        # 4 TB from 4 bytes: nothing is allocated.
        (
            with_header(GOOD.replace("(1,)", "(1000000, 1000000)"), content=b"\0" * 4),
            "undecodable",
            "declares the shape (1000000, 1000000) of float32, 4,000,000,000,000 bytes, and "
            "holds 4",
        ),
    ],
)
def test_what_is_no_array_of_numbers_or_texts_is_refused(data, reason, words):
    with pytest.raises(ArrayError) as caught:
        read(data)
    assert caught.value.reason == reason
    assert words in caught.value.detail


def test_a_stream_that_ends_before_its_size_is_refused():
    stream = io.BytesIO(saved(np.zeros(1000))[:-8])
    header = read_header(stream, num_bytes=8128)
    with pytest.raises(ArrayError, match="ends early"):
        read_array(stream, header, dtype=header.dtype)


@pytest.mark.parametrize("shape", [(1 << 46,), (0, 10**15, 10**15)])
def test_an_array_that_no_memory_holds_is_refused(shape):
    header = Header(np.dtype(np.float64), shape, False)
    with pytest.raises(ArrayError, match="does not fit into memory"):
        read_array(io.BytesIO(), header, dtype=header.dtype)


WHOLE = saved(np.arange(6, dtype=np.float32).reshape(2, 3))


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4))
def test_flipped_bytes_never_end_in_another_error(changes):
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    try:
        found = read(bytes(data))
    except ArrayError:
        return
    assert found.nbytes <= len(WHOLE)
