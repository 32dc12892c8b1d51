import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.preprocessing.ragged import RaggedBuilder


@given(st.lists(st.integers(0, 9), max_size=50), st.sampled_from([(), (3,), (2, 3)]))
def test_rows_come_back_as_they_were_added(lengths, shape):
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


def test_space_is_filled_by_the_caller_between_rows():
    rows = RaggedBuilder(np.dtype(np.uint8))
    rows.append(np.array([1, 2], np.uint8))
    rows.space_for(np.array([2, 0, 1]), shape=())[:] = [3, 4, 5]
    rows.append(np.array([6], np.uint8))
    ragged = rows.finished()
    assert [ragged.row(i).tolist() for i in range(5)] == [[1, 2], [3, 4], [], [5], [6]]


def test_no_more_is_kept_than_the_rows_hold():
    rows = RaggedBuilder(np.dtype(np.uint8))
    for _ in range(1000):
        rows.append(np.zeros(7, np.uint8))
    ragged = rows.finished()
    assert ragged.values.shape == (7000,)
    assert ragged.values.base is None


def test_rows_of_another_shape_are_refused():
    rows = RaggedBuilder(np.dtype(np.uint8))
    rows.append(np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\) in one array"):
        rows.append(np.zeros((0, 4), np.uint8))
