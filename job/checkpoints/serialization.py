"""A snapshot of a run as bytes, and what is in it.

A checkpoint has five named parts:

============  =================================  ============================================
part          content                            stored in
============  =================================  ============================================
MODEL         weights, seed generators           state-00000-of-00001.npz, keys "model|<path>"
OPTIMIZER     moments, iterations, learning rate the same, keys "optimizer|<path>"
TRAIN_STATE   position, running sums of the      meta.json
              epoch, wall time, stop reason,
              random generators of Python and
              NumPy
CALLBACKS     state of each callback by name     meta.json
HISTORY       metrics of each finished epoch     meta.json
============  =================================  ============================================

Everything else is a function of the configuration and the seed: the order of the pairs,
sampling, augmentation.

Encoding is deterministic: equal state gives equal bytes. Decoding trusts nothing: names,
counts, sizes and array headers are compared with what the model expects before an array is
allocated, so a damaged or hostile file costs no more memory than the model. `numpy.load` opens
the .npz; member names are percent-encoded variable keys::

    data = encode_variables(state.variables)
    variables = decode_variables(data, expected=spec_of(state.variables))
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from job.checkpoints import canonical_json
from job.checkpoints.canonical_json import DamagedError
from job.types import Json, Position

MODEL = "model"
OPTIMIZER = "optimizer"
TRAIN_STATE = "train_state"
CALLBACKS = "callbacks"
HISTORY = "history"

Variables = Mapping[str, NDArray[Any]]
Spec = Mapping[str, tuple[tuple[int, ...], str]]

META_SCHEMA = 2
META_LIMIT_BYTES = 64 << 20
_HEADER_LIMIT_BYTES = 16 << 10
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip file can hold


@dataclass(frozen=True)
class RunState:
    """A snapshot of a run between two optimizer steps.

    Attributes:
        variables: Every variable by "part|path", such as "model|encoder/lstm/kernel" or
            "optimizer|adam/iterations"; any shape, booleans, integers or floats.
        position: Steps and epochs so far.
        sums: Running sums of the current epoch's training metrics.
        callbacks: State of each callback by name; sequences come back as lists.
        history: Metrics of each finished epoch.
        seconds: Wall time of the run over all attempts.
        stop_reason: The callback that ended training, "" if none has.
        epoch_begun: Whether `on_epoch_begin` has run for the current epoch.
        random: State of the global random generators by library, which callbacks may use.
    """

    variables: Variables
    position: Position
    sums: Mapping[str, float]
    callbacks: Mapping[str, Json]
    history: Sequence[Mapping[str, float]]
    seconds: float = 0.0
    stop_reason: str = ""
    epoch_begun: bool = False
    random: Mapping[str, Sequence[Json]] = field(default_factory=dict)


_STRICT = ConfigDict(strict=True, extra="forbid")
_Count = Annotated[int, Field(ge=0)]
# Strict floats accept integers but not booleans.
_Floats = dict[str, float]


@dataclass(frozen=True)
class _MetaPosition:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    epoch: _Count
    step_in_epoch: _Count
    global_step: _Count


@dataclass(frozen=True)
class _MetaTrainState:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    position: _MetaPosition
    sums: _Floats
    seconds: float
    stop_reason: str
    epoch_begun: bool
    random: dict[str, list[Any]]


@dataclass(frozen=True)
class _Meta:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[2]
    train_state: _MetaTrainState
    callbacks: dict[str, Any]
    history: list[_Floats]


_META = TypeAdapter(_Meta)


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Converts an array to C order and little-endian bytes.

    Raises:
        TypeError: Its elements are not booleans, integers or floats of up to 64 bits.
    """
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(
            f"dtype {array.dtype} cannot be stored. Allowed are booleans, integers and floats "
            f"of up to 64 bits. Cast the variable first."
        )
    # `ascontiguousarray` would turn a scalar into a vector.
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def state_sha256(variables: Variables) -> str:
    """Fingerprints all variables; equal if and only if every bit is equal.

    Returns:
        Hexadecimal SHA-256 over path, dtype, shape and bytes, in the order of the paths.
    """
    digest = hashlib.sha256()
    for path in sorted(variables):
        array = little_endian(variables[path])
        shape = ",".join(str(size) for size in array.shape)
        content = array.tobytes()
        # Length prefixes keep two different states from yielding the same byte stream.
        head = f"{path}\n{array.dtype.str}\n{shape}\n{len(content)}\n".encode()
        digest.update(f"{len(head)}\n".encode() + head)
        digest.update(content)
    return digest.hexdigest()


