"""Pictures and sequences as vectors, and how alike two of them are; nothing is learned.

M items, P pairs, D numbers of a vector, F features, S pixels. Each vector depends on its item
and on what was counted over all of them, and is made once for many pairs::

    vectors_MD = step_means(items.values, rows, moments=moments)
    distance(vectors_MD, left, right)
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from job.preprocessing.decode_image import fit_pixels
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray

# Gives pictures by row number, int64 (R,), as (R, S, S, 3) from 0 to 255.
Pixels = Callable[[NDArray[np.int64]], NDArray[np.generic]]
Vectors = NDArray[np.float32]

# Pictures are compared at this size and sequences at this many steps: enough for what a score
# without learning can use, and small.
PICTURE_SIZE = 16
NUM_STEPS = 32

# Pictures that the mean picture is taken of.
_MOST_AVERAGED = 4096
# Bytes of pictures that are asked for at a time, and numbers that are multiplied at a time.
_BYTES = 1 << 24
_CELLS = 1 << 22
# Largest number of a vector: the squares of millions of them are within float32.
_MOST = 1e15


def pixel_vectors(pixels: Pixels, rows: NDArray[np.int64]) -> Vectors:
    """The pixels of pictures, made small.

    Args:
        pixels: Gives the pictures.
        rows: int64 (M,), which of them.

    Returns:
        float32 (M, 768) from 0 to 255.
    """
    vectors = np.empty((len(rows), 3 * PICTURE_SIZE**2), np.float32)
    if not len(rows):
        return vectors
    at_a_time = max(1, _BYTES // pixels(rows[:1]).nbytes)
    for some in slices(len(rows), at_a_time):
        for vector, picture in zip(vectors[some], pixels(rows[some]), strict=True):
            whole = picture.astype(np.uint8)
            vector[:] = fit_pixels(whole, size=PICTURE_SIZE, resize="stretch").reshape(-1)
    return vectors


def mean_pixels(pixels: Pixels, rows: NDArray[np.int64]) -> Vectors:
    """The mean of the pixel vectors of pictures, float32 (768,).

    Of more than 4096 pictures that many are looked at, evenly spaced.

    Args:
        pixels: Gives the pictures.
        rows: int64 (M,), which of them.
    """
    chosen = rows[:: max(1, -(-len(rows) // _MOST_AVERAGED))]
    mean: Vectors = pixel_vectors(pixels, chosen).mean(axis=0, dtype=np.float64)
    return mean.astype(np.float32)


def resampled_steps(
    sequences: RaggedArray, rows: NDArray[np.int64], *, moments: FeatureStats
) -> Vectors:
    """Sequences brought to 32 steps: each is the mean over 1/32 of the time.

    Args:
        sequences: float32 (V, F) values.
        rows: int64 (M,), which of them.
        moments: Mean and deviation of each feature, which it is measured by.

    Returns:
        float32 (M, 32 * F).
    """
    edges = np.linspace(0.0, 1.0, NUM_STEPS + 1)

    def resampled(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        # The integral up to each edge: whole steps before it, and a part of the one it cuts.
        whole, part = np.divmod(edges * len(steps), 1.0)
        before = whole.astype(np.int64)
        summed = np.zeros((len(steps) + 1, steps.shape[1]))
        np.cumsum(steps, axis=0, out=summed[1:])
        cut = steps[np.minimum(before, len(steps) - 1)]
        integral = summed[before] + part[:, None] * cut
        return np.diff(integral, axis=0) * (NUM_STEPS / len(steps))

    return _of_each(sequences, rows, moments, to_vector=resampled)


def step_means(
    sequences: RaggedArray, rows: NDArray[np.int64], *, moments: FeatureStats
) -> Vectors:
    """The mean of each feature of a sequence, float32 (M, F); arguments as above."""
    return _of_each(sequences, rows, moments, to_vector=lambda steps: steps.mean(axis=0))


def step_deviations(
    sequences: RaggedArray, rows: NDArray[np.int64], *, moments: FeatureStats
) -> Vectors:
    """The standard deviation of each feature of a sequence, float32 (M, F); as above."""
    return _of_each(sequences, rows, moments, to_vector=lambda steps: steps.std(axis=0))


def cosine(
    vectors_MD: Vectors, left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosine of the vectors of each pair.

    Args:
        vectors_MD: float32 (M, D).
        left: int64 (P,), rows of it.
        right: int64 (P,), rows of it.

    Returns:
        float64 (P,) in [-1, 1], up to rounding; 0 where a vector is zero.
    """
    lengths = np.linalg.norm(vectors_MD, axis=1, keepdims=True)
    units_MD = vectors_MD / np.where(lengths > 0.0, lengths, 1.0)
    scores = np.empty(len(left))
    for some in slices(len(left), max(1, _CELLS // vectors_MD.shape[1])):
        products = units_MD[left[some]] * units_MD[right[some]]
        scores[some] = products.sum(axis=1, dtype=np.float64)
    return scores


def nearness(
    vectors_MD: Vectors, left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Minus the Euclidean distance of the vectors of each pair, float64 (P,); as `cosine`."""
    scores = np.empty(len(left))
    for some in slices(len(left), max(1, _CELLS // vectors_MD.shape[1])):
        squares = np.square(vectors_MD[left[some]] - vectors_MD[right[some]])
        scores[some] = -np.sqrt(squares.sum(axis=1, dtype=np.float64))
    return scores


def slices(count: int, at_a_time: int) -> Iterator[slice]:
    """Cuts `count` elements into pieces of `at_a_time`, the last one shorter."""
    for begin in range(0, count, at_a_time):
        yield slice(begin, min(begin + at_a_time, count))


def _of_each(
    sequences: RaggedArray,
    rows: NDArray[np.int64],
    moments: FeatureStats,
    *,
    to_vector: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Vectors:
    """A vector of each sequence, made from its steps in standard deviations from the mean.

    Numbers end at what `cosine` and `nearness` can square and add up.
    """
    mean, std = np.asarray(moments.mean), np.asarray(moments.std)
    vectors = [
        np.clip(to_vector((sequences.row(row) - mean) / std).reshape(-1), -_MOST, _MOST)
        for row in rows.tolist()
    ]
    return np.asarray(vectors, np.float32)
