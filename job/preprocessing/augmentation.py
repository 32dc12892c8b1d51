"""Augments items during training. R items, S pixels, V time steps of all items, F features.

The result for an item depends on (seed, epoch, index) alone: it has the same bits in any batch,
at any position in it, and in a resumed run::

    augmented_RSS3 = augment_images(images_RSS3, section, seed=0, epoch=3, index=rows_R)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from job.config.augmentation import ImageAugmentationConfig, SequenceAugmentationConfig
from job.preprocessing.counter_rng import IMAGES, SEQUENCES, integers, normal, uniform
from job.preprocessing.ragged import RaggedArray, offsets_of

# One stream of random numbers for each decision.
_FLIP, _SHARE, _LEFT, _TOP, _BRIGHTNESS, _CONTRAST, _SATURATION = range(IMAGES, IMAGES + 7)
_CUT, _FRONT, _JITTER = range(SEQUENCES, SEQUENCES + 3)

# In the order in which they are applied.
_COLOURS = (
    (_BRIGHTNESS, ImageEnhance.Brightness),
    (_CONTRAST, ImageEnhance.Contrast),
    (_SATURATION, ImageEnhance.Color),
)

# Numbers of noise that are drawn at a time: a few MiB of working memory.
_NOISE_AT_A_TIME = 1 << 18


def augment_images(
    images_RSS3: NDArray[np.uint8],
    section: ImageAugmentationConfig,
    *,
    seed: int,
    epoch: int,
    index: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Flips, crops and recolours images, in this order.

    A crop is enlarged to the full size. Brightness, contrast and saturation are each multiplied
    by a random factor as `PIL.ImageEnhance` defines them, with 8 bits in between.

    Args:
        images_RSS3: uint8 (R, S, S, 3), RGB.
        section: Which of these to apply, and how much.
        seed: The run's seed.
        epoch: The epoch, from 0.
        index: int64 (R,), >= 0: the item that each image is drawn for.

    Returns:
        uint8 (R, S, S, 3).

    Raises:
        ValueError: `images_RSS3` has another dtype or shape.
    """
    shape = images_RSS3.shape
    if images_RSS3.dtype != np.uint8 or shape[1:] != (*shape[1:2] * 2, 3):
        raise ValueError(f"images must be uint8 (R, S, S, 3), got {images_RSS3.dtype} {shape}")

    def drawn(stream: int) -> NDArray[np.float64]:
        return uniform(seed, epoch=epoch, index=index, stream=stream)

    flip_R = drawn(_FLIP) < (0.5 if section.flip else 0.0)
    box_R4 = _crop_boxes(
        section.crop * drawn(_SHARE), left=drawn(_LEFT), top=drawn(_TOP), size=shape[1]
    )
    factors_R3 = 1.0 + section.colour * np.stack(
        [2.0 * drawn(stream) - 1.0 for stream, _ in _COLOURS], axis=1
    )
    augmented_RSS3 = np.empty(shape, np.uint8)
    for row, pixels in enumerate(images_RSS3):
        image = Image.fromarray(pixels)
        if flip_R[row]:
            image = ImageOps.mirror(image)
        if section.crop:
            box = tuple(box_R4[row].tolist())
            image = image.resize(image.size, Image.Resampling.BILINEAR, box=box)
        if section.colour:
            for (_, enhancer), factor in zip(_COLOURS, factors_R3[row].tolist(), strict=True):
                image = enhancer(image).enhance(factor)
        augmented_RSS3[row] = np.asarray(image)
    return augmented_RSS3


def augment_sequences(
    sequences: RaggedArray,
    section: SequenceAugmentationConfig,
    *,
    std: Sequence[float],
    seed: int,
    epoch: int,
    index: NDArray[np.int64],
) -> RaggedArray:
    """Crops sequences and adds noise to the rest, in this order.

    Args:
        sequences: R rows of float32 (V, F).
        section: Which of these to apply, and how much.
        std: Standard deviation of each feature over the training items.
        seed: The run's seed.
        epoch: The epoch, from 0.
        index: int64 (R,), >= 0: the item that each sequence is drawn for.

    Returns:
        R rows of float32 (V, F), each with at least one step.
    """
    if section.crop:
        lengths = sequences.lengths
        most = np.floor(section.crop * lengths).astype(np.int64)
        cut = integers(most + 1, seed=seed, epoch=epoch, index=index, stream=_CUT)
        front = integers(cut + 1, seed=seed, epoch=epoch, index=index, stream=_FRONT)
        sequences = _cropped(sequences, lengths - cut, front=front)
    if section.jitter:
        deviation = section.jitter * np.asarray(std)
        sequences = _jittered(sequences, deviation, seed=seed, epoch=epoch, index=index)
    return sequences


def _crop_boxes(
    share_R: NDArray[np.float64],
    *,
    left: NDArray[np.float64],
    top: NDArray[np.float64],
    size: int,
) -> NDArray[np.float64]:
    """Left, upper, right and lower edge of each crop, (R, 4).

    Args:
        share_R: Share of width and height that is cut off, in [0, 1).
        left: Share of the columns cut off that are on the left, in [0, 1).
        top: Share of the lines cut off that are at the top, in [0, 1).
        size: Width and height of the images in pixels.
    """
    kept_R = size * (1.0 - share_R)
    column_R, line_R = left * (size - kept_R), top * (size - kept_R)
    return np.stack([column_R, line_R, column_R + kept_R, line_R + kept_R], axis=1)


def _cropped(
    sequences: RaggedArray, lengths: NDArray[np.int64], *, front: NDArray[np.int64]
) -> RaggedArray:
    """Rows of the given lengths, each from its step `front` on."""
    offsets = offsets_of(lengths)
    starts = sequences.offsets[:-1] + front
    positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return RaggedArray(sequences.values[positions], offsets)


def _jittered(
    sequences: RaggedArray,
    deviation: NDArray[np.float64],
    *,
    seed: int,
    epoch: int,
    index: NDArray[np.int64],
) -> RaggedArray:
    """Adds noise of the given standard deviation, float64 (F,), to every step."""
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
            stream=_JITTER,
            offset=step[some, None] * features + np.arange(features),
        )
        jittered[some] += (noise * deviation).astype(np.float32)
    return RaggedArray(jittered, sequences.offsets)
