"""What every .npz of the project is: no pickle, no clock."""

import io
import time
import zipfile
from typing import Any

import numpy as np
import pytest

from job.checkpoints.serialization import encode_npz

ARRAYS: dict[str, Any] = {
    "encoder/lstm/left": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
    "score": np.array(0.5, np.float32),
    "a name": np.array(["a", "be"]),
    "empty": np.zeros((0, 3)),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_come_back_under_their_keys_in_order(compressed: bool) -> None:
    data = encode_npz(ARRAYS, compressed=compressed)
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        assert file.files == list(ARRAYS)
        for key, array in ARRAYS.items():
            assert (file[key].dtype, file[key].shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(file[key], array)


def test_bytes_depend_neither_on_the_time_nor_on_the_memory_layout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = encode_npz(ARRAYS)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert encode_npz({key: np.copy(array, "C") for key, array in ARRAYS.items()}) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        members = archive.infolist()
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {member.create_system for member in members} == {3}


def test_compression_is_chosen() -> None:
    zeros = {"zeros": np.zeros(10_000)}
    assert len(encode_npz(zeros, compressed=True)) < 1_000 < 80_000 < len(encode_npz(zeros))


def test_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        encode_npz({"class": np.array(["a"], dtype=object)})
