"""Builds the arrays of training and evaluation batches.

Both functions are pure: the same arguments give the same bytes, whichever step is first.
"""

import math
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable
from job.data.pipeline.collators import AugmentationSeed, Collator
from job.data.sampling.epochs import SampledPairs
from job.preprocessing.ragged import RaggedArray
from job.types import ItemInput


@dataclass(frozen=True, eq=False)
class PairArrays:
    """One global batch of B pairs, the input of a training step.

    Attributes:
        items: The left items as the collator's `ragged` gives them, then the right ones, of
            all pairs or of those that this worker encodes; None if the step takes them from all
            items by their numbers.
        label: float32 (B,), 1.0 = match, 0.0 = no match.
        left_item: int64 (B,), number of the left item of each pair in the dataset.
        right_item: int64 (B,), of the right one.
        left_class: int64 (B,), class of the left item; -1 = unknown.
        right_class: int64 (B,), of the right one.
    """

    items: RaggedArray | None
    label: NDArray[np.float32]
    left_item: NDArray[np.int64]
    right_item: NDArray[np.int64]
    left_class: NDArray[np.int64]
    right_class: NDArray[np.int64]


ALL = slice(None)

# Budget of one batch of evaluation: its items plus, per time step, the encoder's state.
# Measured peak memory was up to ten times as large for images and five times for sequences.
_BATCH_BYTES = 32 << 20


def pair_arrays(
    chosen: SampledPairs,
    *,
    feed: Collator | None,
    items: ItemTable,
    seed: int,
    epoch: int,
    encoded: slice = ALL,
) -> PairArrays:
    """Collates the pairs of a batch, with the collator's augmentation.

    Args:
        chosen: The pairs.
        feed: Collates the items; None if the step has all of them.
        items: The items of the dataset, for their classes.
        seed: `run.seed`.
        epoch: Counted from 0.
        encoded: The pairs whose items this worker encodes.
    """
    pairs, own = chosen.pairs, chosen.index[encoded]
    # The two items of a pair are augmented differently, even if they are the same item.
    index = np.concatenate([2 * own, 2 * own + 1])
    rows = np.concatenate([pairs.left[encoded], pairs.right[encoded]])
    variation = AugmentationSeed(seed, epoch, index)
    return PairArrays(
        items=None if feed is None else feed.ragged(rows, variation=variation),
        label=pairs.label.astype(np.float32),
        left_item=pairs.left,
        right_item=pairs.right,
        left_class=items.classes_of(pairs.left),
        right_class=items.classes_of(pairs.right),
    )


def item_batches(
    feed: Collator,
    *,
    batch_size: int,
    rows: NDArray[np.int64],
    max_steps: int = sys.maxsize,
    threads: int = 1,
    part: tuple[int, int] = (0, 1),
) -> Generator[tuple[NDArray[np.int64], NDArray[np.generic]], None, None]:
    """Yields every item once, short ones first, so that there is little padding.

    Up to `threads` + 1 batches are collated ahead of use. Close the iterator when it is not
    used to its end, so that no thread goes on reading.

    Args:
        feed: Collates the items; called from several threads.
        batch_size: Largest number of items in a batch, >= 1.
        rows: int64 (R,), the items to visit.
        max_steps: Largest number of steps in a batch, padding included. A longer item is a
            batch by itself.
        threads: Batches collated at a time.
        part: Index of this worker and their number: it gets every so manieth batch. The batches
            do not depend on it.

    Yields:
        Row numbers int64 (b,) and the collated items, (b, ...).
    """
    lengths = feed.lengths_of(rows)
    order = np.argsort(lengths, kind="stable")

    def row_batches() -> Iterator[NDArray[np.int64]]:
        start = 0
        while start < len(order):
            candidates = order[start : start + batch_size]
            # Non-decreasing, as the lengths are.
            steps = np.arange(1, len(candidates) + 1) * lengths[candidates]
            fitting = max(1, int(np.searchsorted(steps, max_steps, side="right")))
            yield rows[candidates[:fitting]]
            start += fitting

    first, step = part
    yield from _ahead(feed.batch, islice(row_batches(), first, None, step), threads=threads)


def steps_within_budget(item: ItemInput, *, embedding_size: int) -> int:
    """Largest number of steps of a batch of evaluation, `max_steps` of `item_batches`.

    Args:
        item: Input of the encoder.
        embedding_size: Size of an embedding.
    """
    values = math.prod(size for size in item.shape[1:] if size is not None)
    # The encoder has a state at each time step; a row of pixels has none.
    per_step = values + embedding_size if item.shape[0] is None else values
    return _BATCH_BYTES // (4 * per_step)


def _ahead(
    collate: Callable[[NDArray[np.int64]], NDArray[np.generic]],
    row_batches: Iterable[NDArray[np.int64]],
    *,
    threads: int,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.generic]]]:
    """Collates batches in threads, and yields them in order."""
    ahead: deque[tuple[NDArray[np.int64], Future[NDArray[np.generic]]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="input") as pool:
        try:
            for rows in row_batches:
                ahead.append((rows, pool.submit(collate, rows)))
                if len(ahead) > threads:
                    first, items = ahead.popleft()
                    yield first, items.result()
            while ahead:
                first, items = ahead.popleft()
                yield first, items.result()
        finally:
            for _, items in ahead:
                items.cancel()
