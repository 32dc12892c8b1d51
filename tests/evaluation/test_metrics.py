"""Hand-derived tables, slow references over all pairs of pairs, and the edges."""

import math
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.config.monitors import QUALITY_METRICS, RETRIEVAL_METRICS
from job.errors import DataError
from job.evaluation import metrics
from job.evaluation.retrieval import UNKNOWN

# name: (label, score, ROC-AUC, average precision, equal error rate)
TABLE = {
    "perfect": ([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 1, 1, 0),
    # Precision is 0/1, 0/2, 1/3, 2/4; the two matches gain recall at 1/3 and 1/2.
    "reversed": ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 0, 5 / 12, 1),
    "all equal": ([1, 0, 0], [0.5, 0.5, 0.5], 1 / 2, 1 / 3, 1 / 2),
    "one pair of each": ([0, 1], [0.1, 0.2], 1, 1, 0),
    # 3 of 4 (match, other) combinations are in order. Precision 1 and 2/3. After the first
    # two pairs one match of two is refused and one other of two accepted.
    "one swap": ([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], 3 / 4, 5 / 6, 1 / 2),
    # The tie holds one match and one other: 1 + 1 + 1/2 + 1 of 4. Precision 1, then 2/3.
    # Before the tie (rejects 1/2, accepts 0), after it (0, 1/2): they meet half way.
    "tie in the middle": ([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1], 7 / 8, 5 / 6, 1 / 4),
    # Rejects and accepts: (1, 0), (1/2, 0), (1/2, 1/3), (0, 1/3), ...: they meet on the way
    # from (1/2, 1/3) to (0, 1/3), where accepts stay 1/3.
    "uneven classes": ([1, 0, 1, 0, 0], [5, 4, 3, 2, 1], 5 / 6, 5 / 6, 1 / 3),
}

LABELS_AND_SCORES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=24
).filter(lambda pairs: {label for label, _ in pairs} == {0, 1})


def columns(pairs):
    label, score = zip(*pairs, strict=True)
    return np.array(label, np.uint8), np.array(score, np.float32) / 8


def slow_roc_auc(label, score):
    wins = Fraction(0)
    matches = [s for y, s in zip(label, score, strict=True) if y]
    others = [s for y, s in zip(label, score, strict=True) if not y]
    for match in matches:
        for other in others:
            wins += 1 if match > other else Fraction(1, 2) if match == other else 0
    return wins / (len(matches) * len(others))


def rates_at(label, score, threshold):
    """(false reject rate, false accept rate) of `score >= threshold`."""
    pairs = list(zip(label, score, strict=True))
    positives = sum(1 for y, _ in pairs if y)
    rejects = Fraction(sum(1 for y, s in pairs if y and s < threshold), positives)
    accepts = Fraction(
        sum(1 for y, s in pairs if not y and s >= threshold), len(pairs) - positives
    )
    return rejects, accepts


def slow_average_precision(label, score):
    total = Fraction(0)
    for threshold in set(score):
        accepted = [y for y, s in zip(label, score, strict=True) if s >= threshold]
        gained = sum(1 for y, s in zip(label, score, strict=True) if y and s == threshold)
        total += Fraction(gained * sum(map(int, accepted)), len(accepted))
    return total / sum(map(int, label))


def slow_equal_error_rate(label, score):
    curve = [rates_at(label, score, t) for t in [math.inf, *sorted(set(score), reverse=True)]]
    for (rejects, accepts), (fewer_rejects, more_accepts) in pairwise(curve):
        before, after = rejects - accepts, fewer_rejects - more_accepts
        if before > 0 >= after:
            return accepts + before / (before - after) * (more_accepts - accepts)
    raise AssertionError("the curve never crosses the line of equal errors")


