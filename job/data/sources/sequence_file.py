"""Checks and reads sequences: one or more time steps of finite numbers, F features each."""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from job.data.sources.npy import ArrayError, Header, read_array, read_header
from job.types import Problem

MAX_FEATURES = 65536
# Several files are read at a time. 16,384 steps, the default of `data.max_length`, of 1,024
# features.
MAX_SEQUENCE_BYTES = 64 << 20


class Features:
    """The number of features that all sequences share.

    Args:
        num_features: `data.num_features`; None: the first valid sequence sets the number.
    """

    def __init__(self, num_features: int | None) -> None:
        self._expected = num_features
        self._set_by = "data.num_features is"

    def problem(self, num_features: int, *, of: str) -> Problem | None:
        """Checks the number of a sequence; the first valid one sets the number.

        Args:
            num_features: Number of features of the sequence.
            of: The sequence, for messages about later ones.
        """
        problem = self.known_problem(num_features)
        if problem is None and self._expected is None:
            self._set_by = f"{of} has"
            self._expected = num_features
        return problem

    def known_problem(self, num_features: int) -> Problem | None:
        """Checks the number and sets nothing; may be called from any thread."""
        if not 1 <= num_features <= MAX_FEATURES:
            return Problem("shape", f"has {num_features} features, must be 1 to {MAX_FEATURES}")
        if self._expected in (None, num_features):
            return None
        where = f"where {self._set_by} {self._expected}"
        return Problem("shape", f"has {num_features} features {where}")


def read_sequence(
    file: BinaryIO, *, num_bytes: int, max_length: int, features: Features
) -> NDArray[np.generic] | Problem:
    """Reads a `.npy` file.

    The caller checks the number of features again, and `not_finite_problem` after it: a file
    with two faults then gets the same message whenever it is read.

    Args:
        file: Positioned at its start.
        num_bytes: Size of the file.
        max_length: Largest number of time steps.
        features: Number of features, if it is known already.

    Returns:
        float32 (T, F), or the problem that the header shows.
    """
    try:
        header = read_header(file, num_bytes=num_bytes)
        problem = _header_problem(header, max_length=max_length, features=features)
        return problem or to_float32(read_array(file))
    except ArrayError as error:
        return Problem(error.reason, error.detail)


def _header_problem(header: Header, *, max_length: int, features: Features) -> Problem | None:
    if header.dtype.kind not in "iuf" or len(header.shape) != 2:
        what = f"must be numbers of the shape (time, features), got {header.dtype}"
        return Problem("shape", f"{what} {header.shape}")
    num_steps, num_features = header.shape
    problem = length_problem(num_steps, max_length=max_length)
    size = 4 * num_steps * num_features
    if problem is None and size > MAX_SEQUENCE_BYTES:
        problem = Problem(
            "too_large",
            f"has {num_steps} steps of {num_features} features, {size:,} bytes as float32 (at "
            f"most {MAX_SEQUENCE_BYTES:,})",
        )
    return problem or features.known_problem(num_features)


def length_problem(num_steps: int, *, max_length: int) -> Problem | None:
    """Checks the number of time steps of a sequence."""
    if not num_steps:
        return Problem("empty", "has no time step")
    if num_steps > max_length:
        return Problem("too_long", f"has {num_steps} steps (data.max_length is {max_length})")
    return None


def to_float32(array: NDArray[np.generic]) -> NDArray[np.float32]:
    """Converts numbers; those beyond the range of float32 become infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(np.float32, copy=False)


def not_finite_problem(steps: NDArray[np.generic]) -> Problem | None:
    """Checks float32 (T, F) for NaN and infinity."""
    finite = np.isfinite(steps).all(axis=1)
    return None if finite.all() else not_finite(int(np.argmin(finite)))


def not_finite(step: int) -> Problem:
    """The problem of a sequence with NaN or infinity in the given step, counted from 0."""
    return Problem("not_finite", f"holds NaN or a number beyond float32 in step {step + 1}")
