"""Random weights of pairs that imitate another draw of identities. B replicates, P pairs.

An identity that is drawn k times counts k times, and so do its pairs; a pair of two identities
counts the product of both numbers. Numbers are Poisson distributed with mean 1, which is what
drawing as many identities with replacement amounts to.

The product varies three times as much as the pairs themselves where no two pairs share an
identity, and as much as it should where many do. `by_dyad` draws each pair of two different
identities on its own, which measures the surplus; `kept_share` says what is left without it.

Source: Owen, Eckles 2012, "Bootstrapping data arrays of arbitrary order", for products of
weights and their surplus; Fogliato, Patil, Perona 2024, "Confidence intervals for error rates
in 1:1 matching tasks", for pairs of identities; Cameron, Gelbach, Miller 2011 for the
difference of variances.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from job.evaluation.identities import Identities

Weights = NDArray[np.float32]
# From a random generator and a number of replicates to weights (B, P).
Draw = Callable[[np.random.Generator, int], Weights]

# The number of events of each of 65,536 equally likely cases.
_POISSON = np.repeat(
    np.arange(10, dtype=np.float32),
    np.diff(
        np.round(
            (1 << 16)
            * np.cumsum([0.0, *(math.exp(-1.0) / math.factorial(n) for n in range(9)), 1.0])
        ).clip(0, 1 << 16)
    ).astype(np.int64),
)

# Weights in memory at a time; few enough to stay in a core's cache.
_BLOCK_VALUES = 1 << 17


def by_identity(identities: Identities) -> Draw:
    """Draws identities: weights of pairs that share one move together."""
    # The last column is 1: a pair within an identity counts once for it.
    right = np.where(identities.left == identities.right, identities.count, identities.right)

    def draw(random: np.random.Generator, count: int) -> Weights:
        times = _times(random, count, identities.count)
        weight: Weights = times[:, identities.left]
        weight *= times[:, right]
        return weight

    return draw


def by_dyad(identities: Identities) -> Draw:
    """Draws each pair of two different identities on its own; others keep the weight 1."""
    is_between = identities.left != identities.right
    dyad = np.unique(identities.dyads()[is_between], return_inverse=True)[1].reshape(-1)
    num_dyads = int(dyad.max(initial=-1)) + 1
    column = np.full(len(identities), num_dyads)
    column[is_between] = dyad

    def draw(random: np.random.Generator, count: int) -> Weights:
        weight: Weights = _times(random, count, num_dyads)[:, column]
        return weight

    return draw


def kept_share(variance: ArrayLike, surplus: ArrayLike) -> NDArray[np.float64]:
    """The share of a variance over draws of identities that is not surplus, in [1/3, 1].

    At least a third is kept, which is exact for independent pairs.

    Args:
        variance: Over draws `by_identity`, any shape.
        surplus: Over draws `by_dyad`, of the same shape.

    Returns:
        float64 of that shape; 1 where the variance is 0.
    """
    whole = np.asarray(variance, np.float64)
    kept = np.maximum(whole - 2.0 * np.asarray(surplus, np.float64), whole / 3.0)
    share: NDArray[np.float64] = np.divide(
        kept, whole, out=np.ones_like(whole), where=whole > 0.0
    )
    return share


def _times(random: np.random.Generator, count: int, width: int) -> Weights:
    """Poisson numbers of mean 1, float32 (count, width + 1), and a last column of 1."""
    times = np.ones((count, width + 1), np.float32)
    # Ten times as fast as a generator's own; the mean differs from 1 by less than 1e-4.
    times[:, :-1] = _POISSON[random.integers(0, 1 << 16, (count, width), dtype=np.uint16)]
    return times


def replicates(draw: Draw, *, count: int, num_pairs: int, seed: int) -> Iterator[Weights]:
    """The weights of `count` replicates, a few at a time; the same for the same seed."""
    random = np.random.Generator(np.random.Philox(seed))
    at_a_time = max(1, _BLOCK_VALUES // max(num_pairs, 1))
    for start in range(0, count, at_a_time):
        yield draw(random, min(at_a_time, count - start))
