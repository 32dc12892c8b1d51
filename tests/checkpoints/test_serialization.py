"""A snapshot as bytes: complete, deterministic, and damage is refused."""

import hashlib
import io
import math
import struct
import time
import tracemalloc
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.serialization import (
    RunState,
    decode_state,
    decode_variables,
    encode_meta,
    encode_npz,
    encode_variables,
    spec_of,
    state_limit_bytes,
    state_sha256,
)
from job.types import Position

VARIABLES: dict[str, Any] = {
    "model|encoder/lstm/kernel": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "model|dropout/seed_generator_state": np.array([1, 2**32 - 1], np.uint32),
    "optimizer|iterations": np.array(500, np.int64),
    "optimizer|learning_rate": np.array(1e-3, np.float32),
    "model|empty": np.zeros((0, 3), np.float16),
    "model|flags \u00e4%2F..": np.array([True, False]),
    "model|odd": np.array([np.nan, np.inf, -0.0], np.float64),
}
SPEC = spec_of(VARIABLES)
DATA = encode_variables(VARIABLES)


def archive(members: dict[str, bytes], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def npy_bytes(array: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    npy.write_array(out, np.asarray(array), **options)
    return out.getvalue()


def test_variables_come_back_bit_for_bit() -> None:
    back = decode_variables(DATA, expected=SPEC)
    assert state_sha256(back) == state_sha256(VARIABLES)
    assert {key: array.dtype for key, array in back.items()} == {
        key: array.dtype for key, array in VARIABLES.items()
    }
    assert all(array.flags.writeable and array.flags.owndata for array in back.values())


def test_equal_variables_give_equal_bytes_in_any_order_and_layout() -> None:
    shuffled = {key: VARIABLES[key] for key in sorted(VARIABLES, reverse=True)}
    kernel = "model|encoder/lstm/kernel"
    shuffled[kernel] = np.asfortranarray(VARIABLES[kernel]).astype(">f4")
    assert encode_variables(shuffled) == DATA


def test_file_opens_with_numpy_alone_and_its_names_are_harmless() -> None:
    with np.load(io.BytesIO(DATA), allow_pickle=False) as file:
        assert "model%7Cencoder%2Flstm%2Fkernel" in file.files
        for name in file.files:
            assert not set(name) & set("/\\|: ")
        np.testing.assert_array_equal(file["optimizer%7Citerations"], 500)


def test_no_bit_flip_changes_a_variable_in_silence() -> None:
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(1000):
        flipped = bytearray(DATA)
        flipped[random.integers(len(DATA))] ^= 1 << random.integers(8)
        try:
            back = decode_variables(bytes(flipped), expected=SPEC)
        except DamagedError:
            refused += 1
        else:  # a date or another field of the archive that means nothing to us
            assert state_sha256(back) == state_sha256(VARIABLES)
    assert refused > 800


@pytest.mark.parametrize("length", [0, 1, 21, len(DATA) // 2, len(DATA) - 1])
def test_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(DamagedError):
        decode_variables(DATA[:length], expected=SPEC)


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({**SPEC, "model|new": ((2,), "float32")}, r"missing \['model%7Cnew.npy'\]"),
        ({k: v for k, v in SPEC.items() if "rate" not in k}, "unknown .*learning_rate"),
        ({**SPEC, "optimizer|iterations": ((), "int32")}, "expected a header and 4|int64"),
        ({**SPEC, "optimizer|iterations": ((), "float64")}, "int64, expected .* float64"),
        ({**SPEC, "optimizer|iterations": ((1,), "int64")}, r"\(\) of int64, expected \(1,\)"),
        ({**SPEC, "model|encoder/lstm/kernel": ((4, 3), "float32")}, r"\(3, 4\)"),
        ({**SPEC, "model|encoder/lstm/kernel": ((3, 400), "float32")}, "expected a header and"),
        ({**SPEC, "model|encoder/lstm/kernel": ((), "float32")}, "kernel"),
    ],
)
def test_other_model_than_the_saved_one_is_refused_by_name(expected: Any, reason: str) -> None:
    with pytest.raises(DamagedError, match=reason):
        decode_variables(DATA, expected=expected)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("pickle was loaded",))


ONE = {"a": ((2,), "float32")}
SOUND = npy_bytes(np.array([1, 2], np.float32))
PICKLED = npy_bytes(np.array([Trap(), 2], object), allow_pickle=True)


def header(text: str) -> bytes:
    """A .npy header that says `text`, with room for two floats behind it."""
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + b"\0" * 8


@pytest.mark.parametrize(
    "content",
    [
        {"a.npy": PICKLED},
        {"a.npy": header("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }")},
        {"a.npy": header("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }")},
        {"a.npy": header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,), }")},
        {
            "a.npy": header(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,), }"
            )
        },
        {"a.npy": header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }")},
        {"a.npy": header("__import__('os').system('false')")},
        {"a.npy": b"\x93NUMPY\x02\x00" + SOUND[8:]},
        {"a.npy": b"\x93NUMPY\x01\x00\xff\xff" + SOUND[10:]},
        {"a.npy": b"not an array of format one" * 2},
        {"a.npy": SOUND[:-1]},
        {"a.npy": SOUND + b"\0"},
        {"a.npy": b""},
        {"a.npy": SOUND, "b.npy": SOUND},
        {"../a.npy": SOUND},
        {"/a.npy": SOUND},
        {"a": SOUND},
        {},
    ],
    ids=str,
)
def test_hostile_or_foreign_member_is_refused(content: dict[str, bytes]) -> None:
    with pytest.raises(DamagedError):
        decode_variables(archive(content), expected=ONE)


