"""Run state as bytes: variables as .npz without pickle, the rest as JSON.

Writing is deterministic: equal state gives equal bytes. Reading trusts nothing: names, counts,
sizes and array headers are compared with what the model expects before an array is made, so a
damaged or hostile file costs no more memory than the model itself. The .npz opens with
`numpy.load`; a member is its variable's key, percent-encoded::

    data = encode_variables(state.variables)
    variables = decode_variables(data, expected=spec_of(state.variables))
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from job.checkpoints import canonical_json
from job.checkpoints.canonical_json import DamagedError
from job.types import Json, Position

Variables = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class RunState:
    """The whole state of a run between two optimizer steps.

    Attributes:
        variables: Every variable by "group|path", such as "model|encoder/lstm/kernel" or
            "optimizer|adam/iterations"; any shape, booleans, integers or floats.
        position: Where training stands.
        sums: Running sums of the epoch's training measurements.
        callbacks: Counters of each callback by its name; sequences come back as lists.
        history: One mapping of measurements per finished epoch.
    """

    variables: Variables
    position: Position
    sums: Mapping[str, float]
    callbacks: Mapping[str, Json]
    history: Sequence[Mapping[str, float]]


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Returns the array in C order and the byte order that files use.

    Raises:
        TypeError: Its elements are not booleans, integers or floats that NumPy knows.
    """
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(
            f"dtype {array.dtype} cannot be stored. Allowed are booleans, integers and floats "
            f"of up to 64 bits. Cast the variable first."
        )
    # `ascontiguousarray` would turn a scalar into a vector.
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def state_sha256(variables: Variables) -> str:
    """Returns one fingerprint of all variables: equal if and only if every bit is.

    Args:
        variables: Arrays by path, as in `RunState.variables`.

    Returns:
        Hexadecimal SHA-256 over path, dtype, shape and bytes in the order of the paths.
    """
    digest = hashlib.sha256()
    for path in sorted(variables):
        array = little_endian(variables[path])
        shape = ",".join(str(size) for size in array.shape)
        content = array.tobytes()
        # Lengths in front keep two different states from running into the same bytes.
        head = f"{path}\n{array.dtype.str}\n{shape}\n{len(content)}\n".encode()
        digest.update(f"{len(head)}\n".encode() + head)
        digest.update(content)
    return digest.hexdigest()


_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip file can hold


def encode_npz(arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> bytes:
    """Returns an .npz with one member for each array, in the order given.

    Args:
        arrays: By the keys under which `numpy.load` gives them back; any shape.
        compressed: Whether members are deflated. Other builds of zlib may then make other
            bytes of the same arrays.

    Raises:
        ValueError: An array holds objects, which only pickle could store.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for key, array in arrays.items():
            content = io.BytesIO()
            # `ascontiguousarray` would turn a scalar into a vector.
            npy.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
            member = zipfile.ZipInfo(f"{key}.npy", _EPOCH)
            member.create_system = 3  # Unix, wherever it is written
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            archive.writestr(member, content.getvalue(), compresslevel=9)
    return out.getvalue()


Spec = Mapping[str, tuple[tuple[int, ...], str]]

META_SCHEMA = 1
META_LIMIT_BYTES = 64 << 20
_HEADER_LIMIT_BYTES = 16 << 10


def spec_of(variables: Variables) -> Spec:
    """Returns what a load must find: (shape, dtype name) by key."""
    return {key: (array.shape, array.dtype.name) for key, array in variables.items()}


def state_limit_bytes(expected: Spec) -> int:
    """Returns the longest .npz that variables of this description can need."""
    return sum(
        _num_bytes(shape, dtype) + _HEADER_LIMIT_BYTES + 8 * len(_member(key)) + 1024
        for key, (shape, dtype) in expected.items()
    ) + (64 << 10)


def encode_variables(variables: Variables) -> bytes:
    """Returns an uncompressed .npz with one member for each variable.

    Raises:
        TypeError: A variable's dtype cannot be stored without pickle.
    """
    return encode_npz(
        {quote(key, safe=""): little_endian(variables[key]) for key in sorted(variables)}
    )


def decode_variables(data: bytes, *, expected: Spec) -> dict[str, NDArray[Any]]:
    """Returns the variables of an .npz if they are exactly the expected ones.

    Args:
        data: What `encode_variables` returned.
        expected: (shape, dtype) by key, as `spec_of` gives.

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
    """Returns everything but the variables as canonical JSON.

    Raises:
        TypeError: A value is not plain Python.
    """
    position = state.position
    return canonical_json.dumps(
        {
            "schema": META_SCHEMA,
            "position": {
                "epoch": position.epoch,
                "step_in_epoch": position.step_in_epoch,
                "global_step": position.global_step,
            },
            "sums": dict(state.sums),
            "callbacks": dict(state.callbacks),
            "history": [dict(epoch) for epoch in state.history],
        }
    )


def decode_state(variables: Variables, meta: bytes) -> RunState:
    """Puts variables and their meta.json together again.

    Raises:
        DamagedError: The JSON is not what `encode_meta` writes.
    """
    value = canonical_json.loads(meta, limit_bytes=META_LIMIT_BYTES)
    keys = {"schema", "position", "sums", "callbacks", "history"}
    if not isinstance(value, dict) or set(value) != keys or value["schema"] != META_SCHEMA:
        raise DamagedError(f"meta.json is not of schema {META_SCHEMA} with {sorted(keys)}")
    history = value["history"]
    if not isinstance(history, list) or not isinstance(value["callbacks"], dict):
        raise DamagedError("meta.json: history must be a list and callbacks a mapping")
    return RunState(
        variables=variables,
        position=_position(value["position"]),
        sums=_floats(value["sums"], where="sums"),
        callbacks=value["callbacks"],
        history=[_floats(one, where="history") for one in history],
    )


def _member(key: str) -> str:
    """Maps a key such as "model|lstm/kernel" to a name without path or special characters."""
    return quote(key, safe="") + ".npy"


def _num_bytes(shape: tuple[int, ...], dtype: str) -> int:
    size = np.dtype(dtype).itemsize
    for length in shape:
        size *= length
    return size


def _checked_members(
    members: list[zipfile.ZipInfo], expected: Spec
) -> dict[str, zipfile.ZipInfo]:
    """Compares the archive's directory with what is expected; reads no member."""
    wanted = {_member(key): _num_bytes(*spec) for key, spec in expected.items()}
    found = {member.filename: member for member in members}
    if len(found) != len(members):
        raise DamagedError("a member occurs twice")
    if found.keys() != wanted.keys():
        missing, unknown = sorted(wanted.keys() - found), sorted(found.keys() - wanted)
        raise DamagedError(
            f"other variables than the model's: missing {missing[:3]}, unknown {unknown[:3]}"
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
        content = file.read()  # as long as the directory said; its CRC is checked at the end
    array = np.frombuffer(content, dtype=dtype.newbyteorder("<")).reshape(shape)
    return array.astype(dtype, copy=True)


def _position(value: object) -> Position:
    keys = {"epoch", "step_in_epoch", "global_step"}
    if not isinstance(value, dict) or set(value) != keys:
        raise DamagedError(f"meta.json: position must hold {sorted(keys)}")
    if any(type(number) is not int or number < 0 for number in value.values()):
        raise DamagedError(f"meta.json: position {value} must hold whole numbers >= 0")
    return Position(**value)


def _floats(value: object, *, where: str) -> dict[str, float]:
    if not isinstance(value, dict) or any(type(x) not in (int, float) for x in value.values()):
        raise DamagedError(f"meta.json: {where} must map names to numbers")
    return cast(dict[str, float], value)
