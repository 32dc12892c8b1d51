"""Items that lie in the arrays of an `.npz`: sequences as values and lengths, or pixels.

A first pass finds the rows that cannot be used; `copy` is a second one, in which only what is
kept takes memory. N rows, V time steps, F features, S = `data.size`::

    with open_npz(path, where="data.train: 'watch.npz'") as arrays:
        stored = stored_items(arrays, section, features=Features(None))
        stored.copy(np.arange(stored.num_rows), RaggedBuilder(stored.dtype))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from job.config.data import ImageDataConfig, SequenceDataConfig
from job.data.sources.npz import Npz
from job.data.sources.sequence_file import Features, length_problem, not_finite
from job.preprocessing.decode_image import fit_pixels
from job.preprocessing.ragged import RaggedBuilder, offsets_of
from job.types import Problem

VALUES, LENGTHS, IMAGES = "values", "lengths", "images"


class ArrayItems(Protocol):
    """N items in the arrays of a file that is open."""

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        """Of the values that `copy` appends."""
        ...

    @property
    def num_rows(self) -> int:
        """N."""
        ...

    @property
    def problems(self) -> Mapping[int, Problem]:
        """What is wrong with rows, by their number from 0."""
        ...

    def copy(self, rows: NDArray[np.int64], to: RaggedBuilder) -> None:
        """Appends rows, int64 (R,), each once, in that order."""
        ...


def array_items(
    arrays: Npz, section: SequenceDataConfig | ImageDataConfig, *, features: Features
) -> ArrayItems:
    """The items of a file.

    Args:
        arrays: The file.
        section: Says what an item is.
        features: How many features sequences have.

    Raises:
        DataError: Arrays are missing, or do not fit each other or the section.
    """
    if isinstance(section, ImageDataConfig):
        return _pictures(arrays, section)
    return _sequences(arrays, max_length=section.max_length, features=features)


@dataclass(frozen=True, eq=False)
class _Sequences:
    """Args as `_sequences` finds them.

    Args:
        arrays: The file.
        offsets: int64 (N + 1,), where each sequence begins and the last one ends.
        num_features: F.
        problems: What is wrong with rows.
    """

    arrays: Npz
    offsets: NDArray[np.int64]
    num_features: int
    problems: Mapping[int, Problem]

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        return np.dtype(np.float32)

    @property
    def num_rows(self) -> int:
        return len(self.offsets) - 1

    def copy(self, rows: NDArray[np.int64], to: RaggedBuilder) -> None:
        lengths = np.diff(self.offsets)[rows]
        space = to.space_for(lengths, shape=(self.num_features,))
        # Where the first step of each row goes; those that are not wanted go nowhere.
        start = np.full(self.num_rows, -1)
        start[rows] = offsets_of(lengths)[:-1]
        at = 0
        for block in self.arrays.blocks(VALUES):
            step = np.arange(at, at + len(block))
            row = _row_of(step, self.offsets)
            wanted = start[row] >= 0
            place = start[row] + step - self.offsets[row]
            space[place[wanted]] = block[wanted]
            at += len(block)


def _sequences(arrays: Npz, *, max_length: int, features: Features) -> _Sequences:
    header = arrays.header(VALUES)
    if header.dtype.kind not in "iuf" or len(header.shape) != 2:
        raise arrays.error(
            VALUES,
            f"must be numbers of the shape (time steps of all sequences, features), got "
            f"{header.dtype} {header.shape}",
            "Join the sequences along time and give the length of each in `lengths`.",
        )
    wrong = features.problem(header.shape[1], of=arrays.where)
    if wrong:
        raise arrays.error(VALUES, wrong.detail, "Give data whose sequences are alike.")
    lengths = _lengths(arrays, num_steps=header.shape[0])
    problems = {
        row: problem
        for row, length in enumerate(lengths.tolist())
        if (problem := length_problem(length, max_length=max_length))
    }
    offsets = offsets_of(lengths)
    if header.dtype.kind == "f":
        for row, step in _not_finite_steps(arrays, offsets).items():
            problems.setdefault(row, not_finite(step))
    return _Sequences(arrays, offsets, header.shape[1], problems)


def _lengths(arrays: Npz, *, num_steps: int) -> NDArray[np.int64]:
    header = arrays.header(LENGTHS)
    if header.dtype.kind not in "iu" or len(header.shape) != 1:
        raise arrays.error(
            LENGTHS,
            f"must hold one whole number a sequence, got {header.dtype} {header.shape}",
            "Save it with np.array([len(sequence) for sequence in SEQUENCES]).",
        )
    # Unsigned numbers beyond int64 become negative ones, which no length is either.
    lengths = arrays.array(LENGTHS, dtype=np.dtype(np.int64)).astype(np.int64, copy=False)
    if len(lengths) and lengths.min() < 0:
        row = int(np.argmin(lengths)) + 1
        raise arrays.error(
            LENGTHS, f"holds {lengths.min()} in row {row}", "A length is 0 or more: mend it."
        )
    # Each alone first: a sum of huge ones could come out right by overflow.
    total = int(lengths.sum()) if lengths.max(initial=0) <= num_steps else None
    if total != num_steps:
        what = "more than there are" if total is None else f"{total:,} steps in all"
        raise arrays.error(
            LENGTHS,
            f"does not add up: {what}, where {VALUES!r} holds {num_steps:,}",
            "The two must describe the same sequences: save them again.",
        )
    return lengths


def _not_finite_steps(arrays: Npz, offsets: NDArray[np.int64]) -> dict[int, int]:
    """The first time step, from 0, that is not finite as float32, of each row with one."""
    first: dict[int, int] = {}
    at = 0
    for block in arrays.blocks(VALUES):
        with np.errstate(over="ignore"):
            finite = np.isfinite(block.astype(np.float32, copy=False)).all(axis=1)
        step = at + np.flatnonzero(~finite)
        row = _row_of(step, offsets)
        for number, index in zip(row.tolist(), (step - offsets[row]).tolist(), strict=True):
            first.setdefault(number, index)
        at += len(block)
    return first


def _row_of(step: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The row that each time step lies in; rows without any are passed over."""
    row: NDArray[np.int64] = np.searchsorted(offsets, step, side="right") - 1
    return row