@pytest.mark.parametrize(
    ("label", "score", "area", "precision", "eer"), TABLE.values(), ids=TABLE
)
def test_ranking_metrics_match_the_values_derived_by_hand(label, score, area, precision, eer):
    assert metrics.roc_auc(label, score) == pytest.approx(area, rel=1e-15)
    assert metrics.average_precision(label, score) == pytest.approx(precision, rel=1e-15)
    assert metrics.equal_error_rate(label, score).rate == pytest.approx(eer, rel=1e-15)


@given(LABELS_AND_SCORES)
def test_roc_auc_counts_every_match_against_every_other(pairs):
    label, score = columns(pairs)
    expected = float(slow_roc_auc(label, score))
    assert metrics.roc_auc(label, score) == pytest.approx(expected, rel=1e-14)


@given(LABELS_AND_SCORES)
def test_average_precision_equals_a_pass_over_every_threshold(pairs):
    label, score = columns(pairs)
    expected = float(slow_average_precision(label, score))
    assert metrics.average_precision(label, score) == pytest.approx(expected, rel=1e-14)


@given(LABELS_AND_SCORES)
def test_equal_error_rate_is_where_the_two_error_curves_cross(pairs):
    label, score = columns(pairs)
    expected = float(slow_equal_error_rate(label, score))
    assert metrics.equal_error_rate(label, score).rate == pytest.approx(expected, abs=1e-14)


@given(LABELS_AND_SCORES)
def test_equal_error_threshold_has_the_most_equal_rates_any_threshold_can_have(pairs):
    label, score = columns(pairs)
    rejects, accepts = rates_at(label, score, metrics.equal_error_rate(label, score).threshold)
    possible = [rates_at(label, score, t) for t in [*set(score), 99.0]]
    assert abs(rejects - accepts) == min(abs(r - a) for r, a in possible)


def test_equal_error_threshold_prefers_fewer_false_accepts_when_two_points_are_as_near():
    # At 0.9 rejects 1/2, accepts 0; at 0.5 rejects 0, accepts 1/2.
    label, score = [1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1]
    threshold = metrics.equal_error_rate(label, score).threshold
    assert threshold == float(np.float32(0.7))


@given(LABELS_AND_SCORES, st.randoms(use_true_random=False))
def test_no_metric_depends_on_the_order_of_the_pairs(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    for metric in (metrics.roc_auc, metrics.average_precision, metrics.equal_error_rate):
        assert metric(*columns(pairs)) == metric(*columns(shuffled))


@given(LABELS_AND_SCORES)
def test_swapping_the_classes_and_the_order_keeps_the_area(pairs):
    label, score = columns(pairs)
    expected = metrics.roc_auc(label, score)
    assert metrics.roc_auc(1 - label, -score) == pytest.approx(expected, rel=1e-14)


def test_counts_larger_than_32_bits_do_not_overflow():
    label = np.repeat([0, 1], 100_000)
    score = np.arange(200_000, dtype=np.float64)
    assert metrics.roc_auc(label, score) == 1.0
    assert metrics.equal_error_rate(label, score).rate == 0.0
    assert metrics.mcc(label, score, threshold=100_000.0) == 1.0


def test_a_decision_accepts_scores_at_the_threshold():
    label, score = [1, 1, 0, 0, 0], [0.9, 0.5, 0.5, 0.4, 0.6]  # 2 tp, 2 fp, 1 tn
    assert metrics.accuracy(label, score, threshold=0.5) == 3 / 5
    assert metrics.f1(label, score, threshold=0.5) == 4 / 6


# (tp, fp, fn, tn, accuracy, F1, MCC); MCC of (6, 1, 2, 3): 16 / sqrt(7 * 8 * 4 * 5).
COUNTS = [
    (6, 1, 2, 3, 9 / 12, 12 / 15, 16 / math.sqrt(1120)),
    (5, 0, 0, 5, 1.0, 1.0, 1.0),
    (0, 5, 5, 0, 0.0, 0.0, -1.0),
    (0, 0, 4, 6, 0.6, 0.0, 0.0),  # accepts no pair
    (4, 6, 0, 0, 0.4, 8 / 14, 0.0),  # accepts every pair
    (0, 0, 0, 7, 1.0, 0.0, 0.0),  # nothing to find
]


@pytest.mark.parametrize(("tp", "fp", "fn", "tn", "accuracy", "f1", "mcc"), COUNTS)
def test_decision_metrics_match_the_values_derived_by_hand(tp, fp, fn, tn, accuracy, f1, mcc):
    label = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    score = np.repeat([0.9, 0.8, 0.2, 0.1], [tp, fp, fn, tn])
    assert metrics.accuracy(label, score, threshold=0.5) == accuracy
    assert metrics.f1(label, score, threshold=0.5) == f1
    assert metrics.mcc(label, score, threshold=0.5) == pytest.approx(mcc, rel=1e-15)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "equal_error_rate"])
