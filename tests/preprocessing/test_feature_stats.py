import numpy as np
import pytest

from job.errors import DataError
from job.preprocessing import feature_stats
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of


def sequences(*rows) -> RaggedArray:
    values = np.concatenate([np.asarray(row, np.float32) for row in rows])
    return RaggedArray(values, offsets_of(np.array([len(row) for row in rows])))


def test_every_step_of_the_given_sequences_counts_once():
    found = FeatureStats.of(
        sequences([[1, 0], [3, 0]], [[100, 100]], [[5, 6]]), np.array([0, 2])
    )
    assert found.mean == pytest.approx((3.0, 2.0))
    # (4 + 0 + 4) / 3 and (4 + 4 + 16) / 3
    assert found.std == pytest.approx((np.sqrt(8 / 3), np.sqrt(8)))


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_chunks_of_any_size_give_the_same_statistics(monkeypatch, chunk):
    monkeypatch.setattr(feature_stats, "_STEPS_AT_A_TIME", chunk)
    random = np.random.default_rng(0)
    rows = [random.normal(3, 5, (length, 3)) for length in random.integers(1, 9, 50)]
    found = FeatureStats.of(sequences(*rows), np.arange(50))
    steps = np.concatenate(rows).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(found.mean, steps.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, steps.std(axis=0), rtol=1e-12)


def test_a_constant_feature_has_a_deviation_of_one():
    found = FeatureStats.of(sequences([[0.1, 7], [0.1, 8]], [[0.1, 9]]), np.array([0, 1]))
    assert found.mean[0] == pytest.approx(0.1)
    assert found.std[0] == 1.0
    assert found.std[1] == pytest.approx(np.sqrt(2 / 3))


def test_a_deviation_that_is_too_small_for_float32_becomes_one():
    smallest = float(np.finfo(np.float32).tiny)
    steps = [[-smallest / 4, -2 * smallest], [smallest / 4, 2 * smallest]]
    found = FeatureStats.of(sequences(steps), np.array([0]))
    assert found.std == pytest.approx((1.0, 2 * smallest), rel=1e-6)


def test_a_large_number_with_a_small_deviation_keeps_it():
    steps = 1e4 + np.array([[-1.0], [1.0]] * 500)
    assert FeatureStats.of(sequences(steps), np.array([0])).std == pytest.approx(
        (1.0,), rel=1e-4
    )


def test_statistics_of_no_sequences_change_nothing():
    found = FeatureStats.of(sequences([[1.0, 2.0]]), np.array([], np.int64))
    assert found == FeatureStats((0.0, 0.0), (1.0, 1.0))


def test_it_survives_json():
    found = FeatureStats((1.5, -2.0), (0.1, 3.0))
    assert FeatureStats.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "words", "mean": [1.0], "std": [1.0]},
        {"kind": "moments", "mean": [1.0], "std": [1.0, 2.0]},
        {"kind": "moments", "mean": [1.0], "std": [0.0]},
        {"kind": "moments", "mean": [float("nan")], "std": [1.0]},
        {"kind": "moments", "mean": ["x"], "std": [1.0]},
        {"kind": "moments", "mean": 3.0, "std": [1.0]},
        {"kind": "moments", "mean": [1.0]},
    ],
)
def test_another_record_is_rejected(record):
    with pytest.raises(DataError, match=r"feature statistics: .* not those of this release"):
        FeatureStats.from_json(record)