@dataclass(frozen=True, eq=False)
class _Pictures:
    """Pixels: every picture of one file has one size.

    Args:
        arrays: The file.
        num_rows: N.
        section: Says what becomes of them.
    """

    arrays: Npz
    num_rows: int
    section: ImageDataConfig

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        return np.dtype(np.uint8)

    @property
    def problems(self) -> Mapping[int, Problem]:
        return {}

    def copy(self, rows: NDArray[np.int64], to: RaggedBuilder) -> None:
        size = self.section.size
        space = to.space_for(np.full(len(rows), size), shape=(size, 3))
        place = np.full(self.num_rows, -1)
        place[rows] = np.arange(len(rows))
        at = 0
        for block in self.arrays.blocks(IMAGES):
            for index in np.flatnonzero(place[at : at + len(block)] >= 0).tolist():
                top = int(place[at + index]) * size
                pixels = fit_pixels(block[index], size=size, resize=self.section.resize)
                space[top : top + size] = pixels
            at += len(block)


def _pictures(arrays: Npz, section: ImageDataConfig) -> _Pictures:
    header = arrays.header(IMAGES)
    shape = header.shape
    is_shape = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if header.dtype != np.uint8 or not is_shape or not all(shape[1:]):
        raise arrays.error(
            IMAGES,
            "must hold bytes (uint8) of the shape (pictures, height, width, 3), or without "
            f"the 3 for grey, got {header.dtype} {shape}",
            "Save the pixels so, 0 to 255.",
        )
    if shape[1] * shape[2] > section.max_pixels:
        raise arrays.error(
            IMAGES,
            f"holds pictures of {shape[2]} x {shape[1]} pixels (data.max_pixels is "
            f"{section.max_pixels})",
            "Raise data.max_pixels, or save smaller pictures.",
        )
    return _Pictures(arrays, shape[0], section)
