"""The threshold is validation's, what it is applied to is test's."""

import numpy as np
import pytest

from job.errors import DivergedError, PreemptedError
from job.evaluation import evaluate
from job.models.pair_scorer import PairScores
from tests.inspection.datasets import text_dataset

# Equal texts match.
ROWS = [("ab", "ab", 1), ("ab", "cd", 0), ("cd", "cd", 1), ("xy", "ab", 0)]
DATASET = text_dataset({"train": ROWS, "validation": ROWS[:2], "test": ROWS})


class Pixels:
    """Stands for a feed; texts have no pixels."""

    batch = None


def evaluated(monkeypatch, *, validation, test, check_stop=lambda: None):
    """Findings for given scores of the pairs of each split."""

    def scored(scorer, *, pairs, **_):
        of_split = validation if pairs is DATASET.pairs["validation"] else test
        score = np.array(of_split, np.float32)
        logit = np.log(score / (1 - score))
        return PairScores(pairs.label.astype(np.float32), logit, score, np.ones_like(score))

    monkeypatch.setattr(evaluate, "score_split", scored)
    return evaluate.evaluate(
        None,
        dataset=DATASET,
        feed=Pixels(),
        criterion="accuracy",
        batch_size=8,
        check_stop=check_stop,
    )


def test_the_threshold_is_chosen_on_validation_and_applied_to_test(monkeypatch):
    # On test a threshold of 0.7 would make no mistake.
    found = evaluated(monkeypatch, validation=[0.3, 0.1], test=[0.8, 0.6, 0.8, 0.6])
    assert found.threshold == pytest.approx(0.2)
    assert found.validation["accuracy"] == 1.0
    assert found.test["accuracy"] == 0.5
    assert found.test["roc_auc"] == 1.0
    assert found.test_scores.score.tolist() == pytest.approx([0.8, 0.6, 0.8, 0.6])


def test_logits_are_ranked_where_the_scores_saturate():
    logit = np.float32([30, 20, 25, -90, -200, -100])
    score = np.float32([1, 1, 1, 0, 0, 0])  # what float32 makes of them
    label = np.float32([1, 0, 1, 1, 0, 0])
    scores = PairScores(label, logit, score, np.zeros_like(logit))
    found = evaluate.measure(scores, threshold=1.0)
    # The match at -90 is below one of three others.
    assert found["roc_auc"] == pytest.approx(8 / 9)
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    # An exported model compares scores: it cannot tell 20 from 25.
    assert found["accuracy"] == 4 / 6


def test_a_logit_that_overflows_is_no_quality():
    scores = PairScores(*(np.float32(x) for x in ([1, 0], [np.inf, 0], [1, 0.5], [0, 0])))
    assert np.isnan(evaluate.measure(scores, threshold=0.5)["roc_auc"])


def test_the_baselines_are_those_of_test(monkeypatch):
    found = evaluated(monkeypatch, validation=[0.3, 0.1], test=[0.1, 0.2, 0.3, 0.4])
    assert found.baselines == {"ngram_cosine": 1.0, "edit_similarity": 1.0}
    assert found.baseline_roc_auc == 1.0
    assert found.test["roc_auc"] == 0.25


def test_scores_that_are_no_numbers_are_not_measured(monkeypatch):
    with pytest.raises(DivergedError, match="neither measured nor exported"):
        evaluated(monkeypatch, validation=[0.3, 0.1], test=[0.8, np.nan, 0.8, 0.6])


def test_a_signal_is_obeyed_while_the_baselines_are_measured(monkeypatch):
    def stop():
        raise PreemptedError("now")

    with pytest.raises(PreemptedError):
        evaluated(
            monkeypatch, validation=[0.3, 0.1], test=[0.8, 0.6, 0.8, 0.6], check_stop=stop
        )
