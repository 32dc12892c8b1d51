"""What a sequence has to be: some time steps of finite numbers, features as all others have."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from job.data.sources.npy import ArrayError, read_array, read_header
from job.types import Problem

MAX_FEATURES = 65536
# Several are read at a time. 16,384 steps, the default of `data.max_length`, of 1,024 features.
MAX_SEQUENCE_BYTES = 64 << 20


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
        problem = self.known_problem(num_features)
        if problem is None and self._expected is None:
            self._whose = f"{of} has"
            self._expected = num_features
        return problem

    def known_problem(self, num_features: int) -> Problem | None:
        """The same, and sets nothing: for a look ahead, from any thread."""
        if not 1 <= num_features <= MAX_FEATURES:
            return Problem("shape", f"has {num_features} features, must be 1 to {MAX_FEATURES}")
        if self._expected in (None, num_features):
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


def _size_problem(num_steps: int, num_features: int) -> Problem | None:
    size = 4 * num_steps * num_features
    if size <= MAX_SEQUENCE_BYTES:
        return None
    what = f"has {num_steps} steps of {num_features} features, as float32 {size:,} bytes"
    return Problem("too_large", f"{what} (at most {MAX_SEQUENCE_BYTES:,} are read)")


def not_finite(step: int) -> Problem:
    """The problem of a sequence whose time step of that number, from 0, is not finite."""
    return Problem("not_finite", f"holds NaN or a number beyond float32 in step {step + 1}")


def read_sequence(
    file: BinaryIO, *, num_bytes: int, max_length: int, features: Features
) -> NDArray[np.generic] | Problem:
    """float32 (T, F) from a `.npy` file, or what its header says is wrong with it.

    Other threads may set the number of features meanwhile. Whoever reads has to look at it
    again and then at `not_finite_problem`, so that what is said of a file that is wrong in two
    ways does not depend on when it was read.

    Args:
        file: At its beginning.
        num_bytes: Its size.
        max_length: Most time steps.
        features: How many there have to be, as far as that is known yet.
    """
    try:
        header = read_header(file, num_bytes=num_bytes)
        if header.dtype.kind not in "iuf" or len(header.shape) != 2:
            what = f"must be numbers of the shape (time, features), got {header.dtype}"
            return Problem("shape", f"{what} {header.shape}")
        num_steps, num_features = header.shape
        problem = (
            length_problem(num_steps, max_length=max_length)
            or _size_problem(num_steps, num_features)
            or features.known_problem(num_features)
        )
        if problem:
            return problem
        return read_array(file, header, dtype=np.dtype(np.float32))
    except ArrayError as error:
        return Problem(error.reason, error.detail)


def not_finite_problem(steps: NDArray[np.generic]) -> Problem | None:
    """What is wrong with a sequence, (T, F), that holds NaN or an infinity."""
    finite = np.isfinite(steps).all(axis=1)
    return None if finite.all() else not_finite(int(np.argmin(finite)))
