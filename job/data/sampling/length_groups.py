"""Groups pairs by length, so that batches have little padding. P pairs, B in a batch.

The encoder takes the 2B items of a batch in one call, padded to the longest, or each side in a
call of its own, padded to its own longest. Which of the two, and whether the pairs are worth
grouping, is decided from their lengths::

    grouped = group_by_length(pairs, lengths_of=collator.lengths_of, window=None, seed=7)
    grouped.sampler.epoch(0).batch(0), grouped.merged
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.config.training import AUTOMATIC_WINDOW_BATCHES
from job.data.dataset import PairTable
from job.data.sampling.epochs import BatchSampler, Epoch, SampledPairs
from job.preprocessing.counter_rng import SAMPLING, random_bits

# Stream of random numbers; `pair_sampling` has those below.
_BATCH_ORDER = SAMPLING + 16
# Smallest share of the time steps for which pairs are grouped without being asked to: mixing
# them less has a price, too.
_WORTH_GROUPING = 0.02
# What a time step costs before its first row, in rows: an LSTM is many small operations. Two
# cores took 0.155 ms for 128 rows of 32 units and 0.525 ms for 512, so 0.032 ms for none.
_ROWS_OF_A_STEP = 32

LengthsOf = Callable[[NDArray[np.int64]], NDArray[np.int64]]


def padded_steps(left: NDArray[np.int64], right: NDArray[np.int64], *, merged: bool) -> int:
    """Time steps of batches, padding included.

    Args:
        left: int64 (W, B), lengths of the left items of W batches.
        right: int64 (W, B), of the right ones.
        merged: Whether both sides of a batch are padded to one length.
    """
    u, v = left.max(axis=1), right.max(axis=1)
    steps = 2 * np.maximum(u, v) if merged else u + v
    return int(left.shape[1] * steps.sum())


@dataclass(frozen=True, eq=False)
class LengthBucketedSampler:
    """The pairs of another sampler, regrouped by length within windows of batches.

    A window is W consecutive batches. Its pairs are cut into batches of similar lengths, and
    the batches shuffled by (seed, epoch, batch) alone: there is little padding, and short
    batches do not come before long ones.

    Args:
        pairs: The sampler; its batches are of one size.
        lengths_of: Items int64 (R,) -> their lengths, int64 (R,).
        window: W >= 1, in batches.
        seed: `run.seed`.
        merged: Whether both sides of a batch are padded to one length.
    """

    pairs: BatchSampler
    lengths_of: LengthsOf
    window: int
    seed: int
    merged: bool = True

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
        left, right = self.lengths_of(whole.pairs.left), self.lengths_of(whole.pairs.right)
        by_length = batches_by_length(left, right, num_batches=len(batches), merged=self.merged)
        key = random_bits(
            self.seed,
            epoch=epoch,
            index=first + np.arange(len(batches)),
            stream=_BATCH_ORDER,
        )
        return [whole.take(by_length[place]) for place in np.argsort(key).tolist()]


def batches_by_length(
    left: NDArray[np.int64], right: NDArray[np.int64], *, num_batches: int, merged: bool
) -> NDArray[np.int64]:
    """Cuts pairs into batches of similar lengths.

    Padded to one length, batches of consecutive pairs in order of the longer item are best. For
    separate lengths the pairs are cut in two, and each part again, until a part is a batch. A
    cut is across the order by the left, the right or the longer item, wherever it leaves the
    fewest time steps.

    Args:
        left: int64 (P,), lengths of the left items.
        right: int64 (P,), of the right ones.
        num_batches: W, a divisor of P.
        merged: Whether both sides of a batch are padded to one length.

    Returns:
        int64 (W, B), positions of the pairs.
    """
    longer = np.maximum(left, right)
    if merged:
        return np.argsort(longer, kind="stable").reshape(num_batches, -1)
    size = len(longer) // num_batches
    batches: list[NDArray[np.int64]] = []
    parts = [np.arange(len(longer))]
    while parts:
        part = parts.pop()
        if len(part) == size:
            batches.append(part)
            continue
        cuts = []
        for key in (left, right, longer):
            order = part[np.argsort(key[part], kind="stable")]
            steps = _steps_of_cuts(left[order], right[order], size=size)
            place = int(np.argmin(steps))
            cuts.append((int(steps[place]), (place + 1) * size, order))
        _, cut, order = min(cuts, key=lambda found: found[0])
        parts += [order[cut:], order[:cut]]
    return np.stack(batches)


def _steps_of_cuts(
    left: NDArray[np.int64], right: NDArray[np.int64], *, size: int
) -> NDArray[np.int64]:
    """Steps of a pair in each part, times its batches, for a cut after 1, ..., W - 1 batches.

    A part counts as if all its batches were as long as its longest items.
    """
    steps: NDArray[Any] = np.zeros(len(left) // size - 1, np.int64)
    num_batches = np.arange(1, len(steps) + 1)
    for lengths in (left, right):
        longest = lengths.reshape(-1, size).max(axis=1)
        before = np.maximum.accumulate(longest)[:-1]
        behind = np.maximum.accumulate(longest[::-1])[::-1][1:]
        steps += before * num_batches + behind * num_batches[::-1]
    return steps


@dataclass(frozen=True)
class GroupedPairs:
    """How pairs are grouped and encoded.

    Attributes:
        sampler: Samples the batches.
        window: Batches whose pairs are regrouped together; 1: they are not regrouped.
        merged: Whether both sides of a batch are padded to one length and encoded in one call.
        padding: Share of padding in the time steps of the first window.
    """

    sampler: BatchSampler
    window: int
    merged: bool
    padding: float


def group_by_length(
    pairs: BatchSampler,
    *,
    lengths_of: LengthsOf,
    window: int | None,
    seed: int,
    recur: bool = False,
) -> GroupedPairs:
    """Decides how pairs are grouped and encoded, from the first window of epoch 0.

    Args:
        pairs: Samples the pairs.
        lengths_of: Items int64 (R,) -> their lengths, int64 (R,).
        window: Batches in a window; 1: pairs are not regrouped; None: that is decided here.
        seed: `run.seed`.
        recur: Whether every epoch has the same pairs.
    """
    number = window if window is not None and window > 1 else AUTOMATIC_WINDOW_BATCHES
    if window is None and recur:
        # In a window of a whole epoch, the same pairs would meet in a batch in every epoch.
        number = min(number, max(1, pairs.num_steps // 2))
    size = min(number, pairs.num_steps)
    epoch = pairs.epoch(0)
    whole = _joined([epoch.batch(step) for step in range(size)]).pairs
    left, right = lengths_of(whole.left), lengths_of(whole.right)

    def steps(places: NDArray[np.int64], *, merged: bool) -> int:
        return padded_steps(left[places], right[places], merged=merged)

    in_order = np.arange(len(left)).reshape(size, -1)
    by_length = {
        merged: batches_by_length(left, right, num_batches=size, merged=merged)
        for merged in (True, False)
    }
    plain = {merged: steps(in_order, merged=merged) for merged in (True, False)}
    grouped = {merged: steps(by_length[merged], merged=merged) for merged in (True, False)}
    merged, merged_in_groups = (
        _is_one_call_enough(of_calls, batch_size=in_order.shape[1])
        for of_calls in (plain, grouped)
    )
    saves = 1.0 - grouped[merged_in_groups] / plain[merged]
    real = int(left.sum() + right.sum())
    if 1 in (window, number) or (window is None and saves < _WORTH_GROUPING):
        return GroupedPairs(pairs, 1, merged, padding=1.0 - real / plain[merged])
    sampler = LengthBucketedSampler(pairs, lengths_of, number, seed, merged_in_groups)
    padding = 1.0 - real / grouped[merged_in_groups]
    return GroupedPairs(sampler, number, merged_in_groups, padding)


def _is_one_call_enough(steps: Mapping[bool, int], *, batch_size: int) -> bool:
    """Decides by the steps with padding of one call (True) and of two calls (False).

    Two calls have fewer steps with padding, but more steps in their loops.
    """
    one_call, two_calls = (
        steps[merged] * (1.0 + _ROWS_OF_A_STEP / rows)
        for merged, rows in ((True, 2 * batch_size), (False, batch_size))
    )
    return one_call <= two_calls


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
