"""Curves of quality with 95 % bands. P pairs, B draws, G grid points.

Bands come from draws of identities, as the intervals of `job.evaluation.intervals` do: pairs
that share an identity are not independent. A band is that of the draws, shrunk around the
curve by the share of their variance that is not surplus (`kept_share`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.evaluation.resampling import Draw, by_dyad, by_identity, kept_share, replicates
from job.report.facts import ScoredPairs

Array = NDArray[np.float64]

GRID = 101
BINS = 10
# Draws of identities; as many of pairs of identities measure the surplus. More pairs get fewer.
_MOST_DRAWS = 100
_FEWEST_DRAWS = 40
# Pairs times draws; keeps the time near a second on one core.
_MOST_WORK = 4_000_000
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
    """

    roc: Band
    precision_recall: Band
    calibration: Band


def quality_curves(pairs: ScoredPairs, *, seed: int = 0) -> Quality:
    """The curves of a split, with bands by resampling its identities.

    Args:
        pairs: Of both labels.
        seed: Of the draws.
    """
    # A block is what one threshold cannot separate: pairs of equal score.
    score, block = np.unique(-pairs.score, return_inverse=True)
    bins = _equal_bins(pairs.probability)
    grid = np.linspace(0.0, 1.0, GRID)

    def curves(weight: NDArray[np.floating]) -> tuple[Array, Array, Array]:
        matches = np.bincount(block, weight * pairs.label, minlength=len(score))
        others = np.bincount(block, weight * ~pairs.label, minlength=len(score))
        accepted: Array = np.cumsum(matches, dtype=np.float64)
        false: Array = np.cumsum(others, dtype=np.float64)
        return (
            _roc(accepted, false, grid),
            _precision(accepted, false, grid)[1:],
            _share(bins, pairs.label, weight),
        )

    def drawn(draw: Draw, seed: int) -> Iterator[tuple[Array, Array, Array]]:
        size = len(pairs.label)
        count = int(np.clip(_MOST_WORK // size, _FEWEST_DRAWS, _MOST_DRAWS))
        for weights in replicates(draw, count=count, num_pairs=size, seed=seed):
            for weight in weights:
                if weight[pairs.label].any() and weight[~pairs.label].any():
                    yield curves(weight)

    mean = np.bincount(bins, pairs.probability) / np.bincount(bins)
    moved = list(drawn(by_identity(pairs.identities), seed))
    surplus = list(drawn(by_dyad(pairs.identities), seed + 1))
    roc, precision, calibration = (
        _band(x, y, [one[curve] for one in moved], [one[curve] for one in surplus])
        for curve, (x, y) in enumerate(
            zip((grid, grid[1:], mean), curves(np.ones(len(pairs.label))), strict=True)
        )
    )
    return Quality(roc, precision, calibration)


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


def _share(
    bins: NDArray[np.int64], label: NDArray[np.bool_], weight: NDArray[np.floating]
) -> Array:
    size = int(bins.max()) + 1
    total = np.bincount(bins, weight, minlength=size)
    matches = np.bincount(bins, weight * label, minlength=size)
    share: Array = matches / np.where(total > 0, total, np.nan)
    return share


def _band(x: Array, y: Array, moved: list[Array], surplus: list[Array]) -> Band:
    """The band of a curve from its draws of identities, and of pairs of identities."""
    low, high = np.full_like(y, np.nan), np.full_like(y, np.nan)
    if moved and surplus:
        drawn, beyond = np.stack(moved), np.stack(surplus)
        known = ~(np.isnan(drawn).all(axis=0) | np.isnan(beyond).all(axis=0))
        drawn, beyond, at = drawn[:, known], beyond[:, known], y[known]
        shrink = np.sqrt(kept_share(np.nanvar(drawn, axis=0), np.nanvar(beyond, axis=0)))
        ends = np.nanpercentile(drawn, _PERCENTILES, axis=0)
        low[known], high[known] = at + shrink * (ends - at)
    return Band(x, y, low, high)
