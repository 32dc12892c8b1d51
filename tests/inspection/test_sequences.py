import numpy as np
import pytest

from job.inspection.sequences import (
    Furthest,
    describe_sequences,
    inspect_features,
    max_sequences,
    sequence_parts,
)
from job.preprocessing.feature_stats import FeatureStats
from tests.inspection.datasets import sequences

# Feature 0 has mean 2 and deviation 1 over the two training sequences; feature 1 is 5
# throughout, feature 2 is 0 in training alone.
ITEMS = sequences(
    [
        np.array([[1, 5, 0], [3, 5, 0]]),
        np.array([[1, 5, 0], [3, 5, 0]]),
        np.array([[2, 5, 0], [-7, 5, 8]]),
        np.array([[6, 5, 0]]),
    ]
)
ROWS = {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.array([3])}


@pytest.fixture
def features():
    return inspect_features(ITEMS, ROWS, moments=FeatureStats.of(ITEMS, ROWS["train"]))


def test_features_that_never_change_are_counted(features):
    assert (features.num_features, features.num_constant) == (3, 2)
    assert features.constant == (1, 2)


def test_features_that_change_only_outside_training_are_told_apart(features):
    assert features.num_constant_elsewhere == 1


def test_a_constant_that_is_another_one_elsewhere_has_changed():
    items = sequences([np.full((2, 1), 4.0), np.full((2, 1), 9.0)])
    rows = {"train": np.array([0]), "validation": np.array([1])}
    found = inspect_features(items, rows, moments=FeatureStats.of(items, rows["train"]))
    assert found.num_constant_elsewhere == 1
    assert found.furthest == {"train": None, "validation": None}


def test_the_value_furthest_from_the_training_mean_is_found_on_either_side(features):
    assert features.furthest == {
        "train": Furthest(1.0, 0, 1.0),
        # Feature 2 does not count, though its 8 is as far from 0 as it gets.
        "validation": Furthest(-7.0, 0, 9.0),
        "test": Furthest(6.0, 0, 4.0),
    }


def test_a_feature_counts_in_its_own_deviations():
    items = sequences([np.array([[0, 0], [2000, 2]]), np.array([[4000, 11]])])
    rows = {"train": np.array([0]), "test": np.array([1])}
    found = inspect_features(items, rows, moments=FeatureStats.of(items, rows["train"]))
    # 3000 is 3 deviations of the first, 10 is 10 of the second.
    assert found.furthest["test"] == Furthest(11.0, 1, 10.0)


def test_only_the_first_constant_features_are_kept():
    items = sequences([np.zeros((3, 14))])
    rows = {"train": np.array([0])}
    found = inspect_features(items, rows, moments=FeatureStats.of(items, rows["train"]))
    assert (found.num_constant, found.constant) == (14, tuple(range(10)))


def test_sequences_in_parts_are_sequences_at_once(features, monkeypatch):
    monkeypatch.setattr("job.inspection.chunking._CELLS", 1)
    again = inspect_features(ITEMS, ROWS, moments=FeatureStats.of(ITEMS, ROWS["train"]))
    assert again == features


def slow_description(steps, moments):
    """One sequence, float64 (T, F), as `describe_sequences` has it."""
    scaled = (steps - np.array(moments.mean)) / np.array(moments.std)
    ends = [scaled[round(share * (len(steps) - 1))] for share in (0, 1 / 3, 2 / 3, 1)]
    parts = [scaled.mean(0), scaled.std(0), scaled.min(0), scaled.max(0), *ends]
    return np.concatenate([*parts, [len(steps)]])


def test_a_description_is_that_of_a_slow_reference():
    random = np.random.default_rng(0)
    steps = [random.normal(3, 2, (length, 4)) for length in (1, 2, 7, 30)]
    items = sequences(steps)
    moments = FeatureStats.of(items, np.arange(4))
    found = describe_sequences(items, np.array([2, 0, 3, 1, 2]), moments=moments)
    assert found.shape == (5, 33)
    for row, described in zip([2, 0, 3, 1, 2], found, strict=True):
        expected = slow_description(steps[row].astype(np.float32), moments)
        np.testing.assert_allclose(described, expected, atol=1e-5)


def test_of_many_features_every_32nd_is_added_up():
    steps = np.random.default_rng(0).standard_normal((5, 70)).astype(np.float32)
    added = np.zeros((5, 32), np.float64)
    for feature in range(70):
        added[:, feature % 32] += steps[:, feature]
    moments = FeatureStats((0.0,) * 70, (1.0,) * 70)
    found = describe_sequences(sequences([steps]), np.array([0]), moments=moments)
    expected = slow_description(added, FeatureStats((0.0,) * 32, (1.0,) * 32))
    np.testing.assert_allclose(found[0], expected, atol=1e-9)


def test_long_sequences_are_looked_at_less_often_and_in_smaller_parts(monkeypatch):
    monkeypatch.setattr("job.inspection.chunking._CELLS", 30)
    monkeypatch.setattr("job.inspection.sequences._MAX_VALUES", 120)
    items = sequences([np.zeros((10, 2))] * 20)
    assert max_sequences(items) == 6  # 120 values of 20 each
    assert [len(part) for part in sequence_parts(items, np.arange(4))] == [1, 1, 2]
