"""Pairs that repeat, mirror or contradict one another; training pairs of labelled items.

What counts is what items hold: a pair of two files mirrors that of their copies.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from job.config.data import DataConfig
from job.config.sampling import PairSamplingConfig
from job.data.dataset import Dataset, PairTable
from job.data.sampling.pair_sampling import ClassIndex, PairSampler, drawn_pairs

_MAX_DRAWN = 50_000


@dataclass(frozen=True)
class PairAnomalies:
    """Pairs of a split that a person may not expect.

    Attributes:
        num_duplicates: Pairs that repeat an earlier one: same left, right and label.
        num_mirrored: Pairs of different items that occur in both directions.
        num_contradictory: Pairs of items, direction aside, that occur with both labels.
        num_identical: Pairs whose two items are the same.
        num_identical_negative: Those of them that are said not to match.
    """

    num_duplicates: int
    num_mirrored: int
    num_contradictory: int
    num_identical: int
    num_identical_negative: int


def odd_pairs(pairs: PairTable, *, content: NDArray[np.int64]) -> PairAnomalies:
    """Counts odd pairs.

    Args:
        pairs: The pairs of a split.
        content: int64 (N,), what each item holds, as `items.content_of` numbers it.
    """
    left, right = content[pairs.left], content[pairs.right]
    one_way = left * len(content) + right
    either_way = np.minimum(left, right) * len(content) + np.maximum(left, right)
    identical = left == right
    return PairAnomalies(
        num_duplicates=len(pairs) - len(_distinct(one_way * 2 + pairs.label)),
        num_mirrored=_num_common(either_way, left < right, left > right),
        num_contradictory=_num_common(either_way, pairs.label == 1, pairs.label == 0),
        num_identical=int(np.count_nonzero(identical)),
        num_identical_negative=int(np.count_nonzero(identical & (pairs.label == 0))),
    )


def first_training_pairs(
    dataset: Dataset, *, section: DataConfig, seed: int, global_batch_size: int
) -> PairTable:
    """The pairs of training: all that are given, or the first that the first epoch draws.

    Args:
        dataset: The data.
        section: The data section it was made from.
        seed: `run.seed`.
        global_batch_size: `training.global_batch_size`.

    Raises:
        ConfigError: Labelled items do not make a batch.
    """
    rows, item_class = dataset.training_items, dataset.items.item_class
    if rows is None or item_class is None:
        return dataset.pairs["train"]
    sampling = section.sampling_or_default
    if isinstance(sampling, PairSamplingConfig):
        # The size of a batch has no say in what is drawn: one that holds them all is quickest.
        index = ClassIndex.of(item_class, rows=rows)
        drawn = PairSampler.configured(sampling, index=index, seed=seed, global_batch_size=1)
        count = min(drawn.num_positive + drawn.num_negative, _MAX_DRAWN)
        return replace(drawn, global_batch_size=count).epoch(0).batch(0).pairs
    training = drawn_pairs(
        sampling,
        items=dataset.items,
        rows=rows,
        seed=seed,
        global_batch_size=global_batch_size,
    )
    steps = min(training.num_steps, -(-_MAX_DRAWN // global_batch_size))
    epoch = training.epoch(0)
    batches = [epoch.batch(step).pairs for step in range(steps)]
    return PairTable(
        np.concatenate([batch.left for batch in batches]),
        np.concatenate([batch.right for batch in batches]),
        np.concatenate([batch.label for batch in batches]),
    )


def _num_common(
    values: NDArray[np.int64], one: NDArray[np.bool_], other: NDArray[np.bool_]
) -> int:
    both = np.concatenate([_distinct(values[one]), _distinct(values[other])])
    return len(both) - len(_distinct(both))


def _distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each value once, ascending. `np.unique` takes ten times as long for a million of them."""
    ordered = np.sort(values)
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]
