"""Curves of quality with 95 % bands. P pairs, U units, B draws, G grid points.

Pairs that share an item or a class are not independent, so units are drawn with replacement,
not pairs. A pair counts as often as both of its units were drawn.

Source: Owen 2007, The pigeonhole bootstrap, eq. 6: the weight of a pair is the product of the
counts of its two units.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.report.facts import ScoredPairs

Array = NDArray[np.float64]

GRID = 101
BINS = 10
_MOST_DRAWS = 200
# Pairs times draws; keeps the time below a second on one core.
_MOST_WORK = 8_000_000
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class Band:
    """A curve and its 95 % band.

    Attributes:
        x: float64 (G,).
        y: float64 (G,).
        low: float64 (G,), NaN where no draw has a value.
        high: float64 (G,).
    """

    x: Array
    y: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Quality:
    """The curves of a split.

    Attributes:
        roc: True positive rate by false positive rate.
        precision_recall: Precision by recall.
        calibration: Share of matches by predicted probability, in bins of equally many pairs.
        bin_pairs: int64 (G,), pairs of each bin.
    """

    roc: Band
    precision_recall: Band
    calibration: Band
    bin_pairs: NDArray[np.int64]


def quality_curves(pairs: ScoredPairs, *, seed: int = 0) -> Quality:
    """The curves of a split, with bands by resampling its items or classes.

    Args:
        pairs: Of both labels.
        seed: Of the draws.
    """
    # A block is what one threshold cannot separate: pairs of equal score.
    score, block = np.unique(-pairs.score, return_inverse=True)
    bins = _equal_bins(pairs.probability)
    grid = np.linspace(0.0, 1.0, GRID)

    def curves(weight: Array) -> tuple[Array, Array, Array]:
        matches = np.bincount(block, weight * pairs.label, minlength=len(score))
        others = np.bincount(block, weight * ~pairs.label, minlength=len(score))
        accepted: Array = np.cumsum(matches, dtype=np.float64)
        false: Array = np.cumsum(others, dtype=np.float64)
        return (
            _roc(accepted, false, grid),
            _precision(accepted, false, grid),
            _share(bins, pairs.label, weight),
        )

    roc, precision, share = curves(np.ones(len(pairs.label)))
    drawn = [curves(weight) for weight in _weights(pairs, seed=seed)]
    count = np.bincount(bins)
    mean = np.bincount(bins, pairs.probability) / count
    return Quality(
        _band(grid, roc, [one[0] for one in drawn]),
        _band(grid[1:], precision[1:], [one[1][1:] for one in drawn]),
        _band(mean, share, [one[2] for one in drawn]),
        count,
    )


def _weights(pairs: ScoredPairs, *, seed: int) -> Iterator[Array]:
    """How often each pair counts, float64 (P,), for each draw that has pairs of both labels."""
    units, place = np.unique(np.concatenate([pairs.left, pairs.right]), return_inverse=True)
    left, right = np.split(place, 2)
    is_same = left == right
    random = np.random.default_rng(seed)
    draws = int(np.clip(_MOST_WORK // len(left), 50, _MOST_DRAWS))
    for _ in range(draws):
        count = np.bincount(random.integers(0, len(units), len(units)), minlength=len(units))
        weight = np.where(is_same, count[left], count[left] * count[right]).astype(np.float64)
        if weight[pairs.label].any() and weight[~pairs.label].any():
            yield weight


def _roc(accepted: Array, false: Array, grid: Array) -> Array:
    x = np.concatenate([[0.0], false / false[-1]])
    y = np.concatenate([[0.0], accepted / accepted[-1]])
    # The upper end of a vertical part; np.interp alone may take the lower one.
    last = np.searchsorted(x, grid, side="right") - 1
    following = np.minimum(last + 1, len(x) - 1)
    run = np.where(x[following] > x[last], x[following] - x[last], 1.0)
    rate: Array = y[last] + (y[following] - y[last]) * (grid - x[last]) / run
    return rate


def _precision(accepted: Array, false: Array, grid: Array) -> Array:
    """Precision of the first decision that reaches a recall."""
    recall = accepted / accepted[-1]
    first = np.searchsorted(recall, grid - 1e-12)
    taken = accepted + false
    precision: Array = accepted[first] / np.where(taken[first] > 0, taken[first], np.nan)
    return precision


def _equal_bins(probability: Array) -> NDArray[np.int64]:
    """int64 (P,), the bin of each pair; equal probabilities share one."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, probability, side="right")
    return np.unique(bins, return_inverse=True)[1]


def _share(bins: NDArray[np.int64], label: NDArray[np.bool_], weight: Array) -> Array:
    size = int(bins.max()) + 1
    total = np.bincount(bins, weight, minlength=size)
    matches = np.bincount(bins, weight * label, minlength=size)
    share: Array = matches / np.where(total > 0, total, np.nan)
    return share


def _band(x: Array, y: Array, drawn: list[Array]) -> Band:
    if not drawn:
        missing = np.full_like(y, np.nan)
        return Band(x, y, missing, missing)
    stacked = np.stack(drawn)
    known = ~np.isnan(stacked).all(axis=0)
    low, high = np.full_like(y, np.nan), np.full_like(y, np.nan)
    low[known], high[known] = np.nanpercentile(stacked[:, known], _PERCENTILES, axis=0)
    return Band(x, y, low, high)
