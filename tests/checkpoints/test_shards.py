"""Variables as objects of bounded size: complete, deterministic, and damage is refused."""

import io
import math
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.serialization import (
    META_LIMIT_BYTES,
    Spec,
    Variables,
    spec_of,
    state_sha256,
)
from job.checkpoints.shards import (
    META,
    decode_shard,
    empty_variables,
    encode_shard,
    is_resume_object,
    limit_bytes,
    plan_shards,
)
from job.checkpoints.surroundings import Surroundings
from job.storage.object_store import ObjectStat
from tests.checkpoints.tiny_run import LINEAGE, acquired, initial
from tests.fakes.memory_store import MemoryStore
from tests.proving import examples

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
(WHOLE,) = plan_shards(SPEC, split=False)
META_DATA = b"{}\n"
DATA = encode_shard(WHOLE, VARIABLES, meta=META_DATA)


def encode(variables: Variables, **options: Any) -> dict[str, bytes]:
    shards = plan_shards(spec_of(variables), **{"split": False, **options})
    return {one.name: encode_shard(one, variables, meta=META_DATA) for one in shards}


def decode(objects: Mapping[str, bytes], spec: Spec, **options: Any) -> Variables:
    variables = empty_variables(spec)
    shards = plan_shards(spec, **{"split": False, **options})
    assert [one.name for one in shards] == list(objects)
    metas = [decode_shard(one, objects[one.name], spec=spec, into=variables) for one in shards]
    assert metas == [*[b""] * (len(shards) - 1), META_DATA]
    return variables


def decode_one(data: bytes, spec: Spec) -> Variables:
    """Decodes an object that ought to hold the variables of `spec` and no meta.json."""
    (shard,) = plan_shards(spec, split=False)
    variables = empty_variables(spec)
    decode_shard(replace(shard, has_meta=False), data, spec=spec, into=variables)
    return variables


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


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple)
    dtypes = st.sampled_from(["float32", "float64", "int8", "bool", "float16"])
    keys = st.sampled_from(["model", "optimizer"]).flatmap(
        lambda part: st.text("ab/@%.", max_size=3).map(lambda name: f"{part}|{name}")
    )
    return draw(st.dictionaries(keys, st.tuples(shapes, dtypes), max_size=8))


@settings(max_examples=examples(100))
@given(specs(), st.integers(8, 200), st.booleans())
def test_plan_holds_every_element_once_in_shards_of_bounded_size(
    spec: Spec, limit: int, split: bool
) -> None:
    shards = plan_shards(spec, split=split, shard_bytes=limit)
    found: dict[str, list[int]] = {key: [] for key in spec}
    for shard in shards:
        pieces = [(one, np.dtype(spec[one.key][1]).itemsize) for one in shard.pieces]
        assert sum((one.stop - one.start) * item for one, item in pieces) <= limit
        for one in shard.pieces:
            found[one.key] += range(one.start, one.stop)
            size = math.prod(spec[one.key][0])
            assert one.is_whole == (size * np.dtype(spec[one.key][1]).itemsize <= limit)
            assert not shard.is_model or one.key.startswith("model|")
        members = [one.member for one in shard.pieces]
        assert len(set(members)) == len(members)
    assert found == {key: list(range(math.prod(shape))) for key, (shape, _) in spec.items()}
    assert {one.key for shard in shards for one in shard.pieces} == spec.keys()
    assert [shard.has_meta for shard in shards] == [*[False] * (len(shards) - 1), True]
    assert len({shard.name for shard in shards}) == len(shards)


@settings(max_examples=examples(50))
@given(specs(), st.integers(8, 200), st.booleans())
def test_variables_come_back_bit_for_bit_from_any_plan(
    spec: Spec, limit: int, split: bool
) -> None:
    random = np.random.default_rng(1)
    variables = {
        key: np.asarray(random.integers(0, 2, shape) * 77.0).astype(dtype)
        for key, (shape, dtype) in spec.items()
    }
    options = {"split": split, "shard_bytes": limit}
    objects = encode(variables, **options)
    for shard in plan_shards(spec, **options):
        assert len(objects[shard.name]) <= limit_bytes(shard, spec)
    assert state_sha256(decode(objects, spec, **options)) == state_sha256(variables)


def test_odd_values_and_dtypes_come_back_bit_for_bit() -> None:
    for options in ({}, {"split": True}, {"shard_bytes": 16}):
        back = decode(encode(VARIABLES, **options), SPEC, **options)
        assert state_sha256(back) == state_sha256(VARIABLES)
        assert all(array.flags.writeable and array.flags.owndata for array in back.values())


def test_best_checkpoint_has_the_weights_in_objects_of_their_own() -> None:
    shards = plan_shards(SPEC, split=True, shard_bytes=40)
    assert [one.name for one in shards if one.is_model] == [
        f"model-{index:05d}-of-00003.npz" for index in range(3)
    ]
    resume = [one for one in shards if is_resume_object(one.name)]
    assert len(resume) == 1
    assert {piece.key.split("|")[0] for one in resume for piece in one.pieces} == {"optimizer"}


def test_model_without_an_optimizer_still_stores_meta() -> None:
    *_, last = plan_shards({"model|w": ((2,), "float32")}, split=True)
    assert (last.name, last.pieces, last.has_meta) == ("resume-00000-of-00001.npz", (), True)


