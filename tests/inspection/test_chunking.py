import numpy as np
import pytest

from job.inspection.chunking import Distribution, parts, some


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1, 1, 1], [[7, 8, 9]]),
        ([2, 2, 2], [[7], [8, 9]]),  # 2, 4, 6: the second begins with the 5th number
        ([9, 9, 9], [[7], [8], [9]]),
        ([0, 0, 0], [[7, 8, 9]]),
    ],
)
def test_every_row_is_in_one_part_and_no_part_is_large(sizes, expected, monkeypatch):
    monkeypatch.setattr("job.inspection.chunking._CELLS", 4)
    rows = np.arange(7, 7 + len(sizes))
    found = parts(rows, sizes=np.array(sizes, np.int64))
    assert [part.tolist() for part in found] == expected


def test_some_are_all_where_there_are_few():
    assert some(4, 4).tolist() == [0, 1, 2, 3]
    assert some(0, 4).tolist() == []


def test_some_are_different_numbers_and_the_same_every_time():
    chosen = some(1000, 100)
    assert len(chosen) == 100
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, some(1000, 100))
    # Not every tenth: labels that alternate would all be the same.
    assert 30 < np.count_nonzero(chosen % 2) < 70


def test_percentiles_lie_between_the_numbers_by_rank():
    numbers = np.array([5, 2, 3, 3])
    it = Distribution.of(numbers)
    assert (it.min, it.median, it.max) == (2, 3, 5)
    assert it.p90 == pytest.approx(3 + 0.7 * 2)
    assert it.p99 == pytest.approx(3 + 0.97 * 2)
