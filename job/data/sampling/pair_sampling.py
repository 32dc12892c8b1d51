"""Samples pairs from labelled items.

M items, C classes, B pairs in a batch, m items of a class. Each pair is a function of
(seed, epoch, index) and does not depend on those before it.
"""

import logging
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from job.config.sampling import ClassSamplingConfig, PairSamplingConfig, Sampling
from job.data.dataset import ItemTable, PairTable
from job.data.sampling.epochs import BatchSampler, Epoch, SampledPairs, batch_of
from job.data.sampling.permutation import epoch_permutation, steps_in_epoch
from job.errors import ConfigError
from job.preprocessing.counter_rng import SAMPLING, integers, random_bits

log = logging.getLogger(__name__)

# Streams of random numbers; `length_groups` has another one.
_FIRST_ITEM, _SECOND_ITEM, _CLASS_ORDER, _ITEM_OF_CLASS, _PARTNER = range(
    SAMPLING, SAMPLING + 5
)


@dataclass(frozen=True, eq=False)
class ClassIndex:
    """Items by class.

    Attributes:
        rows: int64 (M,), item numbers, grouped by class.
        start: int64 (C,), start of each class in `rows`.
        size: int64 (C,), items of each class.
    """

    rows: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    @classmethod
    def of(cls, item_class: NDArray[np.int64], *, rows: NDArray[np.int64]) -> "ClassIndex":
        """Groups items by class.

        Args:
            item_class: int64 (N,), the class of every item of the dataset.
            rows: int64 (M,), the items to group.
        """
        by_class = rows[np.argsort(item_class[rows], kind="stable")]
        _, start, size = np.unique(item_class[by_class], return_index=True, return_counts=True)
        return cls(by_class, start.astype(np.int64), size.astype(np.int64))

    def at_least(self, size: int) -> "ClassIndex":
        """The index without classes of fewer items."""
        kept = self.size >= size
        places = np.repeat(kept, self.size)
        sizes = self.size[kept]
        return ClassIndex(self.rows[places], np.cumsum(sizes) - sizes, sizes)

    def class_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the class, from 0, at positions of `rows`, int64 (R,)."""
        found: NDArray[np.int64] = np.searchsorted(self.start, places, side="right") - 1
        return found


def sample_positives(
    classes: ClassIndex, *, seed: int, epoch: int, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples two items of one class for each index.

    Args:
        classes: The items; every class has at least two.
        seed: `run.seed`.
        epoch: The epoch, or another stream.
        index: int64 (R,), one number for each pair.

    Returns:
        Two arrays int64 (R,), item numbers: any item, and any other one of its class.
    """
    first = integers(len(classes.rows), seed=seed, epoch=epoch, index=index, stream=_FIRST_ITEM)
    at = classes.class_at(first)
    start, size = classes.start[at], classes.size[at]
    further = 1 + integers(size - 1, seed=seed, epoch=epoch, index=index, stream=_SECOND_ITEM)
    return classes.rows[first], classes.rows[start + (first - start + further) % size]