def test_variable_larger_than_a_shard_is_cut_into_flat_slices() -> None:
    table = {"model|table": np.arange(10, dtype=np.float32).reshape(5, 2)}
    objects = encode(table, shard_bytes=16)
    assert len(objects) == 3
    slices = []
    for data in objects.values():
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            slices += [file[name] for name in file.files if name != META]
    np.testing.assert_array_equal(np.concatenate(slices), np.arange(10))


def test_equal_variables_give_equal_bytes_in_any_order_and_layout() -> None:
    shuffled = {key: VARIABLES[key] for key in sorted(VARIABLES, reverse=True)}
    kernel = "model|encoder/lstm/kernel"
    shuffled[kernel] = np.asfortranarray(VARIABLES[kernel]).astype(">f4")
    assert encode_shard(WHOLE, shuffled, meta=META_DATA) == DATA


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
            back = decode({WHOLE.name: bytes(flipped)}, SPEC)
        except DamagedError:
            refused += 1
        else:  # a date or another field of the archive that means nothing to us
            assert state_sha256(back) == state_sha256(VARIABLES)
    assert refused > 800


@pytest.mark.parametrize("length", [0, 1, 21, len(DATA) // 2, len(DATA) - 1])
def test_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(DamagedError):
        decode({WHOLE.name: DATA[:length]}, SPEC)


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({**SPEC, "model|new": ((2,), "float32")}, r"missing \['model%7Cnew.npy'\]"),
        ({k: v for k, v in SPEC.items() if "rate" not in k}, "unknown .*learning_rate"),
        ({**SPEC, "optimizer|iterations": ((), "int32")}, "expected 4 and a header|int64"),
        ({**SPEC, "optimizer|iterations": ((), "float64")}, "int64, expected .* float64"),
        ({**SPEC, "optimizer|iterations": ((1,), "int64")}, r"\(\) of int64, expected \(1,\)"),
        ({**SPEC, "model|encoder/lstm/kernel": ((4, 3), "float32")}, r"\(3, 4\)"),
        (
            {**SPEC, "model|encoder/lstm/kernel": ((3, 400), "float32")},
            "expected 4800 and a header",
        ),
        ({**SPEC, "model|encoder/lstm/kernel": ((), "float32")}, "kernel"),
    ],
)
def test_other_model_than_the_saved_one_is_refused_by_name(expected: Any, reason: str) -> None:
    with pytest.raises(DamagedError, match=reason):
        decode({WHOLE.name: DATA}, expected)


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
        decode_one(archive(content), ONE)


def test_member_that_occurs_twice_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.npy", SOUND)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a.npy", SOUND)
    with pytest.raises(DamagedError, match="occurs twice"):
        decode_one(out.getvalue(), ONE)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_member_is_refused_before_it_is_unpacked(method: int) -> None:
    bomb = archive({"a.npy": SOUND[:-8] + bytes(20_000_000)}, compression=method)
    tracemalloc.start()
    with pytest.raises(DamagedError, match="compressed"):
        decode_one(bomb, ONE)
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
        decode_one(bytes(lying), ONE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_encrypted_member_is_refused() -> None:
    marked = bytearray(archive({"a.npy": SOUND}))
    marked[marked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DamagedError):
        decode_one(bytes(marked), ONE)


def test_limit_of_an_object_is_little_more_than_what_is_written() -> None:
    spec = spec_of({"model|w": np.zeros((1000, 1000), np.float32)})
    (model, resume) = plan_shards(spec, split=True)
    assert 4_000_000 < limit_bytes(model, spec) < 1.1 * 4_000_000
    assert limit_bytes(resume, spec) < META_LIMIT_BYTES + (1 << 20)


def peak_of(do: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Discarding(MemoryStore):
    """Keeps of large objects only what a writer looks at: the memory is the writer's alone."""

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        if len(data) < 1 << 20:
            return super().write(name, data, if_generation=if_generation)
        return ObjectStat(name, len(data), 1, google_crc32c.value(data))


def test_memory_of_a_save_and_of_a_restore_is_bounded_by_shards_not_by_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A sixteenth of the sizes in use: shards of 1 MiB, 4 uploads, a state of 64 MiB.
    monkeypatch.setitem(plan_shards.__kwdefaults__, "shard_bytes", 1 << 20)
    tables = {f"model|table {index}": np.ones((1 << 20,), np.float32) for index in range(15)}
    state = replace(
        initial(), variables={**tables, "optimizer|m": np.ones(1 << 20, np.float32)}
    )
    around = Surroundings(uploads=4, lineage=lambda: LINEAGE)
    discarding = acquired(Discarding(), around=around)
    assert peak_of(lambda: discarding.save(state, metrics={})) < 12 << 20

    store = MemoryStore()
    acquired(store, around=around).save(state, metrics={})
    spec = spec_of(state.variables)
    manager = acquired(store, name="b", around=around)
    assert peak_of(lambda: manager.restore(spec)) < (64 + 12) << 20


@pytest.mark.parametrize("dtype", [object, "U3", complex])
def test_variable_that_would_need_pickle_is_refused(dtype: Any) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        encode_shard(WHOLE, {**VARIABLES, "model|odd": np.zeros(2, dtype)}, meta=b"")
