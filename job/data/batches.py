"""Cuts items into the rectangles that training and evaluation take.

Both functions are pure: the same arguments give the same bytes, whichever step they begin at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.feeds import Feed
from job.data.tables import PairTable


@dataclass(frozen=True, eq=False)
class PairBlock:
    """K consecutive batches of B pairs, padded to one shape.

    Attributes:
        left: (K, B, ...), the first item of each pair as the feed gives it.
        right: (K, B, ...), the second, of the same shape.
        label: float32 (K, B), 1.0 = match, 0.0 = no match.
        left_item: int64 (K, B), number of the first item of each pair in the data set.
        right_item: int64 (K, B), of the second.
        left_class: int64 (K, B), class of the first item; -1 = unknown.
        right_class: int64 (K, B), of the second.
    """

    left: NDArray[np.generic]
    right: NDArray[np.generic]
    label: NDArray[np.float32]
    left_item: NDArray[np.int64]
    right_item: NDArray[np.int64]
    left_class: NDArray[np.int64]
    right_class: NDArray[np.int64]


def training_block(
    feed: Feed,
    pairs: PairTable,
    order: NDArray[np.int64],
    *,
    first_step: int,
    num_steps: int,
    global_batch_size: int,
    item_class: NDArray[np.int64] | None = None,
) -> PairBlock:
    """The batches of steps `first_step` to `first_step + num_steps` of an epoch.

    Args:
        feed: Gives the items.
        pairs: The training pairs.
        order: int64 (P,), what `epoch_order` gave.
        first_step: First step of the block, >= 0.
        num_steps: K >= 1.
        global_batch_size: B >= 1.
        item_class: `Dataset.item_class`.

    Raises:
        ValueError: The epoch has fewer whole batches than that.
    """
    stop = (first_step + num_steps) * global_batch_size
    if first_step < 0 or num_steps < 1 or stop > len(order):
        raise ValueError(
            f"steps {first_step} to {first_step + num_steps} of {global_batch_size} pairs do "
            f"not lie in an epoch of {len(order)} pairs"
        )
    chosen = order[first_step * global_batch_size : stop]
    sides = np.concatenate([pairs.left[chosen], pairs.right[chosen]])
    items = feed.batch(sides)
    left, right = items.reshape(2, num_steps, global_batch_size, *items.shape[1:])
    label = pairs.label[chosen].astype(np.float32)
    numbers = (*np.split(sides, 2), *np.split(classes_of(sides, item_class), 2))
    per_pair = (array.reshape(num_steps, global_batch_size) for array in (label, *numbers))
    return PairBlock(left, right, *per_pair)


def classes_of(
    items: NDArray[np.int64], item_class: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """The class of each item of int64 (R,), -1 where it is not known.

    Args:
        items: Item numbers.
        item_class: int64 (N,), the class of every item; None: none is known.
    """
    return np.full_like(items, -1) if item_class is None else item_class[items]


def item_batches(
    feed: Feed, *, batch_size: int, rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.generic]]]:
    """Every item once, the short ones first, so that little is padded.

    Args:
        feed: Gives the items.
        batch_size: Items in a batch, >= 1; the last batch may hold fewer.
        rows: int64 (R,), the items to visit.

    Yields:
        Row numbers int64 (b,) and those items as the feed gives them, (b, ...).
    """
    by_length = rows[np.argsort(feed.lengths_of(rows), kind="stable")]
    for start in range(0, len(by_length), batch_size):
        batch = by_length[start : start + batch_size]
        yield batch, feed.batch(batch)
