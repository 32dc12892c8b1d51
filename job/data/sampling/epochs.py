"""The pairs of each batch: functions of (seed, epoch, step) alone.

Training thus resumes at any step from three integers, regardless of earlier calls. Pairs come
from files (`ShuffledPairs`) or are drawn (`job.data.sampling.pair_sampling`), and may be
regrouped by length (`job.data.sampling.length_groups`)::

    epoch = sampler.epoch(3)
    batch = epoch.batch(0)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import PairTable
from job.data.sampling.permutation import epoch_permutation, steps_in_epoch


@dataclass(frozen=True, eq=False)
class SampledPairs:
    """Some pairs of an epoch.

    Attributes:
        pairs: B pairs.
        index: int64 (B,), number of each in the epoch, unique there; seeds its augmentation.
    """

    pairs: PairTable
    index: NDArray[np.int64]

    def take(self, places: NDArray[np.int64]) -> "SampledPairs":
        """The pairs at the given positions, int64 (R,)."""
        return SampledPairs(self.pairs.take(places), self.index[places])


@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch.

    Attributes:
        num_steps: Number of whole batches.
        batch: Returns the pairs of a step, from 0; pure, and callable from any thread.
    """

    num_steps: int
    batch: Callable[[int], SampledPairs]


class BatchSampler(Protocol):
    """Samples the pairs of training batches."""

    @property
    def num_steps(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, epoch: int) -> Epoch:
        """The epoch of the given number, from 0."""
        ...


@dataclass(frozen=True, eq=False)
class ShuffledPairs:
    """The pairs of a table, each at most once an epoch, in a new order each epoch.

    Batch k is positions [kB, (k + 1)B) of that order; an incomplete last batch is dropped.

    Args:
        table: P pairs.
        seed: `run.seed`.
        global_batch_size: B.

    Raises:
        ConfigError: From `num_steps` and `epoch`: there are fewer pairs than a batch has.
    """

    table: PairTable
    seed: int
    global_batch_size: int

    @property
    def num_steps(self) -> int:
        return steps_in_epoch(len(self.table), self.global_batch_size)

    def epoch(self, epoch: int) -> Epoch:
        order = epoch_permutation(len(self.table), seed=self.seed, epoch=epoch)

        def batch(step: int) -> SampledPairs:
            rows = batch_of(order, step, size=self.global_batch_size)
            return SampledPairs(self.table.take(rows), rows)

        return Epoch(self.num_steps, batch)


def batch_of(order: NDArray[np.int64], step: int, *, size: int) -> NDArray[np.int64]:
    """The part of an epoch's order that a step uses.

    Raises:
        ValueError: The epoch has no such whole batch.
    """
    if step < 0 or (step + 1) * size > len(order):
        raise ValueError(
            f"step {step} of {size} pairs is outside an epoch of {len(order)} pairs"
        )
    return order[step * size : (step + 1) * size]
