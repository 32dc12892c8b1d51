import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.preprocessing.ragged import RaggedArray, RaggedBuilder


@pytest.fixture
def ragged() -> RaggedArray:
    return RaggedArray(np.array([1, 2, 3, 4, 5, 6], np.int32), np.array([0, 3, 3, 4, 6]))


def test_rows_and_lengths(ragged):
    assert len(ragged) == 4
    assert [ragged.row(i).tolist() for i in range(4)] == [[1, 2, 3], [], [4], [5, 6]]
    assert ragged.lengths.tolist() == [3, 0, 1, 2]


@pytest.mark.parametrize("index", [-1, 4])
def test_a_row_out_of_range_is_an_error(ragged, index):
    with pytest.raises(IndexError, match=f"row {index} of 4"):
        ragged.row(index)


@pytest.mark.parametrize(
    ("rows", "fill", "expected"),
    [
        ([0, 1], 0, [[1, 2, 3], [0, 0, 0]]),
        ([3, 0, 3], 0, [[5, 6, 0], [1, 2, 3], [5, 6, 0]]),
        ([2], 0, [[4]]),
        ([3, 2], -1, [[5, 6], [4, -1]]),
        ([1], 9, [[9]]),
        ([], 0, np.zeros((0, 1))),
    ],
)
def test_padding_fills_behind_the_rows(ragged, rows, fill, expected):
    padded = ragged.padded(np.array(rows, np.int64), fill=fill)
    assert padded.dtype == np.int32
    np.testing.assert_array_equal(padded, expected)


def test_padding_agrees_with_a_loop_over_rows():
    random = np.random.default_rng(0)
    lengths = random.integers(0, 12, 50)
    rows_of_values = [random.integers(1, 99, length).astype(np.int32) for length in lengths]
    ragged = RaggedArray(
        np.concatenate(rows_of_values), np.concatenate([[0], np.cumsum(lengths)])
    )
    chosen = random.integers(0, 50, 200)
    padded = ragged.padded(chosen)
    assert padded.shape == (200, lengths.max())
    for row, index in zip(padded, chosen, strict=True):
        length = lengths[index]
        assert row[:length].tolist() == rows_of_values[index].tolist()
        assert not row[length:].any()


def test_padding_of_rows_without_values():
    empty = RaggedArray(np.zeros(0, np.int32), np.zeros(3, np.int64))
    assert empty.padded(np.array([0, 1])).tolist() == [[0], [0]]


def test_byte_strings_become_rows():
    ragged = RaggedArray.from_bytes([b"ab", b"", b"c"])
    assert ragged.values.dtype == np.uint8
    assert ragged.offsets.tolist() == [0, 2, 2, 3]
    assert len(RaggedArray.from_bytes([])) == 0


@pytest.mark.parametrize(
    ("values", "offsets", "words"),
    [
        (np.zeros(()), np.array([0, 2]), "first axis"),
        (np.zeros(2), np.array([[0, 2]]), "1-D"),
        (np.zeros(2), np.array([0, 2], np.int32), "int64"),
        (np.zeros(2), np.array([1, 2]), "begin with 0"),
        (np.zeros(2), np.array([0, 1]), "end with the number"),
        (np.zeros(2), np.array([], np.int64), "begin with 0"),
        (np.zeros(2), np.array([0, 2, 1, 2]), "not decrease"),
    ],
)
def test_offsets_that_do_not_match_are_rejected(values, offsets, words):
    with pytest.raises(ValueError, match=words):
        RaggedArray(values, offsets)


@given(st.lists(st.integers(0, 9), max_size=50), st.sampled_from([(), (3,), (2, 3)]))
def test_a_builder_returns_the_rows_it_was_given(lengths, shape):
    rows = RaggedBuilder(np.dtype(np.float32))
    expected = [
        np.full((length, *shape), number, np.float32) for number, length in enumerate(lengths)
    ]
    for row in expected:
        rows.append(row)
    assert len(rows) == len(lengths)
    ragged = rows.finished()
    assert ragged.values.dtype == np.float32
    assert ragged.lengths.tolist() == lengths
    for number, row in enumerate(expected):
        assert np.array_equal(ragged.row(number), row)


def test_a_builder_keeps_no_spare_memory():
    rows = RaggedBuilder(np.dtype(np.uint8))
    for _ in range(1000):
        rows.append(np.zeros(7, np.uint8))
    ragged = rows.finished()
    assert ragged.values.shape == (7000,)
    assert ragged.values.base is None


def test_a_builder_rejects_rows_of_another_shape():
    rows = RaggedBuilder(np.dtype(np.uint8))
    rows.append(np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"got \(3,\) and \(4,\)"):
        rows.append(np.zeros((0, 4), np.uint8))