def test_member_that_occurs_twice_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.npy", SOUND)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a.npy", SOUND)
    with pytest.raises(DamagedError, match="occurs twice"):
        decode_variables(out.getvalue(), expected=ONE)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_member_is_refused_before_it_is_unpacked(method: int) -> None:
    bomb = archive({"a.npy": SOUND[:-8] + bytes(20_000_000)}, compression=method)
    tracemalloc.start()
    with pytest.raises(DamagedError, match="compressed"):
        decode_variables(bomb, expected=ONE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_declared_size_that_lies_is_refused_before_anything_is_made() -> None:
    lying = bytearray(archive({"a.npy": SOUND}))
    directory = lying.index(b"PK\x01\x02")
    for field in (20, 24):  # compressed and uncompressed size in the archive's directory
        lying[directory + field : directory + field + 4] = (2**31).to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(DamagedError, match="declares 2147483648 bytes"):
        decode_variables(bytes(lying), expected=ONE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_encrypted_member_is_refused() -> None:
    marked = bytearray(archive({"a.npy": SOUND}))
    marked[marked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DamagedError):
        decode_variables(bytes(marked), expected=ONE)


def test_limit_holds_every_file_that_is_written_and_little_more() -> None:
    assert len(DATA) <= state_limit_bytes(SPEC) < len(DATA) + 300_000
    large = {"model|w": np.zeros((1000, 1000), np.float32)}
    limit = state_limit_bytes(spec_of(large))
    assert len(encode_variables(large)) <= limit < 1.1 * 4_000_000


@pytest.mark.parametrize("dtype", [object, "U3", complex])
def test_variable_that_would_need_pickle_is_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        encode_variables({"a": np.zeros(2, dtype)})


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
        (b'"epoch":3', b'"epoch":-3'),
        (b'"epoch":3', b'"epoch":3.0'),
        (b'"epoch":3', b'"epoch":true'),
        (b'"epoch":3', b'"epoc":3'),
        (b'"count":17.0', b'"count":"17"'),
        (b'"count":17.0', b'"count":true'),
        (b'"loss":0.3333333333333333', b'"loss":[]'),
        (b'"history":[', b'"history":[1,'),
        (b'"sums":{', b'"sums":[],"x":{'),
        (b'"seconds":1.5', b'"seconds":"1.5"'),
        (b'"stop_reason":"EarlyStopping"', b'"stop_reason":null'),
        (b'"epoch_begun":true', b'"epoch_begun":1'),
        (b'"python":[', b'"python":1,"x":['),
    ],
)
def test_damaged_meta_is_refused(old: bytes, new: bytes) -> None:
    data = encode_meta(STATE)
    assert data.count(old) == 1
    with pytest.raises(DamagedError):
        decode_state({}, data.replace(old, new))


@pytest.mark.parametrize("data", [b"[]", b"null", b"{}"])
def test_meta_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedError, match=r"meta\.json"):
        decode_state({}, data)


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
