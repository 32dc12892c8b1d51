"""The chosen threshold is the best there is, and the same one every time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.config.targets import Criterion
from job.errors import DataError
from job.evaluation import metrics
from job.evaluation.operating_points import operating_points
from job.evaluation.thresholds import decide

LABELS_AND_SCORES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=24
).filter(lambda pairs: {label for label, _ in pairs} == {0, 1})


def choose_threshold(label, score, *, criterion):
    points = operating_points(label, score)
    return points.threshold(decide(points, Criterion(criterion), match_share=None).point)


@given(LABELS_AND_SCORES, st.sampled_from(["accuracy", "f1"]))
def test_no_other_threshold_does_better(pairs, criterion):
    label, score = np.array(pairs).T
    chosen = choose_threshold(label, score, criterion=criterion)
    measure = getattr(metrics, criterion)
    best = max(measure(label, score, threshold=t) for t in [*score, 99])
    assert measure(label, score, threshold=chosen) == best


@pytest.mark.parametrize(
    ("criterion", "label", "score", "threshold"),
    [
        # Right decisions at each gap of 8 | 7 | 3 | 2 | 1: 3, 2, 3, 4 ... only one is best.
        ("accuracy", [1, 0, 1, 1, 0], [8.0, 7.0, 3.0, 2.0, 1.0], 1.5),
        # Three right decisions above 7 (gap 1) and above 2 (gap 5): the wider gap.
        ("accuracy", [1, 0, 1, 0], [8.0, 7.0, 6.0, 1.0], 3.5),
        # The same with equal gaps: the higher threshold.
        ("accuracy", [1, 0, 1, 0], [8.0, 6.0, 4.0, 2.0], 7.0),
        # 3 of 4 right above 3 and, worse, 1 of 4 when all are accepted.
        ("accuracy", [1, 0, 0, 0], [4.0, 3.0, 2.0, 1.0], 3.5),
        # F1 is 2/3, 1/2, 4/5, 2/3: finding all is worth one false accept.
        ("f1", [1, 0, 1, 0], [8.0, 6.0, 4.0, 2.0], 3.0),
        # Accepting all (F1 2/3) beats 1/2 and 0.
        ("f1", [0, 1], [0.75, 0.25], 0.25),
        ("eer", [1, 1, 0, 0], [0.875, 0.75, 0.25, 0.125], 0.5),
    ],
)
def test_chosen_threshold_matches_the_value_derived_by_hand(criterion, label, score, threshold):
    assert choose_threshold(label, score, criterion=criterion) == threshold


def test_a_real_gap_is_preferred_to_accepting_all_or_none():
    # Two of four are right everywhere but between 3 and 2 (one): only gaps have a width.
    assert choose_threshold([0, 1, 0, 1], [4.0, 3.0, 2.0, 1.0], criterion="accuracy") == 2.5


def test_accepting_none_is_chosen_where_nothing_else_is_as_good():
    label, score = [0, 0, 0, 1], [0.5, 0.5, 0.5, 0.25]
    chosen = choose_threshold(label, score, criterion="accuracy")
    assert chosen == np.nextafter(np.float32(0.5), np.float32(1.0))


@given(LABELS_AND_SCORES, st.sampled_from(["accuracy", "f1", "eer"]))
def test_the_choice_does_not_depend_on_the_order_of_the_pairs(pairs, criterion):
    label, score = np.array(pairs).T
    forward = choose_threshold(label, score, criterion=criterion)
    assert choose_threshold(label[::-1], score[::-1], criterion=criterion) == forward


@pytest.mark.parametrize("criterion", ["accuracy", "f1", "eer"])
@pytest.mark.parametrize(
    ("label", "score"), [([], []), ([1, 1], [0.1, 0.9]), ([0, 1], [0.1, math.nan])]
)
def test_pairs_without_a_threshold_are_refused(criterion, label, score):
    with pytest.raises(DataError):
        choose_threshold(label, score, criterion=criterion)
