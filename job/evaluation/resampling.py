"""Random weights of pairs that imitate another draw of identities. B replicates, P pairs.

An identity that is drawn k times counts k times, and so do its pairs; a pair of two identities
counts the product of both numbers. Numbers are Poisson distributed with mean 1, which is what
drawing as many identities with replacement amounts to.

The product varies three times as much as the pairs themselves where no two pairs share an
identity, and as much as it should where many do. `by_dyad` draws each pair of two different
identities on its own, which measures the surplus; `intervals` subtracts it.

Source: Owen, Eckles 2012, "Bootstrapping data arrays of arbitrary order", for products of
weights and their surplus; Fogliato, Patil, Perona 2024, "Confidence intervals for error rates
in 1:1 matching tasks", for pairs of identities.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from job.evaluation.identities import Identities

Weights = NDArray[np.float32]
# From a random generator and a number of replicates to weights (B, P).
Draw = Callable[[np.random.Generator, int], Weights]

# Weights in memory at a time.
_BLOCK_VALUES = 1 << 20


def by_identity(identities: Identities) -> Draw:
    """Draws identities: weights of pairs that share one move together."""
    left, right = identities.left, identities.right
    is_within = left == right

    def draw(random: np.random.Generator, count: int) -> Weights:
        times = random.poisson(1.0, (count, identities.count)).astype(np.float32)
        weight = times[:, left]
        weight *= np.where(is_within, np.float32(1), times[:, right])
        return weight

    return draw


def by_dyad(identities: Identities) -> Draw:
    """Draws each pair of two different identities on its own; others keep the weight 1."""
    is_between = identities.left != identities.right
    dyad = np.unique(identities.dyads()[is_between], return_inverse=True)[1].reshape(-1)
    num_dyads = int(dyad.max(initial=-1)) + 1

    def draw(random: np.random.Generator, count: int) -> Weights:
        weight = np.ones((count, len(identities)), np.float32)
        weight[:, is_between] = random.poisson(1.0, (count, num_dyads))[:, dyad]
        return weight

    return draw


def by_pair(num_pairs: int) -> Draw:
    """Draws pairs as if they were independent: for comparison, since they are not."""

    def draw(random: np.random.Generator, count: int) -> Weights:
        return random.poisson(1.0, (count, num_pairs)).astype(np.float32)

    return draw


def replicates(draw: Draw, *, count: int, num_pairs: int, seed: int) -> Iterator[Weights]:
    """The weights of `count` replicates, a few at a time; the same for the same seed."""
    random = np.random.Generator(np.random.Philox(seed))
    at_a_time = max(1, _BLOCK_VALUES // max(num_pairs, 1))
    for start in range(0, count, at_a_time):
        yield draw(random, min(at_a_time, count - start))