def encode_npz(arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> bytes:
    """Encodes arrays as an .npz, in the given order, without pickle and without dates.

    Args:
        arrays: Arrays of any shape by the keys that `numpy.load` returns.
        compressed: Whether members are deflated. The bytes then depend on the zlib build.

    Raises:
        ValueError: An array holds objects, which would need pickle.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for key, array in arrays.items():
            content = io.BytesIO()
            # `ascontiguousarray` would turn a scalar into a vector.
            npy.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
            member = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            member.create_system = 3  # Unix, on every platform
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            archive.writestr(member, content.getvalue(), compresslevel=9)
    return out.getvalue()


def spec_of(variables: Variables) -> Spec:
    """(shape, dtype name) by key, as `decode_variables` expects."""
    return {key: (array.shape, array.dtype.name) for key, array in variables.items()}


def state_limit_bytes(expected: Spec) -> int:
    """The largest .npz that variables of this spec can need, in bytes."""
    return sum(
        _num_bytes(shape, dtype) + _HEADER_LIMIT_BYTES + 8 * len(_member(key)) + 1024
        for key, (shape, dtype) in expected.items()
    ) + (64 << 10)


def encode_variables(variables: Variables) -> bytes:
    """Encodes variables as an uncompressed .npz with one member each.

    Raises:
        TypeError: A variable's dtype cannot be stored without pickle.
    """
    return encode_npz(
        {quote(key, safe=""): little_endian(variables[key]) for key in sorted(variables)}
    )


def decode_variables(data: bytes, *, expected: Spec) -> dict[str, NDArray[Any]]:
    """Decodes an .npz that holds exactly the expected variables.

    Args:
        data: From `encode_variables`.
        expected: (shape, dtype) by key, as from `spec_of`.

    Raises:
        DamagedError: The archive is broken, a key is missing or unknown, or a shape, dtype or
            declared size differs.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _checked_members(archive.infolist(), expected)
            return {
                key: _read_array(archive, members[_member(key)], key, shape, np.dtype(dtype))
                for key, (shape, dtype) in expected.items()
            }
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DamagedError(f"not a readable .npz ({error})") from error
    except (ValueError, OverflowError) as error:
        raise DamagedError(f"a damaged array in the .npz ({error})") from error


def encode_meta(state: RunState) -> bytes:
    """Encodes everything but the variables as canonical JSON.

    Raises:
        TypeError: A value is not plain Python.
    """
    return canonical_json.dumps(
        {
            "schema": META_SCHEMA,
            TRAIN_STATE: {
                "position": asdict(state.position),
                "sums": state.sums,
                "seconds": state.seconds,
                "stop_reason": state.stop_reason,
                "epoch_begun": state.epoch_begun,
                "random": state.random,
            },
            CALLBACKS: state.callbacks,
            HISTORY: state.history,
        }
    )


def decode_state(variables: Variables, meta: bytes) -> RunState:
    """Combines variables with their meta.json.

    Raises:
        DamagedError: The JSON is not what `encode_meta` writes.
    """
    value = canonical_json.loads(meta, limit_bytes=META_LIMIT_BYTES)
    try:
        _META.validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise DamagedError(f"meta.json: {where}: {first['msg']}") from error
    train_state = value[TRAIN_STATE]
    return RunState(
        variables=variables,
        position=Position(**train_state["position"]),
        sums=train_state["sums"],
        callbacks=value[CALLBACKS],
        history=value[HISTORY],
        seconds=train_state["seconds"],
        stop_reason=train_state["stop_reason"],
        epoch_begun=train_state["epoch_begun"],
        random=train_state["random"],
    )


def _member(key: str) -> str:
    """Maps a key such as "model|lstm/kernel" to a name without special characters."""
    return quote(key, safe="") + ".npy"


def _num_bytes(shape: tuple[int, ...], dtype: str) -> int:
    size = np.dtype(dtype).itemsize
    for length in shape:
        size *= length
    return size


def _checked_members(
    members: list[zipfile.ZipInfo], expected: Spec
) -> dict[str, zipfile.ZipInfo]:
    """Compares the archive's directory with the expected variables; reads no member."""
    wanted = {_member(key): _num_bytes(*spec) for key, spec in expected.items()}
    found = {member.filename: member for member in members}
    if len(found) != len(members):
        raise DamagedError("a member occurs twice")
    if found.keys() != wanted.keys():
        missing, unknown = sorted(wanted.keys() - found), sorted(found.keys() - wanted)
        raise DamagedError(
            f"not the model's variables: missing {missing[:3]}, unknown {unknown[:3]}"
        )
    for name, member in found.items():
        if (
            member.compress_type != zipfile.ZIP_STORED
            or member.compress_size != member.file_size
        ):
            raise DamagedError(f"{name} is compressed")
        extra = member.file_size - wanted[name]
        if not 0 < extra <= _HEADER_LIMIT_BYTES:
            raise DamagedError(
                f"{name} declares {member.file_size} bytes, expected a header "
                f"and {wanted[name]}"
            )
    return found


def _read_array(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    key: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    with archive.open(member) as file:
        if npy.read_magic(file) != (1, 0):
            raise DamagedError(f"{key}: not an array of format 1.0")
        found = npy.read_array_header_1_0(file, max_header_size=_HEADER_LIMIT_BYTES)
        if found != (tuple(shape), False, dtype.newbyteorder("<")):
            raise DamagedError(
                f"{key}: shape {found[0]} of {found[2]}, expected {tuple(shape)} of {dtype}"
            )
        content = file.read()  # of the declared size; its CRC is checked at the end
    array = np.frombuffer(content, dtype=dtype.newbyteorder("<")).reshape(shape)
    return array.astype(dtype, copy=True)