def sample_negatives(
    classes: ClassIndex, *, seed: int, epoch: int, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples two items of different classes for each index; see `sample_positives`.

    Returns:
        Two arrays int64 (R,), item numbers: any item, and any one of another class.
    """
    first = integers(len(classes.rows), seed=seed, epoch=epoch, index=index, stream=_FIRST_ITEM)
    at = classes.class_at(first)
    start, size = classes.start[at], classes.size[at]
    second = integers(
        len(classes.rows) - size, seed=seed, epoch=epoch, index=index, stream=_SECOND_ITEM
    )
    # Positions from the item's own class on move behind that class.
    return classes.rows[first], classes.rows[np.where(second < start, second, second + size)]


@dataclass(frozen=True, eq=False)
class PairSampler:
    """Samples each pair of an epoch by its index.

    The first item of a match is any item whose class has another one, the second any other item
    of that class. The first item of a non-match is any item, the second any of another class.

    Args:
        index: The training items.
        num_positive: Matches in an epoch.
        num_negative: Non-matches in an epoch.
        seed: `run.seed`.
        global_batch_size: B.
    """

    index: ClassIndex
    num_positive: int
    num_negative: int
    seed: int
    global_batch_size: int

    @classmethod
    def configured(
        cls,
        section: PairSamplingConfig,
        *,
        index: ClassIndex,
        seed: int,
        global_batch_size: int,
    ) -> "PairSampler":
        """Builds the sampler that `data.sampling` describes."""
        return cls(
            index,
            section.positives_per_epoch or len(index.rows),
            section.negatives_per_epoch or len(index.rows),
            seed,
            global_batch_size,
        )

    @property
    def num_steps(self) -> int:
        return steps_in_epoch(self.num_positive + self.num_negative, self.global_batch_size)

    def epoch(self, epoch: int) -> Epoch:
        number = self.num_positive + self.num_negative
        order = epoch_permutation(number, seed=self.seed, epoch=epoch)
        pairable = self.index.at_least(2)

        def batch(step: int) -> SampledPairs:
            index = batch_of(order, step, size=self.global_batch_size)
            label = index < self.num_positive
            left, right = np.empty_like(index), np.empty_like(index)
            for wanted, draw in ((True, sample_positives), (False, sample_negatives)):
                chosen = label == wanted
                among = pairable if wanted else self.index
                left[chosen], right[chosen] = draw(
                    among, seed=self.seed, epoch=epoch, index=index[chosen]
                )
            return SampledPairs(PairTable(left, right, label.astype(np.uint8)), index)

        return Epoch(self.num_steps, batch)


def drawn_pairs(
    section: Sampling,
    *,
    items: ItemTable,
    rows: NDArray[np.int64],
    seed: int,
    global_batch_size: int,
) -> BatchSampler:
    """Builds the sampler of the training pairs of labelled items.

    Args:
        section: `data.sampling`.
        items: All items, with their classes.
        rows: int64 (M,), the training items.
        seed: `run.seed`.
        global_batch_size: Pairs in a batch.

    Raises:
        ConfigError: The items do not fill a batch.
    """
    if items.item_class is None:
        raise ValueError("pairs are drawn from items with classes")
    index = ClassIndex.of(items.item_class, rows=rows)
    if isinstance(section, ClassSamplingConfig):
        return ClassBalancedSampler.configured(
            section, index=index, seed=seed, global_batch_size=global_batch_size
        )
    return PairSampler.configured(
        section, index=index, seed=seed, global_batch_size=global_batch_size
    )


@dataclass(frozen=True, eq=False)
class ClassBalancedSampler:
    """Batches of m items of each of 2B / m classes, paired within the class, no item twice.

    All classes are used, in a new order each round, before one is used again, except for the
    few that would not fill the last batch of a round.

    Args:
        index: The training items; every class has at least m.
        items_per_class: m, even.
        pairs_per_epoch: Pairs in an epoch, rounded down to whole batches.
        seed: `run.seed`.
        global_batch_size: B.
    """

    index: ClassIndex
    items_per_class: int
    pairs_per_epoch: int
    seed: int
    global_batch_size: int

    @classmethod
    def configured(
        cls,
        section: ClassSamplingConfig,
        *,
        index: ClassIndex,
        seed: int,
        global_batch_size: int,
    ) -> "ClassBalancedSampler":
        """Builds the sampler that `data.sampling` describes.

        Raises:
            ConfigError: There are fewer classes than a batch needs.
        """
        large = index.at_least(section.items_per_class)
        needed = 2 * global_batch_size // section.items_per_class
        if len(large.size) < needed:
            raise ConfigError(
                f"data.sampling.items_per_class: a batch of {global_batch_size} pairs needs "
                f"{needed} classes of {section.items_per_class} items; training has "
                f"{len(large.size)} classes of at least that many (and {len(index.size)} in "
                "all). Lower training.global_batch_size or, where classes are smaller, "
                "items_per_class."
            )
        if len(large.rows) < len(index.rows):
            log.warning(
                "small classes left out",
                extra={
                    "items_per_class": section.items_per_class,
                    "classes": len(index.size) - len(large.size),
                    "of_classes": len(index.size),
                    "items": len(index.rows) - len(large.rows),
                },
            )
        pairs = section.pairs_per_epoch or len(index.rows) // 2
        return cls(large, section.items_per_class, pairs, seed, global_batch_size)

    @property
    def num_steps(self) -> int:
        return steps_in_epoch(self.pairs_per_epoch, self.global_batch_size)

    def epoch(self, epoch: int) -> Epoch:
        per_batch = 2 * self.global_batch_size // self.items_per_class
        num_classes = len(self.index.size)
        batches_per_round = num_classes // per_batch

        @lru_cache(maxsize=2)
        def order_of(turn: int) -> NDArray[np.int64]:
            index = turn * num_classes + np.arange(num_classes)
            return np.argsort(
                random_bits(self.seed, epoch=epoch, index=index, stream=_CLASS_ORDER)
            )

        def batch(step: int) -> SampledPairs:
            if not 0 <= step < self.num_steps:
                raise ValueError(f"step {step} is outside an epoch of {self.num_steps}")
            turn, place = divmod(step, batches_per_round)
            classes = order_of(turn)[place * per_batch : (place + 1) * per_batch]
            items = self._items_of(classes, epoch=epoch, visit=turn * num_classes + classes)
            left, right = items.reshape(-1, 2).T
            label = np.ones(len(left), np.uint8)
            index = step * self.global_batch_size + np.arange(len(left))
            return SampledPairs(PairTable(left.copy(), right.copy(), label), index)

        return Epoch(self.num_steps, batch)

    def _items_of(
        self, classes: NDArray[np.int64], *, epoch: int, visit: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Samples m different items of each class, in random order, int64 (c, m).

        Source: Floyd's sampling without replacement (Bentley, Floyd 1987, CACM 30-9, F2), for
        all classes at once.
        """
        m, size = self.items_per_class, self.index.size[classes]
        chosen = np.full((len(classes), m), -1)
        for k in range(m):
            bound = size - m + k + 1
            drawn = integers(
                bound, seed=self.seed, epoch=epoch, index=visit, stream=_ITEM_OF_CLASS, offset=k
            )
            is_taken = (chosen == drawn[:, None]).any(axis=1)
            chosen[:, k] = np.where(is_taken, bound - 1, drawn)
        # The set is uniform, its order is not: the pairing is sampled as well.
        key = random_bits(
            self.seed, epoch=epoch, index=visit[:, None], stream=_PARTNER, offset=np.arange(m)
        )
        mixed = np.take_along_axis(chosen, np.argsort(key, axis=1), axis=1)
        items: NDArray[np.int64] = self.index.rows[self.index.start[classes][:, None] + mixed]
        return items
