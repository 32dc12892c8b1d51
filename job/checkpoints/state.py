"""Everything a run needs to go on as if nothing had happened, as plain NumPy and Python.

Moving these values in and out of Keras is left to the training side; nothing here knows a
framework::

    RunState(variables={"model|dense/kernel": kernel}, position=Position(1, 0, 500),
             sums={}, callbacks={}, history=[{"loss": 0.4}])
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
