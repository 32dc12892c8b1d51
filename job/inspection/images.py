"""Pictures: how bright they are, and numbers that describe one. S x S pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.pipeline.collators import ImageCollator
from job.inspection.chunking import Distribution, parts, some

# What a few seconds are enough for: a file has to be decoded, pixels are only read.
_MAX_FILES = 4_000
_MAX_VALUES = 1 << 29
_TILES = 8  # along a side; no picture is smaller
_FINEST = 64  # pixels along a side that are enough


@dataclass(frozen=True)
class PictureInspection:
    """The pictures of a split.

    Attributes:
        num_looked_at: Pictures that the rest is about.
        num_plain: Pictures of a single colour.
        brightness: Mean of the values of a picture, 0 black to 255 white.
    """

    num_looked_at: int
    num_plain: int
    brightness: Distribution


def inspect_pictures(feed: ImageCollator, rows: NDArray[np.int64]) -> PictureInspection:
    """Looks at some pictures of a split.

    Args:
        feed: Gives the pixels.
        rows: int64 (R,), the items of the split.
    """
    chosen = rows[some(len(rows), max_pictures(feed) // 4)]
    num_plain, brightness = 0, []
    for part in picture_parts(feed, chosen):
        pixels = feed.pixels(part)
        num_plain += int((pixels == pixels[:, :1, :1]).all(axis=(1, 2, 3)).sum())
        brightness.append(pixels.reshape(len(part), -1).mean(axis=1))
    return PictureInspection(
        len(chosen), num_plain, Distribution.of(np.concatenate(brightness))
    )


def describe_pictures(feed: ImageCollator, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Some numbers for each picture: a thumbnail, and mean and deviation of each colour.

    Args:
        feed: Gives the pixels; of large pictures, only every second, third, ... is read.
        rows: int64 (R,), which pictures.

    Returns:
        float64 (R, 198).
    """
    step = max(feed.section.size // _FINEST, 1)
    pixels = feed.pixels(rows)[:, ::step, ::step].astype(np.float64)
    size = pixels.shape[1]
    edges = np.arange(_TILES) * size // _TILES
    lines = np.diff(np.append(edges, size))
    sums = np.add.reduceat(np.add.reduceat(pixels, edges, axis=1), edges, axis=2)
    mean = sums.sum(axis=(1, 2)) / size**2
    square = np.einsum("rijc,rijc->rc", pixels, pixels) / size**2
    thumbnails = sums / (lines[:, None, None] * lines[:, None])
    deviation = np.sqrt(np.maximum(square - np.square(mean), 0.0))
    return np.concatenate([thumbnails.reshape(len(rows), -1), mean, deviation], axis=1)


def max_pictures(feed: ImageCollator) -> int:
    """How many pictures can be looked at in a few seconds."""
    is_encoded = feed.images.values.ndim == 1
    return _MAX_FILES if is_encoded else _MAX_VALUES // _values_of(feed)


def picture_parts(feed: ImageCollator, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cuts row numbers, int64 (R,), so that the pixels of each part fit the memory."""
    return parts(rows, sizes=np.full(len(rows), _values_of(feed)))


def _values_of(feed: ImageCollator) -> int:
    return feed.section.size**2 * 3
