"""Sequences: features that never change or stray far, and numbers that describe a whole one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.inspection.chunking import parts
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.types import Split

_FEATURES_KEPT = 10

# What is described of a sequence: with more features than this, some are added up.
_COLUMNS = 32
_POINTS = 4
_MAX_VALUES = 1 << 28  # which a few seconds are enough for


@dataclass(frozen=True)
class Furthest:
    """The value that is furthest from the training mean of its feature.

    Attributes:
        value: The value.
        feature: Number of its feature, from 0.
        deviations: How far, in standard deviations of the feature over training.
    """

    value: float
    feature: int
    deviations: float


@dataclass(frozen=True)
class FeatureInspection:
    """The features of a time step.

    Attributes:
        num_features: Features.
        num_constant: Features that never change in training.
        constant: The first of them, from 0.
        num_constant_elsewhere: Those of them that have another value in validation or test.
        furthest: Of each split, over the features that do change in training; None: none does.
    """

    num_features: int
    num_constant: int
    constant: tuple[int, ...]
    num_constant_elsewhere: int
    furthest: Mapping[Split, Furthest | None]


def inspect_features(
    sequences: RaggedArray, rows: Mapping[Split, NDArray[np.int64]], *, moments: FeatureStats
) -> FeatureInspection:
    """Looks at every value of every split.

    Args:
        sequences: float32 (V, F) values.
        rows: int64 (R,), the items of each split, each once.
        moments: Of the training items.
    """
    ranges = {split: _range(sequences, chosen) for split, chosen in rows.items()}
    least, most = ranges["train"]
    constant = least == most
    moved = [(low != least) | (high != most) for low, high in ranges.values()]
    return FeatureInspection(
        num_features=len(constant),
        num_constant=int(np.count_nonzero(constant)),
        constant=tuple(np.flatnonzero(constant)[:_FEATURES_KEPT].tolist()),
        num_constant_elsewhere=int(np.count_nonzero(constant & np.any(moved, axis=0))),
        furthest={
            split: None if constant.all() else _furthest(low, high, constant, moments)
            for split, (low, high) in ranges.items()
        },
    )


def describe_sequences(
    sequences: RaggedArray, rows: NDArray[np.int64], *, moments: FeatureStats
) -> NDArray[np.float64]:
    """Some numbers for each sequence, whatever its length.

    Of each feature, in its deviations from its mean: mean, deviation, least, most, and the
    values at the beginning, at the end and between; besides, the length. Beyond 32 features,
    every 32nd is added up.

    Args:
        sequences: float32 (V, F) values, at least one step a sequence.
        rows: int64 (R,), which of them.
        moments: Of the training items.

    Returns:
        float64 (R, D), D at most 257.
    """
    taken = sequences.take(rows)
    steps = (taken.values.astype(np.float64) - np.array(moments.mean)) / np.array(moments.std)
    steps = _folded(steps)
    starts, lengths = taken.offsets[:-1], taken.lengths
    mean = np.add.reduceat(steps, starts) / lengths[:, None]
    square = np.add.reduceat(np.square(steps), starts) / lengths[:, None]
    share = np.linspace(0.0, 1.0, _POINTS)
    places = starts[:, None] + np.rint((lengths - 1)[:, None] * share).astype(np.int64)
    return np.concatenate(
        [
            mean,
            np.sqrt(np.maximum(square - np.square(mean), 0.0)),
            np.minimum.reduceat(steps, starts),
            np.maximum.reduceat(steps, starts),
            steps[places].reshape(len(rows), -1),
            lengths[:, None],
        ],
        axis=1,
    )


def sequence_parts(
    sequences: RaggedArray, rows: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Cuts row numbers, int64 (R,), so that the sequences of each part fit the memory."""
    return parts(rows, sizes=sequences.lengths_of(rows) * sequences.values.shape[1])


def max_sequences(sequences: RaggedArray) -> int:
    """How many sequences can be described in a few seconds."""
    return _MAX_VALUES * len(sequences) // max(sequences.values.size, 1)


def _range(
    sequences: RaggedArray, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and most of each feature, float64 (F,) both."""
    least = np.full(sequences.values.shape[1], np.inf)
    most = -least
    for part in sequence_parts(sequences, rows):
        steps = sequences.take(part).values
        np.minimum(least, steps.min(axis=0), out=least)
        np.maximum(most, steps.max(axis=0), out=most)
    return least, most


def _furthest(
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    constant: NDArray[np.bool_],
    moments: FeatureStats,
) -> Furthest:
    mean, std = np.array(moments.mean), np.array(moments.std)
    extremes = np.stack([least, most])
    deviations = np.where(constant, -1.0, np.abs(extremes - mean) / std)
    side, feature = np.unravel_index(np.argmax(deviations), deviations.shape)
    return Furthest(
        float(extremes[side, feature]), int(feature), float(deviations[side, feature])
    )


def _folded(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with at most _COLUMNS columns: feature f is added to column f % _COLUMNS."""
    if steps.shape[1] <= _COLUMNS:
        return steps
    folded = np.zeros((len(steps), _COLUMNS))
    for start in range(0, steps.shape[1], _COLUMNS):
        block = steps[:, start : start + _COLUMNS]
        folded[:, : block.shape[1]] += block
    return folded
