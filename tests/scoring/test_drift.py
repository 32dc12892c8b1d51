import numpy as np
import pytest
from scipy import stats

from job.export.reference import Histogram, Reference
from job.scoring.drift import DriftMeter, _chi_squared, drift_of


def test_bins_hold_as_many_numbers_each():
    histogram = Histogram.of(np.arange(100))
    assert histogram.counts == (10,) * 10 or sum(histogram.counts) == 100
    assert np.ptp(histogram.counts) <= 2
    assert len(histogram.edges) == 9


def test_equal_numbers_share_a_bin_and_others_have_bins_beside_it():
    histogram = Histogram.of(np.full(50, 3))
    assert histogram.count(np.array([1, 2, 3, 3, 4])).tolist() == [2, 2, 1]
    assert sum(histogram.counts) == histogram.counts[1] == 50


def test_a_histogram_is_read_back():
    histogram = Histogram.of(np.random.default_rng(0).normal(size=100).astype(np.float32))
    reference = Reference(histogram, None, histogram)
    assert Reference.from_json(reference.to_json()) == reference


def test_psi_is_the_sum_over_bins():
    reference = Histogram((0.0,), (99, 99))
    drift = drift_of("scores", reference, np.array([149, 49]))
    # With half a number more in each bin: shares 1/2 and 1/2, and 149.5 and 49.5 of 199.
    now = np.array([149.5, 49.5]) / 199
    expected = sum((n - 0.5) * np.log(n / 0.5) for n in now)
    assert drift.psi == pytest.approx(expected, rel=1e-12)
    assert (drift.level, drift.num) == ("large", 198)


@pytest.mark.parametrize("freedom", [1, 2, 9, 11])
def test_chance_is_bounded_by_chi_squared(freedom):
    exact = stats.chi2.ppf(0.999, freedom)
    assert _chi_squared(freedom) == pytest.approx(exact, rel=0.05)


def test_few_numbers_of_one_distribution_are_no_drift():
    rng = np.random.default_rng(0)
    reference = Histogram.of(rng.normal(size=500))
    drifts = [
        drift_of("scores", reference, reference.count(rng.normal(size=60))) for _ in range(500)
    ]
    # The index alone would call most of these a change.
    assert np.mean([drift.psi > 0.1 for drift in drifts]) > 0.5
    assert np.mean([drift.level != "none" for drift in drifts]) < 0.02


def test_another_distribution_is_told_in_a_sentence():
    rng = np.random.default_rng(0)
    meter = DriftMeter(Reference(Histogram.of(rng.uniform(size=1000))))
    meter.add_scores(rng.uniform(0.5, 1.0, 1000).astype(np.float32))
    [drift] = meter.drifts()
    assert drift.level == "large"
    assert drift.sentence().startswith(
        "the scores are clearly other than those of the test pairs"
    )


def test_what_was_not_counted_is_not_compared():
    assert DriftMeter(Reference(Histogram.of(np.arange(10)))).drifts() == []
