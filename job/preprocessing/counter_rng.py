"""Random numbers without state: each is a function of what it is drawn for.

A generator yields its numbers in sequence, so the thousandth needs the 999 before it. Here each
number is a function of (seed, epoch, index, stream, offset): any of them can be computed at
once and in any order, and a resumed run draws what an uninterrupted one does::

    flipped = uniform(seed, epoch=3, index=rows, stream=IMAGES) < 0.5

All arguments after the seed broadcast against each other: `epoch` is the epoch, `index` the
pair or item, `stream` the purpose (one of the constants below plus less than 65536), `offset`
one of several numbers for the same purpose. All are integers >= 0; the seed is in [0, 2**64).
The numbers are pinned by a test with recorded values.

Source: the mixing function is that of SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014) with the constants of Stafford's variant 13.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The first stream of each purpose. Two purposes on one stream would draw the same numbers:
# every flipped image would also be in the same kind of pair.
SAMPLING = 0
IMAGES = 1 << 16
SEQUENCES = 2 << 16

# Largest n of `integers`: bits are multiplied by it in two halves of 32.
MAX_INTEGERS = 1 << 32

# 2**64 divided by the golden ratio, made odd: its multiples are as far apart as possible.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LOW_HALF = np.uint64(0xFFFFFFFF)


def random_bits(
    seed: int, *, epoch: ArrayLike, index: ArrayLike, stream: ArrayLike, offset: ArrayLike = 0
) -> NDArray[np.uint64]:
    """64 random bits for each combination of the arguments.

    Returns:
        uint64 of the shape that the arguments broadcast to.
    """
    words = [np.asarray(word) for word in (epoch, stream, index, offset)]
    shape = np.broadcast_shapes(*(word.shape for word in words))
    mixed = np.array([seed], np.uint64)
    # Scalars come first, so that all but the last steps run once and not for each element.
    # NumPy warns when a scalar overflows, but not when an array does: hence 1-D.
    for word in words:
        counter = np.atleast_1d(word).astype(np.uint64)
        mixed = _mix(mixed + _GOLDEN * (counter + np.uint64(1)))
    return mixed.reshape(shape)


def uniform(
    seed: int, *, epoch: ArrayLike, index: ArrayLike, stream: ArrayLike, offset: ArrayLike = 0
) -> NDArray[np.float64]:
    """Random numbers in [0, 1): every multiple of 2**-53 is equally likely.

    Returns:
        float64 of the shape that the arguments broadcast to.
    """
    drawn = random_bits(seed, epoch=epoch, index=index, stream=stream, offset=offset)
    return np.asarray(drawn >> np.uint64(11), np.float64) * 2.0**-53


def integers(
    n: ArrayLike,
    *,
    seed: int,
    epoch: ArrayLike,
    index: ArrayLike,
    stream: ArrayLike,
    offset: ArrayLike = 0,
) -> NDArray[np.int64]:
    """Random integers in [0, n), equally likely up to a relative error of n * 2**-64.

    Args:
        n: Integers in [1, 2**32]; broadcasts like the others.
        seed: As in `random_bits`, as are the others.
        epoch: The epoch.
        index: The pair or item.
        stream: The purpose.
        offset: Which of several numbers for the same purpose.

    Returns:
        int64 of the shape that the arguments broadcast to.

    Raises:
        ValueError: `n` is out of range.
    """
    limits = np.asarray(n)
    if limits.size and not 1 <= limits.min() <= limits.max() <= MAX_INTEGERS:
        raise ValueError(f"n must be from 1 to 2**32, got {limits.min()} to {limits.max()}")
    drawn = random_bits(seed, epoch=epoch, index=index, stream=stream, offset=offset)
    limits = limits.astype(np.uint64)
    # The upper 64 bits of the product of 64 and 33 bits.
    upper, lower = drawn >> np.uint64(32), drawn & _LOW_HALF
    product = upper * limits + (lower * limits >> np.uint64(32))
    return np.asarray(product >> np.uint64(32)).astype(np.int64)


def normal(
    seed: int, *, epoch: ArrayLike, index: ArrayLike, stream: ArrayLike, offset: ArrayLike = 0
) -> NDArray[np.float64]:
    """Random numbers of the standard normal distribution; none is beyond 6.67.

    For k numbers for each of R items, pass `index` as (R, 1) and `offset` as (k,).

    Returns:
        float64 of the shape that the arguments broadcast to.

    Source: Box and Muller 1958, the cosine one of their two numbers; one draw gives both
        uniform numbers, 32 bits each.
    """
    drawn = random_bits(seed, epoch=epoch, index=index, stream=stream, offset=offset)
    # Above 0, since its logarithm is taken.
    radius = (np.asarray(drawn >> np.uint64(32), np.float64) + 1.0) * 2.0**-32
    angle = np.asarray(drawn & _LOW_HALF, np.float64) * (2.0 * np.pi * 2.0**-32)
    return np.asarray(np.sqrt(-2.0 * np.log(radius)) * np.cos(angle))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Any change of a word changes each bit of the result with probability one half."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
