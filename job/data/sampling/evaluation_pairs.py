"""Draws the evaluation pairs of labelled items: once, and without duplicates."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import PairTable
from job.data.sampling.pair_sampling import ClassIndex, sample_negatives, sample_positives
from job.data.sampling.permutation import make_rng
from job.types import SPLITS, Split

# Above every epoch; `job.data.splits.partition` has the stream before.
_FIRST_STREAM = 2**63 + 1
# All matches are enumerated if there are fewer than this, or few compared with `num_pairs`.
_ENUMERATED = 1 << 20
_FEW = 8
# If there are hardly more pairs than wanted, a round finds few: stop and take those found.
_MAX_ROUNDS = 100

# Pairs int64 (R, 2) of item numbers, for indices int64 (R,).
_Draw = Callable[[NDArray[np.int64]], NDArray[np.int64]]


def draw_evaluation_pairs(
    item_class: NDArray[np.int64],
    *,
    rows: NDArray[np.int64],
    num_pairs: int,
    seed: int,
    split: Split,
) -> PairTable:
    """Draws pairs, half of them matches; no two pairs have the same two items.

    Args:
        item_class: int64 (N,), the class of every item of the dataset.
        rows: int64 (M,), items of the split: two classes or more, one of them with two items or
            more.
        num_pairs: Wanted number. A split with fewer matches gets all of them, and as many
            non-matches.
        seed: `run.seed`.
        split: Selects, with the seed, the random numbers.

    Returns:
        The pairs in random order, each with either item first.
    """
    stream = _FIRST_STREAM + SPLITS.index(split)
    random = make_rng(seed, stream=stream)
    classes = ClassIndex.of(item_class, rows=rows)

    def matches_at(index: NDArray[np.int64]) -> NDArray[np.int64]:
        pairable = classes.at_least(2)
        return np.stack(
            sample_positives(pairable, seed=seed, epoch=stream, index=index), axis=1
        )

    def others_at(index: NDArray[np.int64]) -> NDArray[np.int64]:
        pairs = sample_negatives(classes, seed=seed, epoch=stream, index=index)
        return np.stack(pairs, axis=1)

    wanted = max(num_pairs // 2, 1)
    total = int((classes.size * (classes.size - 1) // 2).sum())
    if total <= max(_FEW * wanted, _ENUMERATED):
        matches = _some_matches(classes, wanted, random=random)
    else:
        matches = _distinct(matches_at, wanted)
    others = _distinct(others_at, len(matches))
    pairs = random.permuted(np.concatenate([matches, others]), axis=1)
    label = np.repeat(np.array([1, 0], np.uint8), [len(matches), len(others)])
    order = random.permutation(len(pairs))
    left, right = pairs[order].T
    return PairTable(left.copy(), right.copy(), label[order])


def _some_matches(
    classes: ClassIndex, wanted: int, *, random: np.random.Generator
) -> NDArray[np.int64]:
    """Up to `wanted` distinct matches, (K, 2).

    Every item is equally likely to be in a match. If every match were equally likely, one class
    of a hundred items would have as many as five hundred classes of five.
    """
    places = np.arange(len(classes.rows))
    at = classes.class_at(places)
    # Each position is paired with all later ones of its class.
    behind = (classes.start + classes.size)[at] - 1 - places
    first = np.repeat(places, behind)
    second = first + np.arange(len(first)) - np.repeat(np.cumsum(behind) - behind, behind) + 1
    # The smallest exponential variates over weights are a weighted sample without replacement
    # (Efraimidis, Spirakis 2006, algorithm A with the logarithm of its keys).
    key = random.exponential(size=len(first)) * (classes.size[at[first]] - 1)
    chosen = np.argsort(key)[:wanted]
    return np.stack([classes.rows[first[chosen]], classes.rows[second[chosen]]], axis=1)


def _distinct(draw: _Draw, wanted: int) -> NDArray[np.int64]:
    """Draws up to `wanted` pairs, (K, 2), no two of the same two items."""
    found = np.empty((0, 2), np.int64)
    for turn in range(_MAX_ROUNDS):
        drawn = np.sort(draw(turn * wanted + np.arange(wanted)), axis=1)
        both = np.concatenate([found, drawn])
        key = both[:, 0] * (1 + both.max(initial=0)) + both[:, 1]
        found = both[np.sort(np.unique(key, return_index=True)[1])]
        if len(found) >= wanted:
            break
    return found[:wanted]
