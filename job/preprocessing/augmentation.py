"""Varies items while training. R items, S pixels, V time steps of all items, F features.

What is done to an item depends on (seed, epoch, index) alone: the same item gives the same bits
in whichever batch it comes, wherever it stands there, in a resumed run too::

    varied_RSS3 = augment_pictures(pictures_RSS3, section, seed=0, epoch=3, index=rows_R)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from job.config.augmentation import ImageAugmentationConfig, SequenceAugmentationConfig
from job.preprocessing.counter_rng import PICTURES, SEQUENCES, below, normal, uniform
from job.preprocessing.ragged import RaggedArray, offsets_of

# What is drawn for a picture, and for a sequence.
_FLIP, _SHARE, _LEFT, _TOP, _BRIGHTNESS, _CONTRAST, _SATURATION = range(PICTURES, PICTURES + 7)
_CUT, _FRONT, _JITTER = range(SEQUENCES, SEQUENCES + 3)

# Of red, green and blue in what the eye takes for brightness. Source: ITU-R 601-2.
_LUMA = (0.299, 0.587, 0.114)

# Numbers that noise is drawn for at a time: a few MiB of working memory.
_NOISE_AT_A_TIME = 1 << 18


def augment_pictures(
    pictures_RSS3: NDArray[np.uint8],
    section: ImageAugmentationConfig,
    *,
    seed: int,
    epoch: int,
    index: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Mirrors, crops and recolours pictures, in this order.

    Args:
        pictures_RSS3: uint8 (R, S, S, 3): red, green, blue.
        section: `data.augmentation`; what it does not ask for is not done.
        seed: `run.seed`.
        epoch: Number of the epoch from 0.
        index: int64 (R,), >= 0: what each picture's numbers are drawn for.

    Returns:
        float32 (R, S, S, 3) from 0 to 255.

    Raises:
        ValueError: `pictures_RSS3` are of another type or shape.
    """
    shape = pictures_RSS3.shape
    if pictures_RSS3.dtype != np.uint8 or shape[1:] != (*shape[1:2] * 2, 3):
        raise ValueError(
            f"pictures must be uint8 (R, S, S, 3), got {pictures_RSS3.dtype} {shape}"
        )

    def drawn(draw: int) -> NDArray[np.float64]:
        return uniform(seed, epoch=epoch, index=index, draw=draw)

    if section.flip:
        flipped = drawn(_FLIP) < 0.5
        pictures_RSS3 = pictures_RSS3.copy()
        pictures_RSS3[flipped] = pictures_RSS3[flipped, :, ::-1]
    if section.crop:
        share, left, top = drawn(_SHARE) * section.crop, drawn(_LEFT), drawn(_TOP)
        pictures_RSS3 = _cropped(pictures_RSS3, share, left=left, top=top)
    if not section.colour:
        return pictures_RSS3.astype(np.float32)
    factors = [
        1.0 + section.colour * (2.0 * drawn(draw) - 1.0)
        for draw in (_BRIGHTNESS, _CONTRAST, _SATURATION)
    ]
    return _coloured(pictures_RSS3, *factors)


def augment_sequences(
    sequences: RaggedArray,
    section: SequenceAugmentationConfig,
    *,
    std: Sequence[float],
    seed: int,
    epoch: int,
    index: NDArray[np.int64],
) -> RaggedArray:
    """Cuts steps off sequences and adds noise to what is left.

    Args:
        sequences: R rows of float32 (V, F).
        section: `data.augmentation`; what it does not ask for is not done.
        std: Standard deviation of each feature over the training items.
        seed: `run.seed`.
        epoch: Number of the epoch from 0.
        index: int64 (R,), >= 0: what each sequence's numbers are drawn for.

    Returns:
        R rows of float32 (V, F); of each row at least one step stays.
    """
    if section.crop:
        lengths = sequences.lengths
        most = np.floor(section.crop * lengths).astype(np.int64)
        cut = below(most + 1, seed=seed, epoch=epoch, index=index, draw=_CUT)
        front = below(cut + 1, seed=seed, epoch=epoch, index=index, draw=_FRONT)
        sequences = _shortened(sequences, lengths - cut, front=front)
    if section.jitter:
        deviation = section.jitter * np.asarray(std)
        sequences = _jittered(sequences, deviation, seed=seed, epoch=epoch, index=index)
    return sequences


