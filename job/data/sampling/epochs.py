"""The pairs of each batch: functions of (seed, epoch, step) alone.

Training thus resumes at any step from three integers, regardless of earlier calls. Pairs come
from files (`ShuffledPairs`) or are drawn (`job.data.sampling.pair_sampling`)::

    epoch = sampler.epoch(3)
    batch = epoch.batch(0)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import PairTable
from job.data.sampling.permutation import epoch_permutation, steps_in_epoch
from job.preprocessing.counter_rng import SAMPLING, random_bits

# Stream of random numbers; `pair_sampling` has those below.
_BATCH_ORDER = SAMPLING + 16


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


@dataclass(frozen=True, eq=False)
class LengthBucketedSampler:
    """The pairs of another sampler, regrouped by length within windows of batches.

    A window is W consecutive batches. Its pairs are sorted by length, cut into batches, and the
    batches shuffled by (seed, epoch, batch) alone: there is little padding, and short batches
    do not come before long ones.

    Args:
        pairs: The sampler.
        lengths_of: Items int64 (R,) -> int64 (R,), approximate lengths.
        window: W >= 1, in batches.
        seed: `run.seed`.
    """

    pairs: BatchSampler
    lengths_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    window: int
    seed: int

    @property
    def num_steps(self) -> int:
        return self.pairs.num_steps

    def epoch(self, epoch: int) -> Epoch:
        inner = self.pairs.epoch(epoch)

        # Several threads request neighbouring steps, so two windows are in use at a time.
        @lru_cache(maxsize=2)
        def window(number: int) -> list[SampledPairs]:
            first = number * self.window
            steps = range(first, min(first + self.window, inner.num_steps))
            return self._regrouped(
                [inner.batch(step) for step in steps], epoch=epoch, first=first
            )

        def batch(step: int) -> SampledPairs:
            if not 0 <= step < inner.num_steps:
                return inner.batch(step)  # raises
            return window(step // self.window)[step % self.window]

        return Epoch(inner.num_steps, batch)

    def _regrouped(
        self, batches: list[SampledPairs], *, epoch: int, first: int
    ) -> list[SampledPairs]:
        whole = _joined(batches)
        length = np.maximum(
            self.lengths_of(whole.pairs.left), self.lengths_of(whole.pairs.right)
        )
        by_length = np.array_split(np.argsort(length, kind="stable"), len(batches))
        key = random_bits(
            self.seed,
            epoch=epoch,
            index=first + np.arange(len(batches)),
            stream=_BATCH_ORDER,
        )
        return [whole.take(by_length[place]) for place in np.argsort(key).tolist()]


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


def _joined(batches: list[SampledPairs]) -> SampledPairs:
    tables = [batch.pairs for batch in batches]
    return SampledPairs(
        PairTable(
            np.concatenate([table.left for table in tables]),
            np.concatenate([table.right for table in tables]),
            np.concatenate([table.label for table in tables]),
        ),
        np.concatenate([batch.index for batch in batches]),
    )
