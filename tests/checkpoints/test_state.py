import hashlib
import struct
from typing import Any

import numpy as np
import pytest

from job.checkpoints.serialization import state_sha256


def test_fingerprint_is_made_of_path_dtype_shape_and_bytes() -> None:
    # It stands in summary.json, so a change of its making is a change of a public value.
    variables = {"model|w": np.array([[1.0], [2.0]], np.float32), "a": np.array(3, np.int64)}
    made_of = (
        b"9\n" + b"a\n<i8\n\n8\n" + struct.pack("<q", 3)
        + b"18\n" + b"model|w\n<f4\n2,1\n8\n" + struct.pack("<ff", 1.0, 2.0)
    )  # fmt: skip
    assert state_sha256(variables) == hashlib.sha256(made_of).hexdigest()


BASE: dict[str, Any] = {"a|x": np.array([1.0, 2.0], np.float32), "b": np.array([True])}


@pytest.mark.parametrize(
    "other",
    [
        {"a|x": np.array([1.0, 2.0], np.float32)},
        {**BASE, "c": np.array([], np.float32)},
        {**BASE, "a|x": np.array([1.0, np.nextafter(2, 3)], np.float64)},
        {**BASE, "a|x": np.array([[1.0, 2.0]], np.float32)},
        {**BASE, "a|x": np.array([2.0, 1.0], np.float32)},
        {**BASE, "a|x": np.array([1.0, 2.0], np.float32).view(np.int32)},
        {**BASE, "b": np.array([1], np.uint8)},
        {"a|y": BASE["a|x"], "b": BASE["b"]},
        {"a|x": BASE["b"], "b": BASE["a|x"]},
    ],
)
def test_any_difference_changes_the_fingerprint(other: dict[str, Any]) -> None:
    assert state_sha256(other) != state_sha256(BASE)


def test_fingerprint_ignores_order_memory_layout_and_byte_order() -> None:
    table = np.arange(6, dtype=np.float32).reshape(2, 3)
    same = [
        {"a": table, "b": np.array(1)},
        {"b": np.array(1), "a": table},
        {"a": np.asfortranarray(table), "b": np.array(1)},
        {"a": table.astype(">f4"), "b": np.array(1)},
        {"a": np.repeat(table, 2, axis=1)[:, ::2], "b": np.array(1)},
    ]
    assert len({state_sha256(variables) for variables in same}) == 1


def test_negative_zero_and_the_bits_of_a_nan_count() -> None:
    zeros = [np.array([0.0]), np.array([-0.0])]
    nans = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    found = [state_sha256({"a": one}) for one in (*zeros, nans[:1], nans[1:])]
    assert len(set(found)) == 4


@pytest.mark.parametrize("dtype", [object, "U3", "S3", complex, "M8[s]", "V2", np.longdouble])
def test_dtype_that_needs_pickle_or_differs_between_machines_is_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot be stored.*Cast the variable"):
        state_sha256({"a": np.zeros(1, dtype)})
