"""The curves against plain loops, and the bands against known spreads."""

import statistics

import numpy as np
import pytest

from job.evaluation.identities import Identities
from job.report.bands import GRID, quality_curves
from job.report.facts import ScoredPairs
from tests.report.made_up import scored

GRID_POINTS = np.linspace(0, 1, GRID)


def without_sharing(label, score) -> ScoredPairs:
    items = np.arange(2 * len(label)).reshape(2, -1)
    label, score = np.asarray(label, bool), np.asarray(score, np.float64)
    return ScoredPairs(label, score, score, Identities.of(*items))


@pytest.mark.parametrize("digits", [1, 2, 9])
def test_the_curves_are_those_of_counting_at_every_threshold(digits):
    pairs = scored(200, seed=5)
    score = np.round(pairs.score, digits)
    pairs = ScoredPairs(pairs.label, score, score, pairs.identities)
    curves = quality_curves(pairs)
    thresholds = np.unique(score)[::-1]
    recall = np.array([(score >= t)[pairs.label].mean() for t in thresholds])
    false = np.array([(score >= t)[~pairs.label].mean() for t in thresholds])
    precision = np.array([pairs.label[score >= t].mean() for t in thresholds])
    for x, y in zip(GRID_POINTS, curves.roc.y, strict=True):
        # The corner points before and after bound what lies between.
        assert recall[false <= x].max(initial=0.0) <= y + 1e-9
        assert y <= recall[false >= x].min(initial=1.0) + 1e-9 or x in false
    for x, y in zip(GRID_POINTS[1:], curves.precision_recall.y, strict=True):
        assert y == pytest.approx(precision[recall >= x - 1e-9][0])


def test_a_perfect_model_reaches_the_corner():
    curves = quality_curves(without_sharing([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    assert (curves.roc.y == 1.0).all()
    assert (curves.precision_recall.y == 1.0).all()


def test_the_calibration_is_the_share_of_matches_in_bins_of_equally_many_pairs():
    score = np.linspace(0.001, 0.999, 1000)
    label = np.arange(1000) % 10 < (np.arange(1000) // 100)
    curves = quality_curves(without_sharing(label, score))
    assert curves.calibration.y == pytest.approx(np.arange(10) / 10)
    assert curves.calibration.x == pytest.approx(np.arange(10) / 10 + 0.05, abs=1e-3)


def test_equal_probabilities_are_one_bin():
    curves = quality_curves(without_sharing([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]))
    assert curves.calibration.y.tolist() == [0.5]


def test_the_band_contains_the_curve_and_pairs_of_shared_items_widen_it():
    random = np.random.default_rng(0)
    quality = random.normal(size=40)  # how recognisable an item is
    left, right = random.integers(0, 40, (2, 2000))
    label = np.arange(2000) % 2 == 1
    noise = random.normal(scale=0.3, size=2000)
    score = 1 / (1 + np.exp(-(2 * label - 1) * (1 + quality[left] + quality[right]) - noise))
    shared = quality_curves(ScoredPairs(label, score, score, Identities.of(left, right))).roc
    alone = quality_curves(without_sharing(label, score)).roc
    for band in (shared, alone):
        inside = (band.low <= band.y + 1e-9) & (band.y <= band.high + 1e-9)
        assert inside.mean() > 0.95
    assert (shared.high - shared.low).mean() > 2 * (alone.high - alone.low).mean()


def test_independent_pairs_have_the_bands_of_independent_decisions():
    random = np.random.default_rng(3)
    label = np.arange(4000) % 2 == 1
    curves = quality_curves(without_sharing(label, label + random.normal(size=4000)))
    # The recall at a false positive rate, which has an error of its own: of the ROC curve's
    # slope times that of the rate (Pepe 2003, section 5.2.2); here the slope is a ratio of
    # two normal densities.
    rate, recall = curves.roc.x[10:90], curves.roc.y[10:90]
    at = np.array([statistics.NormalDist().inv_cdf(1 - x) for x in rate])
    slope = np.exp(at - 0.5)
    variance = (recall * (1 - recall) + slope**2 * rate * (1 - rate)) / 2000
    half = (curves.roc.high - curves.roc.low)[10:90] / 2
    assert np.mean(half / (1.96 * np.sqrt(variance))) == pytest.approx(1.0, abs=0.25)
    # In a bin of equally many pairs, the share of matches is a binomial one.
    share, pairs = curves.calibration.y, 4000 / 10
    half = (curves.calibration.high - curves.calibration.low) / 2
    expected = 1.96 * np.sqrt(share * (1 - share) / pairs)
    assert np.mean(half / expected) == pytest.approx(1.0, abs=0.25)


def test_the_same_pairs_give_the_same_bands():
    one, two = (quality_curves(scored()) for _ in range(2))
    assert np.array_equal(one.roc.low, two.roc.low)


def test_a_draw_that_never_has_both_labels_leaves_no_band():
    # One match and one other pair, each with an item of its own: most draws miss one of them.
    label, score = np.array([True, False]), np.array([0.9, 0.1])
    same = Identities.of(np.array([0, 0]), np.array([0, 0]))
    curves = quality_curves(ScoredPairs(label, score, score, same))
    assert np.array_equal(curves.roc.low, curves.roc.high)  # both or none, so nothing varies