@pytest.mark.parametrize(
    ("label", "score", "message"),
    [
        ([], [], "no pairs"),
        ([1, 1], [0.1, 0.2], r"all 2 pairs match \(label 1\)"),
        ([0, 0, 0], [0.1, 0.2, 0.3], r"all 3 pairs do not match \(label 0\)"),
        ([0, 2], [0.1, 0.2], "got 2 at pair 1"),
        ([0.5, 1.0], [0.1, 0.2], r"got 0\.5 at pair 0"),
        ([0, 1, 1], [0.1, math.nan, math.inf], r"2 of 3 are .* the first \(nan\) at pair 1"),
        ([0, 1], [0.1, -math.inf], "1 of 2 are not finite"),
    ],
)
def test_pairs_that_cannot_be_ranked_are_refused(metric, label, score, message):
    with pytest.raises(DataError, match=message):
        getattr(metrics, metric)(label, score)


@pytest.mark.parametrize(
    ("label", "score"), [([0, 1], [0.5]), ([[0, 1]], [[0.1, 0.2]]), (1, 0.5)]
)
def test_arrays_that_do_not_pair_up_are_refused_with_their_shapes(label, score):
    with pytest.raises(ValueError, match=r"label \(.*\) and score \(.*\) must both be \(P,\)"):
        metrics.roc_auc(label, score)


def test_decisions_need_no_second_class_but_a_threshold_and_a_pair():
    assert metrics.accuracy([1, 1], [0.2, 0.8], threshold=0.5) == 0.5
    with pytest.raises(DataError, match="no pairs"):
        metrics.accuracy([], [], threshold=0.5)
    with pytest.raises(ValueError, match="threshold: got nan"):
        metrics.f1([1], [0.5], threshold=math.nan)


def measured(label, values):
    """Every metric, of values that are logits and scores at once."""
    return {
        **{name: metric(label, values) for name, metric in metrics.RANKINGS.items()},
        **{
            name: metric(label, values, threshold=0.5)
            for name, metric in metrics.DECISIONS.items()
        },
    }


def test_every_declared_metric_is_computed_and_in_its_range():
    rng = np.random.default_rng(0)
    # One in 10,000 false accepts is measured from 29,956 other pairs on.
    found = measured(rng.integers(0, 2, 70_000), rng.integers(0, 9, 70_000) / 8)
    assert set(found) == set(QUALITY_METRICS)
    assert set(UNKNOWN) == set(RETRIEVAL_METRICS)
    for name, value in found.items():
        # A gauge that can be negative would not be a share, as docs/metrics.md promises.
        least = 0.0 if QUALITY_METRICS[name].is_exported else -1.0
        assert least <= value <= 1.0


def test_the_declared_direction_is_that_of_the_better_scores():
    label = np.arange(70_000) % 2
    good, bad = (measured(label, scores) for scores in (0.4 + label / 8, 0.6 - label / 8))
    for name, declared in QUALITY_METRICS.items():
        assert (good[name] > bad[name]) == (declared.mode == "max"), name


def test_importing_the_metrics_does_not_import_scikit_learn():
    code = "import sys, job.evaluation.metrics; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
