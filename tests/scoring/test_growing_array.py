import errno
import os
from contextlib import closing

import numpy as np
import pytest

from job.errors import DiskFullError
from job.scoring.growing_array import GrowingArray


@pytest.mark.parametrize("budget_bytes", [0, 4000, 1 << 20])
def test_rows_are_kept_in_memory_and_beyond_it(budget_bytes, tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 3)).astype(np.float32)
    options = {"budget_bytes": budget_bytes, "folder": str(tmp_path)}
    numbers = rng.integers(0, 3000, 100)
    with closing(GrowingArray(np.float32, width=3, **options)) as array:
        for part in np.array_split(rows, [1, 2, 500, 1600, 2999]):
            array.append(part)
        assert np.array_equal(array.rows(numbers), rows[numbers])
        assert np.array_equal(array.all(), rows)
        assert isinstance(array.all(), np.memmap) == (budget_bytes < rows.nbytes)
        assert list(tmp_path.iterdir()) == []  # the file has no name


def test_numbers_are_rows_too():
    array = GrowingArray(np.uint8)
    array.append(np.array([1, 2], np.uint8))
    array.append(np.array([3], np.uint8))
    assert array.all().tolist() == [1, 2, 3]
    assert len(array) == 3


def test_a_row_that_is_not_there_is_refused():
    array = GrowingArray(np.float32, width=1)
    array.append(np.ones((2, 1), np.float32))
    with pytest.raises(IndexError):
        array.rows(np.array([2]))


def test_a_full_disk_is_told(monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with closing(GrowingArray(np.float32, width=1, budget_bytes=0)) as array:
        with pytest.raises(DiskFullError, match="set TMPDIR"):
            array.append(np.ones((1, 1), np.float32))
