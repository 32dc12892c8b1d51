"""Items stored in the arrays of an `.npz`: sequences as values and lengths, or pixels.

N rows, V time steps, F features, S = `data.size`::

    with open_npz(path, where="data.train: 'watch.npz'") as arrays:
        stored = array_items(arrays, section, features=Features(None))
    stored.item(0)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from job.config.data import ImageDataConfig, SequenceDataConfig
from job.data.sources.npz import Npz
from job.data.sources.sequence_file import Features, length_problem, not_finite, to_float32
from job.preprocessing.decode_image import fit_pixels
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.types import Problem

VALUES, LENGTHS, IMAGES = "values", "lengths", "images"


@dataclass(frozen=True, eq=False)
class ArrayItems:
    """N items in memory.

    Args:
        num_rows: N.
        dtype: Type of the values of an item.
        item: Returns the values (L, ...) of the row of that number, from 0.
        problems: Why rows cannot be used, by their number.
    """

    num_rows: int
    dtype: "np.dtype[np.generic]"
    item: Callable[[int], NDArray[np.generic]]
    problems: Mapping[int, Problem] = field(default_factory=dict)


def array_items(
    arrays: Npz, section: SequenceDataConfig | ImageDataConfig, *, features: Features
) -> ArrayItems:
    """Reads the items of a file.

    Args:
        arrays: The file; it may be closed afterwards.
        section: Kind and limits of the items.
        features: The number of features of sequences.

    Raises:
        DataError: Arrays are missing, or do not fit each other or the section.
    """
    if isinstance(section, ImageDataConfig):
        return _images(arrays, section)
    return _sequences(arrays, max_length=section.max_length, features=features)


def _sequences(arrays: Npz, *, max_length: int, features: Features) -> ArrayItems:
    header = arrays.header(VALUES)
    if header.dtype.kind not in "iuf" or len(header.shape) != 2:
        raise arrays.error(
            VALUES,
            "must be numbers of the shape (time steps of all sequences, features), got "
            f"{header.dtype} {header.shape}",
            "Join the sequences along time and give the length of each in `lengths`.",
        )
    problem = features.problem(header.shape[1], of=arrays.where)
    if problem:
        raise arrays.error(VALUES, problem.detail, "All sequences need as many features.")
    lengths = _lengths(arrays, num_steps=header.shape[0])
    sequences = RaggedArray(to_float32(arrays.array(VALUES)), offsets_of(lengths))
    problems = {
        row: problem
        for row, length in enumerate(lengths.tolist())
        if (problem := length_problem(length, max_length=max_length))
    }
    for row, step in _not_finite_steps(sequences).items():
        problems.setdefault(row, not_finite(step))
    return ArrayItems(len(sequences), np.dtype(np.float32), sequences.row, problems)


def _lengths(arrays: Npz, *, num_steps: int) -> NDArray[np.int64]:
    header = arrays.header(LENGTHS)
    if header.dtype.kind not in "iu" or len(header.shape) != 1:
        raise arrays.error(
            LENGTHS,
            f"must hold one integer a sequence, got {header.dtype} {header.shape}",
            "Save it with np.array([len(sequence) for sequence in SEQUENCES]).",
        )
    # Unsigned numbers beyond int64 become negative, and so are rejected too.
    lengths = arrays.array(LENGTHS).astype(np.int64)
    if len(lengths) and lengths.min() < 0:
        row = int(np.argmin(lengths)) + 1
        raise arrays.error(
            LENGTHS, f"holds {lengths.min()} in row {row}", "A length is 0 or more: correct it."
        )
    # Each length first: the sum of huge ones could overflow to the right total.
    total = int(lengths.sum()) if lengths.max(initial=0) <= num_steps else None
    if total != num_steps:
        what = "more than there are" if total is None else f"{total:,} steps in all"
        raise arrays.error(
            LENGTHS,
            f"does not add up: {what}, where {VALUES!r} holds {num_steps:,}",
            "The two must describe the same sequences: save them again.",
        )
    return lengths


def _not_finite_steps(sequences: RaggedArray) -> dict[int, int]:
    """The first step with NaN or infinity, from 0, of each row that has one."""
    step = np.flatnonzero(~np.isfinite(sequences.values).all(axis=1))
    row = np.searchsorted(sequences.offsets, step, side="right") - 1
    rows, first = np.unique(row, return_index=True)
    within = step[first] - sequences.offsets[rows]
    return dict(zip(rows.tolist(), within.tolist(), strict=True))


def _images(arrays: Npz, section: ImageDataConfig) -> ArrayItems:
    header = arrays.header(IMAGES)
    shape = header.shape
    is_shape = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if header.dtype != np.uint8 or not is_shape or not all(shape[1:]):
        raise arrays.error(
            IMAGES,
            "must hold uint8 of the shape (images, height, width, 3), or (images, height, "
            f"width) for grayscale, got {header.dtype} {shape}",
            "Save the pixels in that form, 0 to 255.",
        )
    if shape[1] * shape[2] > section.max_pixels:
        raise arrays.error(
            IMAGES,
            f"holds images of {shape[2]} x {shape[1]} pixels (data.max_pixels is "
            f"{section.max_pixels})",
            "Raise data.max_pixels, or save smaller images.",
        )
    images = arrays.array(IMAGES).astype(np.uint8, copy=False)

    def item(row: int) -> NDArray[np.generic]:
        return fit_pixels(images[row], size=section.size, resize=section.resize)

    return ArrayItems(shape[0], np.dtype(np.uint8), item)
