"""Metrics of weighted pairs equal slow references that repeat a pair as often as it counts."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from job.errors import DataError
from job.evaluation import metrics
from job.evaluation.intervals import Measures
from job.evaluation.weighted import NUM_BINS, Judged, equal_bins
from tests.evaluation.test_metrics import (
    slow_average_precision,
    slow_equal_error_rate,
    slow_roc_auc,
)

RATE = {"tar": 0.25}


def judged(label, score, calibrated=None):
    score = np.asarray(score, np.float64)
    label = np.asarray(label, bool)
    chance = score if calibrated is None else np.asarray(calibrated, np.float64)
    return Judged(label, score, score >= 0.5, score, chance)


def slow_decisions(label, score, share):
    """Decision metrics at 0.5 in fractions, matches counted as `share` of all pairs."""
    tp = Fraction(sum(1 for y, s in zip(label, score, strict=True) if y and s >= 0.5))
    fp = Fraction(sum(1 for y, s in zip(label, score, strict=True) if not y and s >= 0.5))
    matches, others = Fraction(sum(map(int, label))), Fraction(sum(1 for y in label if not y))
    if share is not None:
        tp, fp = tp / matches * Fraction(share), fp / others * (1 - Fraction(share))
        matches, others = Fraction(share), 1 - Fraction(share)
    tn, fn = others - fp, matches - tp
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return {
        "accuracy": (tp + tn) / (matches + others),
        "precision": tp / (tp + fp) if tp + fp else math.nan,
        "recall": tp / matches,
        "false_accept_rate": fp / others,
        "balanced_accuracy": (tp / matches + tn / others) / 2,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "mcc": float(tp * tn - fp * fn) / root if root else 0.0,
    }


def slow_true_accepts(label, score, rate):
    """From the highest score down until enough others are accepted, of a tie a part."""
    pairs = list(zip(label, score, strict=True))
    num_matches, num_others = sum(map(int, label)), sum(1 for y in label if not y)
    others, matches = Fraction(0), Fraction(0)
    for value in sorted(set(score), reverse=True):
        more_others = sum(1 for y, s in pairs if not y and s == value)
        more_matches = sum(1 for y, s in pairs if y and s == value)
        missing = Fraction(rate) * num_others - others
        if more_others >= missing:
            return (matches + missing / more_others * more_matches) / num_matches
        others, matches = others + more_others, matches + more_matches
    raise AssertionError("the rate is above 0 and below 1")


def slow_brier(label, chance, share):
    square = {True: [], False: []}
    for y, p in zip(label, chance, strict=True):
        square[bool(y)].append((p - y) ** 2)
    if share is None:
        return sum(square[True] + square[False]) / len(label)
    mean = {y: sum(values) / len(values) for y, values in square.items()}
    return share * mean[True] + (1 - share) * mean[False]


def slow_ece(label, chance):
    """Sorted and cut into ten parts of equal size, where no two equal values are divided."""
    order = sorted(range(len(chance)), key=lambda i: -chance[i])
    values = [chance[i] for i in order]
    cuts = {0} | {values.index(values[k * len(order) // NUM_BINS]) for k in range(1, NUM_BINS)}
    total = 0.0
    for start, end in pairwise([*sorted(cuts), len(order)]):
        part = order[start:end]
        total += abs(sum(float(label[i]) - chance[i] for i in part))
    return total / len(order)


@pytest.mark.parametrize("share", [None, 0.125])
@pytest.mark.parametrize("count", [3, 12, 60])
def test_every_metric_equals_a_slow_reference_on_random_pairs_with_ties(count, share):
    rng = np.random.default_rng(count)
    for _ in range(30):
        label, score = rng.random(count) < 0.4, rng.integers(0, 9, count) / 8
        label[:2] = [True, False]
        found = Measures(share, RATE).of(judged(label, score, score**2))
        expected = {
            **slow_decisions(label, score, share),
            "roc_auc": slow_roc_auc(label, score),
            "eer": slow_equal_error_rate(label, score),
            "tar": slow_true_accepts(label, score, 0.25),
            "raw_brier": slow_brier(label, score, share),
            "brier": slow_brier(label, score**2, share),
        }
        if share is None:
            expected["average_precision"] = slow_average_precision(label, score)
            expected["raw_ece"] = slow_ece(label, list(score))
            expected["ece"] = slow_ece(label, list(score**2))
        for name, value in expected.items():
            assert found[name] == pytest.approx(float(value), abs=2e-6, nan_ok=True), name


def test_a_weight_counts_a_pair_as_often():
    rng = np.random.default_rng(5)
    for _ in range(40):
        label, score = rng.random(30) < 0.5, rng.integers(0, 12, 30) / 11
        times = rng.integers(0, 3, 30)
        again = np.repeat(np.arange(30), times)
        if len(set(label[again])) < 2:
            continue
        ranked = Measures(None, RATE).rank(judged(label, score))
        weighted = ranked.metrics(times[None, ranked.order].astype(np.float32))
        repeated = Measures(None, RATE).of(judged(label[again], score[again]))
        for name in repeated.keys() - {"ece", "raw_ece"}:  # whose bins have as many pairs
            assert weighted[name][0] == pytest.approx(repeated[name], abs=2e-6, nan_ok=True)


def test_a_match_share_is_as_if_pairs_were_repeated():
    label, score = np.array([1, 1, 0, 0, 0, 1]), np.array([0.9, 0.6, 0.7, 0.2, 0.1, 0.4])
    # Matches three times: 9 of 12.
    again = np.concatenate([np.repeat(np.flatnonzero(label), 3), np.flatnonzero(label == 0)])
    asked = Measures(0.75).of(judged(label, score))
    for name, value in Measures().of(judged(label[again], score[again])).items():
        if "ece" not in name:
            assert asked[name] == pytest.approx(value, abs=1e-6), name


def test_the_monitored_metrics_are_the_same_numbers():
    rng = np.random.default_rng(1)
    label, score = rng.random(200) < 0.3, rng.integers(0, 40, 200) / 39
    found = Measures(None, {"tar_at_far_1e-1": 0.1}).of(judged(label, score))
    for name, metric in metrics.DECISIONS.items():
        assert metric(label, score, threshold=0.5) == pytest.approx(found[name], abs=1e-6)
    for name in ("roc_auc", "average_precision", "eer", "tar_at_far_1e-1"):
        assert metrics.RANKINGS[name](label, score) == pytest.approx(found[name], abs=1e-6)
    assert metrics.brier(label, score) == pytest.approx(found["raw_brier"], abs=1e-6)


def test_true_accepts_are_measured_only_with_enough_other_pairs():
    # (1 - 0.1)^28 = 0.052 and ^29 = 0.047.
    for others, is_known in ((28, False), (29, True)):
        label = np.array([1] * 3 + [0] * others)
        rate = metrics.true_accept_rate(label, -np.arange(len(label)), false_accept_rate=0.1)
        assert math.isnan(rate) != is_known


@pytest.mark.parametrize("label", [[True, True, True], [False, False, False]])
def test_pairs_of_one_class_have_no_ranking(label):
    found = Measures(None, RATE).of(judged(label, [0.1, 0.6, 0.9]))
    for name in ("roc_auc", "average_precision", "eer", "tar", "balanced_accuracy"):
        assert math.isnan(found[name]), name
    assert found["accuracy"] == pytest.approx(2 / 3 if label[0] else 1 / 3)


def test_nan_is_refused():
    with pytest.raises(DataError, match="not finite"):
        metrics.brier([0, 1], [0.5, math.nan])


def test_bins_hold_equally_many_pairs_and_never_divide_equal_ones():
    assert equal_bins(np.arange(20, 0, -1.0)).tolist() == list(range(0, 20, 2))
    assert equal_bins(np.ones(20)).tolist() == [0]
    assert equal_bins(np.array([0.9, 0.5, 0.1])).tolist() == [0, 1, 2]
