"""The edges of intervals: perfect models, few identities, many pairs, the same seed."""

import numpy as np
import pytest

from job.evaluation import intervals
from job.evaluation.identities import Identities
from job.evaluation.intervals import Measures, metric_intervals
from job.evaluation.weighted import Judged
from tests.evaluation.simulated import SHARED

RATES = {"tar_at_far_1e-1": 0.1}


def judged(label, logit, at=0.0):
    chance = 1 / (1 + np.exp(-np.asarray(logit, np.float64)))
    return Judged(np.asarray(label), np.asarray(logit, float), logit >= at, chance, chance)


def alone(count):
    return Identities.of(np.arange(count), np.arange(count) + count)


def test_a_perfect_model_is_not_certain_to_be_perfect():
    label = np.arange(80) % 2 == 1
    found = metric_intervals(
        judged(label, np.where(label, 3.0, -3.0)),
        alone(80),
        measures=Measures(None, RATES),
        seed=0,
    )
    # 40 pairs of each label have 80 identities: 1 - 0.025^(1 / 80) is 4.5 %.
    least = 1 - 0.025 ** (1 / 80)
    for name in ("recall", "tar_at_far_1e-1", "accuracy", "balanced_accuracy"):
        assert found[name] == (pytest.approx(1 - least), 1.0), name
    assert found["precision"] == (pytest.approx(1 - least), 1.0)
    assert found["roc_auc"] == (pytest.approx((1 - least) ** 2), 1.0)
    assert found["eer"] == (0.0, pytest.approx(least))
    assert found["mcc"] == (pytest.approx(1 - 2 * least), 1.0)
    assert found["average_precision"][0] < 0.95


def test_no_false_accept_among_few_is_no_precision_where_matches_are_rare():
    label = np.arange(80) % 2 == 1
    logit = np.where(label, 3.0, -3.0)
    rare = Measures(0.001)
    low, high = metric_intervals(judged(label, logit), alone(80), measures=rare, seed=0)[
        "precision"
    ]
    assert high == 1.0
    # Up to 4.5 % of 999 others may be accepted with 0.955 matches.
    assert low == pytest.approx(0.955 / (0.955 + 0.045 * 999), rel=0.05)


def test_three_pairs_and_few_identities_have_no_interval():
    label = np.array([True, False, True])
    pairs = judged(label, np.array([1.0, -1.0, -2.0]))
    assert metric_intervals(pairs, alone(3), measures=Measures(), seed=0) == {}
    label = np.arange(400) % 2 == 1
    seven = Identities.of(np.arange(400) % 7, (np.arange(400) + 1) % 7)
    pairs = judged(label, np.random.default_rng(0).normal(size=400))
    assert metric_intervals(pairs, seven, measures=Measures(), seed=0) == {}


def test_every_interval_holds_its_value_and_depends_on_the_seed_alone():
    label, logit, identities = SHARED.draw(np.random.default_rng(4))
    pairs, measures = judged(label, logit, at=2.0), Measures(None, RATES)
    first, again, other = (
        metric_intervals(pairs, identities, measures=measures, seed=seed, num_replicates=100)
        for seed in (1, 1, 2)
    )
    assert first == again != other
    value = measures.of(pairs)
    assert first.keys() == value.keys()
    for name, (low, high) in first.items():
        assert low < high, name
        # Sampling raises a calibration error, so its interval lies lower.
        assert low <= value[name] <= high or "ece" in name, name


def test_of_too_many_pairs_a_part_decides_and_the_interval_is_wider(monkeypatch):
    label, logit, identities = SHARED.draw(np.random.default_rng(5))
    pairs = judged(label, logit, at=2.0)
    whole = metric_intervals(pairs, identities, measures=Measures(), seed=0, num_replicates=200)
    monkeypatch.setattr(intervals, "_MAX_PAIRS", len(pairs) // 4)
    part = metric_intervals(pairs, identities, measures=Measures(), seed=0, num_replicates=200)
    value = Measures().of(pairs)["roc_auc"]
    assert np.ptp(part["roc_auc"]) > 1.2 * np.ptp(whole["roc_auc"])
    assert part["roc_auc"][0] < value < part["roc_auc"][1]
