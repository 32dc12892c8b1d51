"""Rows of different lengths in one array, and padding to a rectangle."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Tokenising a text takes about 25 bytes of memory for each of its bytes.
CHUNK_VALUES = 1 << 20


@dataclass(frozen=True, eq=False)
class RaggedArray:
    """N rows of any lengths, concatenated.

    Args:
        values: (V, ...), every value: a number, a vector or a line of an image.
        offsets: int64 (N + 1,); row i is `values[offsets[i]:offsets[i + 1]]`.
    """

    values: NDArray[np.generic]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        values, offsets = self.values, self.offsets
        if values.ndim < 1 or offsets.ndim != 1 or offsets.dtype != np.int64:
            raise ValueError(
                "values must have a first axis, and offsets must be 1-D int64, got shapes "
                f"{values.shape} and {offsets.shape}, offsets {offsets.dtype}"
            )
        if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(values):
            raise ValueError("offsets must begin with 0 and end with the number of values")
        # Memory-mapped offsets were checked when they were packed; this would read all of them.
        if not isinstance(offsets, np.memmap) and (np.diff(offsets) < 0).any():
            raise ValueError("offsets must not decrease")

    @classmethod
    def from_bytes(cls, rows: Sequence[bytes]) -> "RaggedArray":
        """Byte strings as rows of uint8."""
        values = np.frombuffer(b"".join(rows), np.uint8)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(values, offsets_of(lengths))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 (N,), number of values per row."""
        return np.diff(self.offsets)

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 (R,), number of values of some rows; reads only these."""
        lengths: NDArray[np.int64] = self.offsets[rows + 1] - self.offsets[rows]
        return lengths

    def chunks(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cuts row numbers, int64 (R,), into runs of about CHUNK_VALUES; one at least."""
        chunk = np.cumsum(self.lengths_of(rows)) // CHUNK_VALUES
        return np.split(rows, np.flatnonzero(np.diff(chunk)) + 1)

    def take(self, rows: NDArray[np.int64]) -> "RaggedArray":
        """Copies of some rows, int64 (R,); repeats are allowed."""
        starts = self.offsets[rows]
        offsets = offsets_of(self.lengths_of(rows))
        # Index of each value: its index in the copy, plus the distance that its row moved.
        positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], np.diff(offsets))
        return RaggedArray(self.values[positions], offsets)

    def row(self, index: int) -> NDArray[np.generic]:
        """Row `index`, 0 <= index < N, as a view."""
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def text(self, index: int) -> str:
        """Row `index`, 0 <= index < N, of UTF-8 bytes as a string."""
        return self.row(index).tobytes().decode()

    def padded(self, rows: NDArray[np.int64], *, fill: float = 0) -> NDArray[np.generic]:
        """Some rows as a rectangle, shorter ones filled at the end.

        Args:
            rows: int64 (R,); repeats are allowed.
            fill: Value behind the end of a row.

        Returns:
            (R, T, ...), of the dtype of `values`; T is the length of the longest row, at
            least 1.
        """
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        columns = np.arange(lengths.max(initial=1))
        if not len(self.values):
            shape = (len(rows), len(columns), *self.values.shape[1:])
            return np.full(shape, fill, self.values.dtype)
        # Gathering beyond the end of rows and overwriting that is faster than a masked scatter.
        padded = self.values.take(starts[:, None] + columns, axis=0, mode="clip")
        padded[columns >= lengths[:, None]] = fill
        return padded


def offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets, int64 (N + 1,), from the lengths of N rows."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


class RaggedBuilder:
    """Collects rows of one dtype; the first row decides the shape of a value."""

    def __init__(self, dtype: "np.dtype[np.generic]") -> None:
        self._values: NDArray[np.generic] = np.empty(0, dtype)
        self._used = 0
        self._shape: tuple[int, ...] | None = None  # shape of a value
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

    def finished(self) -> RaggedArray:
        """The rows. Nothing may be added afterwards."""
        self._values.resize((self._used, *self._values.shape[1:]), refcheck=False)
        lengths = np.frombuffer(self._lengths, np.int64)
        return RaggedArray(self._values, offsets_of(lengths))

    def _make_room(self, size: int, shape: tuple[int, ...]) -> None:
        if self._shape is None:
            self._shape = shape
            self._values = np.empty((0, *shape), self._values.dtype)
        if self._shape != shape:
            raise ValueError(
                f"rows must have values of one shape, got {self._shape} and {shape}"
            )
        if size > len(self._values):
            # realloc: moves pages instead of copying. No other array shares this memory.
            size = max(size, len(self._values) + len(self._values) // 8)
            self._values.resize((size, *shape), refcheck=False)
