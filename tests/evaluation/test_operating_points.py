"""Each representative threshold decides as its point says, in float64 and in float32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.evaluation.operating_points import operating_points

FLOAT32_SCORES = st.lists(
    st.floats(-4.0, 4.0, width=32), min_size=2, max_size=12, unique=True
).map(lambda scores: np.array(scores, np.float32))


def test_points_count_what_the_highest_scores_accept():
    points = operating_points([1, 0, 1, 0, 0], [0.5, 0.25, 0.75, 0.5, 0.25])
    assert points.score.tolist() == [0.75, 0.5, 0.25]
    assert points.true_positives.tolist() == [0, 1, 2, 2]
    assert points.false_positives.tolist() == [0, 0, 1, 3]


@given(FLOAT32_SCORES)
def test_the_threshold_of_point_k_accepts_exactly_the_k_highest_scores(scores):
    points = operating_points(np.arange(len(scores)) % 2, scores)
    for k in range(len(points.score) + 1):
        threshold = points.threshold(k)
        assert np.sum(scores.astype(np.float64) >= threshold) == k
        assert np.float32(threshold) == threshold
        assert np.sum(scores >= np.float32(threshold)) == k


def test_a_threshold_between_neighbouring_floats_is_the_accepted_one():
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1.0))
    assert operating_points([0, 1], [low, high]).threshold(1) == high


def test_a_threshold_lies_in_the_middle_of_its_gap():
    assert operating_points([0, 1], [0.25, 0.75]).threshold(1) == 0.5


@pytest.mark.parametrize("top", [1.0, 0.0, 0.1, 1e300, float(np.finfo(np.float32).max)])
def test_accepting_no_pair_takes_a_threshold_above_the_highest_score(top):
    threshold = operating_points([0, 1], [-1.0, top]).threshold(0)
    assert top < threshold < np.inf


def test_scores_beyond_float32_still_part():
    points = operating_points([0, 1], [1e300, 1.5e300])
    assert 1e300 < points.threshold(1) <= 1.5e300
