"""Rows of any lengths, appended one after the other to one array.

A million small arrays would cost more than what they hold, and joining them would hold all of
it twice. This costs what the rows hold and an eighth::

    rows = GrowingRows(np.dtype(np.float32))
    rows.append(np.zeros((3, 6), np.float32))
    ragged = rows.finished()
"""

from array import array

import numpy as np
from numpy.typing import NDArray

from job.data.ragged import RaggedArray, offsets_of


class GrowingRows:
    """Rows of one type, and one shape behind the first axis: that of the first one.

    Args:
        dtype: Of the values.
    """

    def __init__(self, dtype: "np.dtype[np.generic]") -> None:
        self._values: NDArray[np.generic] = np.empty(0, dtype)
        self._used = 0
        self._shape: tuple[int, ...] | None = None  # of a value
        self._lengths = array("q")

    def __len__(self) -> int:
        return len(self._lengths)

    def append(self, row: NDArray[np.generic]) -> None:
        """Adds one row, (L, ...)."""
        self._lengths.append(len(row))
        end = self._used + len(row)
        if end > len(self._values) or self._shape != row.shape[1:]:
            self._make_room(end, row.shape[1:])
        self._values[self._used : end] = row
        self._used = end

    def space_for(
        self, lengths: NDArray[np.int64], *, shape: tuple[int, ...]
    ) -> NDArray[np.generic]:
        """Adds rows that the caller fills.

        Args:
            lengths: int64 (R,), of each row.
            shape: Of one value.

        Returns:
            (sum of lengths, *shape), a view to write the rows to, good until the next one is
            added.
        """
        self._lengths.extend(lengths.tolist())
        start, self._used = self._used, self._used + int(lengths.sum())
        self._make_room(self._used, shape)
        return self._values[start : self._used]

    def finished(self) -> RaggedArray:
        """The rows; nothing may be added afterwards."""
        self._values.resize((self._used, *self._values.shape[1:]), refcheck=False)
        lengths = np.frombuffer(self._lengths, np.int64)
        return RaggedArray(self._values, offsets_of(lengths))

    def _make_room(self, size: int, shape: tuple[int, ...]) -> None:
        if self._shape is None:
            self._shape = shape
            self._values = np.empty((0, *shape), self._values.dtype)
        if self._shape != shape:
            raise ValueError(f"values of the shapes {self._shape} and {shape} in one array")
        if size > len(self._values):
            # realloc, which moves pages and copies nothing: no other array looks at this one.
            size = max(size, len(self._values) + len(self._values) // 8)
            self._values.resize((size, *shape), refcheck=False)
