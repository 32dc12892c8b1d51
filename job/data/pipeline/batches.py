"""Cuts items into the rectangles that training and evaluation take.

Both functions are pure: the same arguments give the same bytes, whichever step they begin at.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable
from job.data.pipeline.collators import AugmentationSeed, Collator
from job.data.sampling.epochs import SampledPairs


@dataclass(frozen=True, eq=False)
class PairArrays:
    """One global batch of B pairs, as a training step takes it.

    Padding is the batch's own: it depends on no other batch.

    Attributes:
        items: (2B, ...), the first item of each pair as the feed gives it, then the second.
        label: float32 (B,), 1.0 = match, 0.0 = no match.
        left_item: int64 (B,), number of the first item of each pair in the data set.
        right_item: int64 (B,), of the second.
        left_class: int64 (B,), class of the first item; -1 = unknown.
        right_class: int64 (B,), of the second.
    """

    items: NDArray[np.generic]
    label: NDArray[np.float32]
    left_item: NDArray[np.int64]
    right_item: NDArray[np.int64]
    left_class: NDArray[np.int64]
    right_class: NDArray[np.int64]


def pair_arrays(
    chosen: SampledPairs, *, feed: Collator, items: ItemTable, seed: int, epoch: int
) -> PairArrays:
    """The pairs of a batch with their items, varied as the feed is configured to.

    Args:
        chosen: The pairs.
        feed: Gives the items.
        items: The items of the data set; their classes are read.
        seed: `run.seed`.
        epoch: Number of the epoch.
    """
    pairs = chosen.pairs
    # The two items of a pair are varied differently, also where they are one item.
    index = np.concatenate([2 * chosen.index, 2 * chosen.index + 1])
    rows = np.concatenate([pairs.left, pairs.right])
    return PairArrays(
        items=feed.batch(rows, variation=AugmentationSeed(seed, epoch, index)),
        label=pairs.label.astype(np.float32),
        left_item=pairs.left,
        right_item=pairs.right,
        left_class=items.classes_of(pairs.left),
        right_class=items.classes_of(pairs.right),
    )


def item_batches(
    feed: Collator, *, batch_size: int, rows: NDArray[np.int64], max_steps: int = sys.maxsize
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.generic]]]:
    """Every item once, the short ones first, so that little is padded.

    Args:
        feed: Gives the items.
        batch_size: Most items in a batch, >= 1.
        rows: int64 (R,), the items to visit.
        max_steps: Most steps in a batch: its items times the longest of them. An item that
            has more is a batch by itself.

    Yields:
        Row numbers int64 (b,) and those items as the feed gives them, (b, ...).
    """
    lengths = feed.lengths_of(rows)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        candidates = order[start : start + batch_size]
        # Grows from item to item, as the lengths do.
        steps = np.arange(1, len(candidates) + 1) * lengths[candidates]
        fitting = int(np.searchsorted(steps, max_steps, side="right"))
        batch = rows[candidates[: max(1, fitting)]]
        yield batch, feed.batch(batch)
        start += len(batch)
