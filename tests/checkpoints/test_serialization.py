"""All of a snapshot but its arrays as bytes, .npz files, and the fingerprint of a state."""

import hashlib
import io
import math
import struct
import time
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from job.checkpoints import serialization
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.serialization import (
    RunState,
    decode_state,
    encode_meta,
    encode_npz,
    state_sha256,
)
from job.errors import CallbackError
from job.types import Position

STATE = RunState(
    variables={},
    position=Position(3, 17, 1017),
    sums={"loss": 0.1 + 0.2, "count": 17.0},
    callbacks={"plateau": {"wait": 2, "best": math.inf, "names": ["a"], "on": True, "x": None}},
    history=[{"loss": 1 / 3, "val_loss": math.nan}, {}],
    seconds=1.5,
    stop_reason="EarlyStopping",
    epoch_begun=True,
    random={"python": [3, [1, 2], None], "numpy": ["MT19937", [1, 2], 0, 1, 0.1]},
)


def test_everything_but_the_variables_comes_back_exactly() -> None:
    back = decode_state(STATE.variables, encode_meta(STATE))
    assert math.isnan(back.history[0]["val_loss"])
    same = {"loss": 1 / 3, "val_loss": 0.0}
    assert replace(back, history=[{**back.history[0], "val_loss": 0.0}, {}]) == replace(
        STATE, history=[same, {}]
    )
    assert encode_meta(back) == encode_meta(STATE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"schema":2', b'"schema":1'),
        (b'"schema":2', b'"schema":3'),
        (b'"schema":2', b'"shcema":2'),
        (b'"schema":2', b'"schema":"2"'),
        (b'"epoch":3', b'"epoc":3'),
        (b'"epoch":3', b'"epoch":3,"x":3'),
        (b'"sums":{', b'"x":{'),
        (b'"history":[', b'"x":['),
        (b'"stop_reason":"EarlyStopping"', b'"x":1'),
        (b'"schema":2', b'"schema":2,"schema":2'),
    ],
)
def test_meta_of_another_schema_or_without_a_field_is_refused(old: bytes, new: bytes) -> None:
    data = encode_meta(STATE)
    assert data.count(old) == 1
    with pytest.raises(DamagedError):
        decode_state({}, data.replace(old, new))


@pytest.mark.parametrize("data", [b"[]", b"null", b"{}"])
def test_meta_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedError, match=r"meta\.json"):
        decode_state({}, data)


def test_callback_state_that_could_not_be_read_back_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = len(encode_meta(STATE))
    monkeypatch.setattr(serialization, "META_LIMIT_BYTES", limit)
    back = decode_state({}, encode_meta(STATE))
    assert encode_meta(back) == encode_meta(STATE)
    hoarder = {**STATE.callbacks, "hoarder": list(range(100))}
    with pytest.raises(CallbackError, match=r"The largest state is that of hoarder\. Return"):
        encode_meta(replace(STATE, callbacks=hoarder))


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


def test_fingerprint_is_made_of_path_dtype_shape_and_bytes() -> None:
    # It is in summary.json, so changing its computation changes a public value.
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
