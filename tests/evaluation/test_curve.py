"""The curve of decisions, against counting by hand."""

import json

import numpy as np
import pytest

from job.errors import DataError
from job.evaluation.curve import MOST_POINTS, decision_curve


def drawn(pairs: int, *, seed: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, pairs)
    label[:2] = (0, 1)
    score = np.float32(1 / (1 + np.exp(-random.normal(size=pairs) - 2 * label)))
    return label, np.round(score, 1) if ties else score


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("pairs", [2, 3, 50, 5000])
def test_every_point_counts_what_its_threshold_accepts(pairs, ties):
    splits = {
        "test": drawn(pairs, seed=1, ties=ties),
        "validation": drawn(pairs + 7, seed=2, ties=ties),
    }
    curve = decision_curve(splits, threshold=0.625)
    threshold = np.array(curve["threshold"])
    assert 2 < len(threshold) <= MOST_POINTS
    assert (np.diff(threshold) > 0).all()
    assert 0.625 in threshold
    for split, (label, score) in splits.items():
        accepted = score[None] >= threshold[:, None]
        assert curve[split] == {
            "num_positive": label.sum(),
            "num_negative": len(label) - label.sum(),
            "true_positives": (accepted & (label == 1)).sum(1).tolist(),
            "false_positives": (accepted & (label == 0)).sum(1).tolist(),
        }


def test_few_scores_give_every_decision_there_is():
    curve = decision_curve({"test": ([0, 1, 0, 1], [0.1, 0.9, 0.4, 0.6])}, threshold=0.5)
    # All, then one pair fewer at a time, in the order of the scores, then none.
    test = curve["test"]
    assert list(zip(test["true_positives"], test["false_positives"], strict=True)) == [
        *((2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    ]


def test_the_first_false_accepts_are_there_although_pairs_are_many():
    label, score = drawn(200_000, seed=3)
    false = decision_curve({"test": (label, score)}, threshold=0.5)["test"]
    assert {0, 1, 2, 3, 5} <= set(false["false_positives"])


def test_the_json_is_that_of_plain_numbers_and_keeps_every_bit():
    curve = decision_curve({"test": drawn(40, seed=4)}, threshold=0.5)
    assert json.loads(json.dumps(curve, allow_nan=False)) == curve


def test_pairs_of_one_label_have_no_curve():
    with pytest.raises(DataError, match="all 2 pairs match"):
        decision_curve({"test": ([1, 1], [0.1, 0.2])}, threshold=0.5)
