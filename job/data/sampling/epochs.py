"""Which pairs the batches of an epoch hold: functions of (seed, epoch, step) alone.

So training resumes at any step from three integers, and nothing depends on how many steps were
asked for before. Pairs come from files (`ShuffledPairs`) or are drawn (`sampling`)::

    epoch = pairs.epoch(3)
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

# What is drawn; `classes` and `sampling` have the numbers below.
_BATCH_ORDER = SAMPLING + 16


@dataclass(frozen=True, eq=False)
class SampledPairs:
    """Some pairs of an epoch.

    Attributes:
        pairs: B pairs.
        index: int64 (B,), number of each in the epoch, by which it is varied; each occurs once
            in an epoch.
    """

    pairs: PairTable
    index: NDArray[np.int64]

    def take(self, places: NDArray[np.int64]) -> "SampledPairs":
        """Those at the given places, int64 (R,)."""
        return SampledPairs(self.pairs.take(places), self.index[places])


@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch.

    Attributes:
        num_steps: Whole batches in it.
        batch: Pairs of the batch of a step, from 0; the same for the same step, from any
            thread.
    """

    num_steps: int
    batch: Callable[[int], SampledPairs]


class BatchSampler(Protocol):
    """Pairs to train on."""

    @property
    def num_steps(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, epoch: int) -> Epoch:
        """The epoch of the given number, from 0."""
        ...


@dataclass(frozen=True, eq=False)
class ShuffledPairs:
    """The pairs of a table, each once an epoch, in an order of the epoch's own.

    Batch k is places [kB, (k + 1)B) of that order; what is left at the end is not visited.

    Args:
        table: P pairs.
        seed: `run.seed`.
        global_batch_size: B.

    Raises:
        ConfigError: From `num_steps` and `epoch`: there are fewer pairs than a batch holds.
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
    """The same pairs, dealt anew by length among the batches of a window.

    A window is W consecutive batches. Its pairs are sorted by length, cut into batches, and the
    batches put into an order that depends on (seed, epoch, batch) alone: little is padded, and
    short batches do not come before long ones.

    Args:
        pairs: What is dealt.
        lengths_of: Items int64 (R,) -> int64 (R,), about how long they are.
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

        # Several threads ask for neighbouring steps; two windows are under way at a time.
        @lru_cache(maxsize=2)
        def window(number: int) -> list[SampledPairs]:
            first = number * self.window
            steps = range(first, min(first + self.window, inner.num_steps))
            return self._dealt([inner.batch(step) for step in steps], epoch=epoch, first=first)

        def batch(step: int) -> SampledPairs:
            if not 0 <= step < inner.num_steps:
                return inner.batch(step)  # says what is wrong
            return window(step // self.window)[step % self.window]

        return Epoch(inner.num_steps, batch)

    def _dealt(
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
    """The part of an epoch's order that a step sees.

    Raises:
        ValueError: The epoch has no such whole batch.
    """
    if step < 0 or (step + 1) * size > len(order):
        raise ValueError(
            f"step {step} of {size} pairs does not lie in an epoch of {len(order)} pairs"
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