def _cropped(
    pictures_RSS3: NDArray[np.uint8],
    share: NDArray[np.float64],
    *,
    left: NDArray[np.float64],
    top: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Cuts a share of width and height off, and enlarges what is left.

    Args:
        pictures_RSS3: uint8 (R, S, S, 3).
        share: float64 (R,) in [0, 1).
        left: float64 (R,) in [0, 1): how much of what is cut off is at the left.
        top: Likewise.
    """
    size = pictures_RSS3.shape[1]
    kept = size * (1.0 - share)
    columns, rows = left * (size - kept), top * (size - kept)
    boxes = np.stack([columns, rows, columns + kept, rows + kept], axis=1)
    cropped = np.empty_like(pictures_RSS3)
    for picture, box, result in zip(pictures_RSS3, boxes.tolist(), cropped, strict=True):
        image = Image.fromarray(picture)
        result[...] = image.resize((size, size), Image.Resampling.BILINEAR, box=tuple(box))
    return cropped


def _coloured(
    pictures_RSS3: NDArray[np.uint8],
    brightness: NDArray[np.float64],
    contrast: NDArray[np.float64],
    saturation: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Changes brightness, contrast and saturation by a factor for each picture, float64 (R,).

    Brightness is distance from black, contrast that from the mean grey of the picture and
    saturation that of a pixel from its grey. With b, c, s for the factors, p for a pixel, g for
    its grey and m for the mean of all g, it is `b * (c * (s * p + (1 - s) * g) + (1 - c) * m)`.
    """
    # Sums of whole numbers do not depend on their order, unlike those of fractions.
    total_R3 = pictures_RSS3.sum(axis=1, dtype=np.int64).sum(axis=1)
    mean_R3 = total_R3 / (pictures_RSS3.shape[1] * pictures_RSS3.shape[2])
    mean = sum(mean_R3[:, channel] * weight for channel, weight in enumerate(_LUMA))

    def of_each(number_R: NDArray[np.float64]) -> NDArray[np.float32]:
        return number_R.astype(np.float32)[:, None, None, None]

    pixels = pictures_RSS3.astype(np.float32)
    red, green, blue = (
        pixels[..., channel, None] * np.float32(weight) for channel, weight in enumerate(_LUMA)
    )
    grey = red + green + blue
    pixels *= of_each(brightness * contrast * saturation)
    pixels += grey * of_each(brightness * contrast * (1.0 - saturation))
    pixels += of_each(brightness * (1.0 - contrast) * mean)
    return np.clip(pixels, 0.0, 255.0, out=pixels)


def _shortened(
    sequences: RaggedArray, lengths: NDArray[np.int64], *, front: NDArray[np.int64]
) -> RaggedArray:
    """Rows of the given lengths, from the step `front` of each on."""
    offsets = offsets_of(lengths)
    starts = sequences.offsets[:-1] + front
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return RaggedArray(sequences.values[places], offsets)


def _jittered(
    sequences: RaggedArray,
    deviation: NDArray[np.float64],
    *,
    seed: int,
    epoch: int,
    index: NDArray[np.int64],
) -> RaggedArray:
    """Adds noise of the given deviation, float64 (F,), to every step."""
    lengths, features = sequences.lengths, len(deviation)
    owner = np.repeat(index, lengths)
    step = np.arange(len(owner)) - np.repeat(sequences.offsets[:-1], lengths)
    jittered = sequences.values.astype(np.float32)
    at_a_time = max(1, _NOISE_AT_A_TIME // features)
    for begin in range(0, len(owner), at_a_time):
        some = slice(begin, begin + at_a_time)
        noise = normal(
            seed,
            epoch=epoch,
            index=owner[some, None],
            draw=_JITTER,
            place=step[some, None] * features + np.arange(features),
        )
        jittered[some] += (noise * deviation).astype(np.float32)
    return RaggedArray(jittered, sequences.offsets)
