"""The variables of a checkpoint as .npz objects of bounded size.

A checkpoint is written in one of two layouts, each a pure function of the variables' spec:

=======================================  =====================================================
objects                                  content
=======================================  =====================================================
`state-*.npz`                            everything
`model-*.npz` and `resume-*.npz`         weights, and the rest: of the best checkpoint the
                                         weights are kept longer
=======================================  =====================================================

A member of an archive is one variable, or a flat slice of one that is larger than a shard. The
last `state` or `resume` object also contains `meta.json`. `numpy.load` opens every object.

Encoding is deterministic: equal state gives equal bytes. Decoding trusts nothing: names,
counts, sizes and array headers are compared with the plan before an array is filled, so a
damaged or hostile file costs no more memory than the model::

    for shard in plan_shards(spec, split=False):
        store.write(shard.name, encode_shard(shard, variables, meta=meta), if_generation=0)
"""

import io
import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.serialization import (
    META_LIMIT_BYTES,
    MODEL,
    Spec,
    Variables,
    little_endian,
    new_member,
)

# Several shards are in memory at once while they are uploaded or read. Cloud Storage takes an
# object of at most 8 MiB in one request; a quarter of a MiB is left for headers of the archive
# and for `meta.json`. A shard that exceeds 8 MiB all the same is uploaded in parts.
SHARD_BYTES = (8 << 20) - (256 << 10)
META = "meta.json"
_STATE, _MODEL, _RESUME = "state", "model", "resume"
_HEADER_LIMIT_BYTES = 16 << 10
_DIRECTORY_LIMIT_BYTES = 64 << 10


@dataclass(frozen=True)
class Piece:
    """The elements `start` to `stop` of a flattened variable; all of them if `is_whole`."""

    key: str
    start: int
    stop: int
    is_whole: bool

    @property
    def member(self) -> str:
        """Name in the archive, without special characters."""
        suffix = "" if self.is_whole else f"@{self.start}"
        return f"{quote(self.key, safe='')}{suffix}.npy"


@dataclass(frozen=True)
class Shard:
    """One object of a checkpoint.

    Attributes:
        name: Name in the checkpoint's directory.
        pieces: Its arrays, in order.
        has_meta: Whether it contains `meta.json`.
    """

    name: str
    pieces: tuple[Piece, ...]
    has_meta: bool

    @property
    def is_model(self) -> bool:
        """Whether it contains weights alone."""
        return self.name.startswith(f"{_MODEL}-")


def is_resume_object(name: str) -> bool:
    """Whether an object is only needed to resume, not for the weights."""
    return name.startswith(f"{_RESUME}-")


def plan_shards(
    spec: Spec, *, split: bool, shard_bytes: int = SHARD_BYTES
) -> tuple[Shard, ...]:
    """The objects of a checkpoint.

    Args:
        spec: (shape, dtype) of every variable, by key.
        split: Whether weights get objects of their own.
        shard_bytes: Largest size of the arrays in one object.
    """
    model = [key for key in sorted(spec) if key.startswith(f"{MODEL}|")]
    rest = [key for key in sorted(spec) if key not in set(model)]
    if not split:
        return tuple(_group(_STATE, [*model, *rest], spec, shard_bytes, has_meta=True))
    return (
        *_group(_MODEL, model, spec, shard_bytes, has_meta=False),
        *_group(_RESUME, rest, spec, shard_bytes, has_meta=True),
    )


def _group(
    name: str, keys: Iterable[str], spec: Spec, shard_bytes: int, *, has_meta: bool
) -> list[Shard]:
    groups: list[list[Piece]] = [[]]
    room = shard_bytes
    for key in keys:
        shape, dtype = spec[key]
        size, item = math.prod(shape), np.dtype(dtype).itemsize
        is_whole = size * item <= shard_bytes
        start = 0
        while start < size or (start == 0 and is_whole):
            fits = size if is_whole else room // item
            if (size * item > room) if is_whole else (fits == 0):
                groups.append([])
                room = shard_bytes
                continue
            stop = min(size, start + fits)
            groups[-1].append(Piece(key, start, stop, is_whole))
            room -= (stop - start) * item
            start = stop
            if is_whole:
                break
    last = len(groups) - 1
    return [
        Shard(f"{name}-{i:05d}-of-{len(groups):05d}.npz", tuple(one), has_meta and i == last)
        for i, one in enumerate(groups)
    ]


