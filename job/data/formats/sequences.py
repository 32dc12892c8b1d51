"""What a sequence has to be: some time steps of finite numbers, features as all others have."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from job.data.formats.npy import ArrayError, read_array, read_header
from job.data.quarantine import Problem

MAX_FEATURES = 65536


class Features:
    """How many features sequences have.

    Args:
        num_features: `data.num_features`; None: as many as the first good sequence has.
    """

    def __init__(self, num_features: int | None) -> None:
        self._expected = num_features
        self._whose = "data.num_features is"

    def problem(self, num_features: int, *, of: str) -> Problem | None:
        """What is wrong with a sequence of so many; the first good one sets the number.

        Args:
            num_features: How many it has.
            of: The sequence, for the message about a later one that differs.
        """
        if not 1 <= num_features <= MAX_FEATURES:
            return Problem("shape", f"has {num_features} features, must be 1 to {MAX_FEATURES}")
        if self._expected is None:
            self._expected = num_features
            self._whose = f"{of} has"
        if num_features == self._expected:
            return None
        where = f"where {self._whose} {self._expected}"
        return Problem("shape", f"has {num_features} features {where}")


def length_problem(num_steps: int, *, max_length: int) -> Problem | None:
    """What is wrong with the number of time steps of a sequence."""
    if not num_steps:
        return Problem("empty", "has no time step")
    if num_steps > max_length:
        return Problem("too_long", f"has {num_steps} steps (data.max_length is {max_length})")
    return None


def not_finite(step: int) -> Problem:
    """The problem of a sequence whose time step of that number, from 0, is not finite."""
    return Problem("not_finite", f"holds NaN or a number beyond float32 in step {step + 1}")


def read_sequence(
    file: BinaryIO, *, num_bytes: int, max_length: int
) -> NDArray[np.generic] | Problem:
    """float32 (T, F) from a `.npy` file, or what is wrong with it.

    Args:
        file: At its beginning.
        num_bytes: Its size.
        max_length: Most time steps.
    """
    try:
        header = read_header(file, num_bytes=num_bytes)
        if header.dtype.kind not in "iuf" or len(header.shape) != 2:
            what = f"must be numbers of the shape (time, features), got {header.dtype}"
            return Problem("shape", f"{what} {header.shape}")
        problem = length_problem(header.shape[0], max_length=max_length)
        if problem:
            return problem
        steps = read_array(file, header, dtype=np.dtype(np.float32))
    except ArrayError as error:
        return Problem(error.reason, error.detail)
    finite = np.isfinite(steps).all(axis=1)
    return steps if finite.all() else not_finite(int(np.argmin(finite)))
