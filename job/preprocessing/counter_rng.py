"""Random numbers without state: what is drawn depends on what it is drawn for alone.

A generator gives its numbers in a row, so the thousandth needs the 999 before it. Here each is
a function of (seed, epoch, index, draw, place), so any of them comes at once and in any order,
and a resumed run draws what an undisturbed one does::

    flipped = uniform(seed, epoch=3, index=rows, draw=PICTURES) < 0.5

All arguments after the seed broadcast against each other. Which numbers come is pinned by a
test with recorded values.

Source: the mixing function is that of SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014) with the constants of Stafford's variant 13.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The first draw of each purpose. Two purposes that used the same one would draw the same
# numbers: whatever is flipped would also be a certain kind of pair.
SAMPLING = 0
PICTURES = 1 << 16
SEQUENCES = 2 << 16

# Largest n of `below`: bits are multiplied by it in two halves of 32.
MAX_BELOW = 1 << 32

# 2**64 over the golden ratio, made odd: multiples of it are as far apart as they can be.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LOW_HALF = np.uint64(0xFFFFFFFF)


def bits(
    seed: int, *, epoch: ArrayLike, index: ArrayLike, draw: ArrayLike, place: ArrayLike = 0
) -> NDArray[np.uint64]:
    """64 random bits for each combination of the arguments.

    Args:
        seed: `run.seed`, in [0, 2**64).
        epoch: Whole numbers >= 0, the epoch.
        index: Whole numbers >= 0: which pair or item it is drawn for.
        draw: Whole numbers >= 0: what it is drawn for, one of the purposes above plus less
            than 65536.
        place: Whole numbers >= 0: which of several numbers for one purpose, say of the values
            of an item.

    Returns:
        uint64 of the shape that the arguments broadcast to.
    """
    words = [np.asarray(word) for word in (epoch, draw, index, place)]
    shape = np.broadcast_shapes(*(word.shape for word in words))
    mixed = np.array([seed], np.uint64)
    # Single numbers come first, so that all but the last steps are made once and not for each
    # element. NumPy warns when a number overflows, but not when an array does: hence 1-D.
    for word in words:
        counter = np.atleast_1d(word).astype(np.uint64)
        mixed = _mix(mixed + _GOLDEN * (counter + np.uint64(1)))
    return mixed.reshape(shape)


def uniform(
    seed: int, *, epoch: ArrayLike, index: ArrayLike, draw: ArrayLike, place: ArrayLike = 0
) -> NDArray[np.float64]:
    """Random numbers in [0, 1), each multiple of 2**-53 as likely as any other.

    Args:
        seed: As in `bits`, and so are the others.
        epoch: As in `bits`.
        index: As in `bits`.
        draw: As in `bits`.
        place: As in `bits`.

    Returns:
        float64 of the shape that the arguments broadcast to.
    """
    drawn = bits(seed, epoch=epoch, index=index, draw=draw, place=place)
    return np.asarray(drawn >> np.uint64(11), np.float64) * 2.0**-53


def below(
    n: ArrayLike,
    *,
    seed: int,
    epoch: ArrayLike,
    index: ArrayLike,
    draw: ArrayLike,
    place: ArrayLike = 0,
) -> NDArray[np.int64]:
    """Random whole numbers in [0, n).

    None of them is more likely than another by more than a share of n * 2**-64.

    Args:
        n: Whole numbers in [1, 2**32]; broadcasts like the others.
        seed: As in `bits`, and so are the others.
        epoch: As in `bits`.
        index: As in `bits`.
        draw: As in `bits`.
        place: As in `bits`.

    Returns:
        int64 of the shape that the arguments broadcast to.

    Raises:
        ValueError: `n` is out of range.
    """
    limits = np.asarray(n)
    if limits.size and not 1 <= limits.min() <= limits.max() <= MAX_BELOW:
        raise ValueError(f"n must be from 1 to 2**32, got {limits.min()} to {limits.max()}")
    drawn = bits(seed, epoch=epoch, index=index, draw=draw, place=place)
    limits = limits.astype(np.uint64)
    # The upper 64 bits of the product of 64 and 33 bits.
    upper, lower = drawn >> np.uint64(32), drawn & _LOW_HALF
    product = upper * limits + (lower * limits >> np.uint64(32))
    return np.asarray(product >> np.uint64(32)).astype(np.int64)


def normal(
    seed: int, *, epoch: ArrayLike, index: ArrayLike, draw: ArrayLike, place: ArrayLike = 0
) -> NDArray[np.float64]:
    """Random numbers of mean 0 and standard deviation 1, normally distributed.

    None is farther than 6.67 from 0, which one in 40 thousand million would be.

    Args:
        seed: As in `bits`, and so are the others.
        epoch: As in `bits`.
        index: As in `bits`.
        draw: As in `bits`.
        place: As in `bits`; k numbers for each of R items are `index` (R, 1), `place` (k,).

    Returns:
        float64 of the shape that the arguments broadcast to.

    Source: Box and Muller 1958, of their two numbers the one with the cosine; one draw gives
        both uniform numbers, 32 bits each.
    """
    drawn = bits(seed, epoch=epoch, index=index, draw=draw, place=place)
    # Above 0, since it has a logarithm.
    radius = (np.asarray(drawn >> np.uint64(32), np.float64) + 1.0) * 2.0**-32
    angle = np.asarray(drawn & _LOW_HALF, np.float64) * (2.0 * np.pi * 2.0**-32)
    return np.asarray(np.sqrt(-2.0 * np.log(radius)) * np.cos(angle))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Any change of a word changes each bit of the result with probability one half."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