def limit_bytes(shard: Shard, spec: Spec) -> int:
    """The largest object that a shard can be."""
    arrays = sum(
        _num_bytes(piece, spec) + _HEADER_LIMIT_BYTES + 8 * len(piece.member) + 1024
        for piece in shard.pieces
    )
    return arrays + _DIRECTORY_LIMIT_BYTES + (META_LIMIT_BYTES if shard.has_meta else 0)


def encode_shard(shard: Shard, variables: Variables, *, meta: bytes) -> bytes:
    """Encodes a shard as an uncompressed .npz.

    Raises:
        TypeError: A variable's dtype cannot be stored without pickle.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for piece in shard.pieces:
            array = little_endian(variables[piece.key])
            if not piece.is_whole:
                array = array.reshape(-1)[piece.start : piece.stop]
            with archive.open(new_member(piece.member), "w") as file:
                npy.write_array(file, array, version=(1, 0), allow_pickle=False)
        if shard.has_meta:
            archive.writestr(new_member(META), meta)
    return out.getvalue()


def empty_variables(spec: Spec) -> dict[str, NDArray[Any]]:
    """Uninitialised arrays that `decode_shard` fills."""
    return {key: np.empty(shape, dtype) for key, (shape, dtype) in spec.items()}


def decode_shard(
    shard: Shard, data: bytes, *, spec: Spec, into: Mapping[str, NDArray[Any]]
) -> bytes:
    """Decodes an object that holds exactly what the plan says.

    Args:
        shard: From `plan_shards`.
        data: The object.
        spec: As for `plan_shards`.
        into: Arrays to fill, from `empty_variables`.

    Returns:
        `meta.json`; empty if the shard has none.

    Raises:
        DamagedError: The archive is broken, a member is missing or unknown, or a shape, dtype
            or declared size differs.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_members(archive.infolist(), shard, spec)
            for piece in shard.pieces:
                _read_piece(archive, piece, spec=spec, into=into)
            return archive.read(META) if shard.has_meta else b""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DamagedError(f"{shard.name} is not a readable .npz ({error})") from error
    except (ValueError, OverflowError) as error:
        raise DamagedError(f"{shard.name} has a damaged array ({error})") from error


def _num_bytes(piece: Piece, spec: Spec) -> int:
    return (piece.stop - piece.start) * np.dtype(spec[piece.key][1]).itemsize


def _check_members(members: list[zipfile.ZipInfo], shard: Shard, spec: Spec) -> None:
    """Compares the archive's directory with the plan; reads no member."""
    wanted = {piece.member: _num_bytes(piece, spec) for piece in shard.pieces}
    names = {*wanted, *([META] if shard.has_meta else [])}
    found = {member.filename: member for member in members}
    if len(found) != len(members):
        raise DamagedError(f"{shard.name}: a member occurs twice")
    if found.keys() != names:
        missing, unknown = sorted(names - found.keys()), sorted(found.keys() - names)
        raise DamagedError(
            f"{shard.name}: not the model's variables: missing {missing[:3]}, unknown "
            f"{unknown[:3]}"
        )
    for name, member in found.items():
        if (
            member.compress_type != zipfile.ZIP_STORED
            or member.compress_size != member.file_size
        ):
            raise DamagedError(f"{shard.name}: {name} is compressed")
        least = wanted.get(name, 0)
        most = least + _HEADER_LIMIT_BYTES if name in wanted else META_LIMIT_BYTES
        if not least < member.file_size <= most:
            raise DamagedError(
                f"{shard.name}: {name} declares {member.file_size} bytes, expected {least} and "
                "a header"
            )


def _read_piece(
    archive: zipfile.ZipFile, piece: Piece, *, spec: Spec, into: Mapping[str, NDArray[Any]]
) -> None:
    shape, dtype_name = spec[piece.key]
    dtype = np.dtype(dtype_name).newbyteorder("<")
    expected = tuple(shape) if piece.is_whole else (piece.stop - piece.start,)
    with archive.open(piece.member) as file:
        if npy.read_magic(file) != (1, 0):
            raise DamagedError(f"{piece.key}: not an array of format 1.0")
        found = npy.read_array_header_1_0(file, max_header_size=_HEADER_LIMIT_BYTES)
        if found != (expected, False, dtype):
            raise DamagedError(
                f"{piece.key}: shape {found[0]} of {found[2]}, expected {expected} of {dtype}"
            )
        content = file.read()  # of the declared size; its CRC is checked at the end
    # A view also of a scalar, whose only element is element 0.
    flat = into[piece.key].reshape(-1)
    flat[piece.start : piece.stop] = np.frombuffer(content, dtype=dtype)
