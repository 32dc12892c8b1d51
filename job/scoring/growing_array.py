"""An array that grows at its end, in memory up to a budget and in a temporary file beyond it.

N rows of the shape (D,) or ().

The file has no name, so nothing is left of it when the process ends, however it ends::

    embeddings = GrowingArray(np.float32, width=64)
    embeddings.append(block_BD)
    embeddings.rows(np.array([3, 1]))
"""

import os
import tempfile
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from job.errors import DiskFullError

# Memory beyond which the rows move to a file.
BUDGET_BYTES = 256 << 20
_FIRST_ROWS = 1024


class GrowingArray:
    """The array.

    Args:
        dtype: Type of a number.
        width: D; None for rows that are one number.
        budget_bytes: See `BUDGET_BYTES`.
        folder: Where the file is made; None: the temporary folder of the system.
    """

    def __init__(
        self,
        dtype: DTypeLike,
        *,
        width: int | None = None,
        budget_bytes: int = BUDGET_BYTES,
        folder: str | None = None,
    ) -> None:
        self._shape = () if width is None else (width,)
        self._budget = budget_bytes
        self._folder = folder
        self._array: NDArray[Any] = np.empty((0, *self._shape), dtype)
        self._file: IO[bytes] | None = None
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def close(self) -> None:
        """Frees the memory and the file."""
        self._array = self._array[:0].copy()
        if self._file is not None:
            self._file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Adds rows, (B, D) or (B,).

        Raises:
            DiskFullError: There is no space for the temporary file.
        """
        end = self._used + len(rows)
        if end > len(self._array):
            self._make_room(end)
        self._array[self._used : end] = rows
        self._used = end

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Copies of the rows of the given numbers, int64 (R,)."""
        return self._array[: self._used][numbers]

    def all(self) -> NDArray[Any]:
        """Every row, as a view."""
        return self._array[: self._used]

    def _make_room(self, num_rows: int) -> None:
        num_rows = max(num_rows, len(self._array) + len(self._array) // 2, _FIRST_ROWS)
        row_bytes = self._array.dtype.itemsize * int(np.prod(self._shape, dtype=np.int64))
        num_bytes = num_rows * row_bytes
        if num_bytes <= self._budget:
            grown = np.empty((num_rows, *self._shape), self._array.dtype)
            grown[: self._used] = self._array[: self._used]
            self._array = grown
            return
        old, is_first = self._array, self._file is None
        file = self._file or tempfile.TemporaryFile(prefix="siamese-", dir=self._folder)
        self._file = file
        try:
            # Space is taken now: a page of a hole that finds none would kill the process.
            os.posix_fallocate(file.fileno(), 0, num_bytes)
        except OSError as error:
            raise DiskFullError(
                f"a temporary file in '{self._folder or tempfile.gettempdir()}' needs "
                f"{num_bytes:,} bytes ({error.strerror}). Free some space, or set TMPDIR to a "
                "folder with more."
            ) from error
        shape = (num_rows, *self._shape)
        self._array = np.memmap(file, self._array.dtype, mode="r+", shape=shape)
        if is_first:
            self._array[: self._used] = old[: self._used]
