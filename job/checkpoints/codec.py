"""Run state as bytes: variables as .npz without pickle, the rest as JSON.

Writing is deterministic: equal state gives equal bytes. Reading trusts nothing: names, counts,
sizes and array headers are compared with what the model expects before an array is made, so a
damaged or hostile file costs no more memory than the model itself. The .npz opens with
`numpy.load`; a member is its variable's key, percent-encoded::

    data = encode_variables(state.variables)
    variables = decode_variables(data, expected=spec_of(state.variables))
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from job.checkpoints import canonical
from job.checkpoints.canonical import DamagedError
from job.checkpoints.npz import encode_npz
from job.checkpoints.state import RunState, Variables, little_endian
from job.types import Position

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
    return canonical.dumps(
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
    value = canonical.loads(meta, limit_bytes=META_LIMIT_BYTES)
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
