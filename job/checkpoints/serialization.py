"""A snapshot of a run as bytes, and what is in it.

A checkpoint has five named parts:

============  =================================  ============================================
part          content                            stored as
============  =================================  ============================================
MODEL         weights, seed generators           .npz, keys "model|<path>"
OPTIMIZER     moments, iterations, learning rate .npz, keys "optimizer|<path>"
TRAIN_STATE   position, running sums of the      meta.json
              epoch, wall time, stop reason,
              random generators of Python and
              NumPy
CALLBACKS     state of each callback by name     meta.json
HISTORY       metrics of each finished epoch     meta.json
============  =================================  ============================================

Everything else is a function of the configuration and the seed: the order of the pairs,
sampling, augmentation. `shards.py` divides the arrays into objects.
"""

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from job.checkpoints import canonical_json
from job.checkpoints.canonical_json import DamagedError
from job.errors import CallbackError
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
            member = new_member(f"{key}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            archive.writestr(member, content.getvalue(), compresslevel=9)
    return out.getvalue()


def new_member(name: str) -> zipfile.ZipInfo:
    """A member of an archive whose bytes depend on neither clock nor platform."""
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system = 3  # Unix
    return member


def spec_of(variables: Variables) -> Spec:
    """(shape, dtype name) by key."""
    return {key: (array.shape, array.dtype.name) for key, array in variables.items()}


def num_bytes_of(spec: Spec) -> int:
    """Size of all variables."""
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in spec.values())


def encode_meta(state: RunState) -> bytes:
    """Encodes everything but the variables as canonical JSON.

    Raises:
        TypeError: A value is not plain Python.
        CallbackError: It is longer than `decode_state` accepts.
    """
    data = canonical_json.dumps(
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
    if len(data) > META_LIMIT_BYTES:
        sizes = {name: len(canonical_json.dumps(one)) for name, one in state.callbacks.items()}
        largest = max(sizes, key=lambda name: sizes[name], default="none")
        raise CallbackError(
            f"callback states and history have {len(data)} bytes as JSON, more than the "
            f"{META_LIMIT_BYTES} of a checkpoint. The largest state is that of {largest}. "
            "Return less from its get_state()."
        )
    return data


def decode_state(variables: Variables, meta: bytes) -> RunState:
    """Combines variables with their meta.json, whose bytes are those that were committed.

    Raises:
        DamagedError: It is no JSON, of another schema, or a field is missing.
    """
    value = canonical_json.loads(meta, limit_bytes=META_LIMIT_BYTES)
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != META_SCHEMA:
        raise DamagedError(f"meta.json: schema is {schema}, expected {META_SCHEMA}")
    try:
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
    except (KeyError, TypeError) as error:
        raise DamagedError(f"meta.json: a field is missing ({error})") from error
