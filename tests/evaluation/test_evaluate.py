"""The threshold is validation's, what it is applied to is test's."""

from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from job.config.evaluation import EvaluationConfig
from job.errors import DivergedError, PreemptedError
from job.evaluation import evaluate
from job.evaluation.evaluate import SplitScores
from job.evaluation.retrieval import UNKNOWN
from job.models.pair_scorer import PairScores
from tests.inspection.datasets import text_dataset

# Equal texts match.
ROWS = [("ab", "ab", 1), ("ab", "cd", 0), ("cd", "cd", 1), ("xy", "ab", 0)]
DATASET = text_dataset({"train": ROWS, "validation": ROWS[:2], "test": ROWS})


class Splits:
    """Stands for the scorer of a model with given scores of the pairs of each split."""

    feed = SimpleNamespace(batch=None)  # texts have no pixels

    def __init__(self, search=MappingProxyType({}), **scores):
        self.scored = []
        self.search = search
        self._scores = scores

    def score(self, pairs):
        split = next(name for name, table in DATASET.pairs.items() if table is pairs)
        self.scored.append(split)
        return SplitScores(of_scores(pairs.label, self._scores[split]), self.search)


def of_scores(label, score):
    score = np.array(score, np.float32)
    with np.errstate(divide="ignore"):
        logit = np.log(score / (1 - score))
    return PairScores(label.astype(np.float32), logit, score, np.ones_like(score))


def evaluated(splits, *, check_stop=lambda: None, known=None):
    return evaluate.evaluate(
        splits,
        dataset=DATASET,
        section=EvaluationConfig(),
        seed=0,
        check_stop=check_stop,
        validation=known,
    )


def test_the_threshold_is_chosen_on_validation_and_applied_to_test():
    # On test a threshold of 0.7 would make no mistake. Half way between the logits of 0.3 and
    # 0.1 lies 0.1791, whose odds are sqrt(3 / 7 / 9).
    found = evaluated(Splits(validation=[0.3, 0.1], test=[0.8, 0.6, 0.8, 0.6]))
    assert found.threshold == pytest.approx(0.17912878)
    assert found.validation["accuracy"] == 1.0
    assert found.test["accuracy"] == 0.5
    assert found.test["roc_auc"] == 1.0
    assert found.test_scores.score.tolist() == pytest.approx([0.8, 0.6, 0.8, 0.6])


def test_scores_of_validation_that_are_known_are_not_computed_again():
    splits = Splits(test=[0.8, 0.6, 0.8, 0.6])
    known = SplitScores(of_scores(DATASET.pairs["validation"].label, [0.3, 0.1]))
    assert evaluated(splits, known=known).threshold == pytest.approx(0.17912878)
    assert splits.scored == ["test"]


def test_logits_are_ranked_where_the_scores_saturate():
    logit = np.float32([30, 20, 25, -90, -200, -100])
    score = np.float32([1, 1, 1, 0, 0, 0])  # what float32 makes of them
    label = np.float32([1, 0, 1, 1, 0, 0])
    scores = PairScores(label, logit, score, np.zeros_like(logit))
    found = evaluate.measure(SplitScores(scores), threshold=1.0)
    # The match at -90 is below one of three others.
    assert found["roc_auc"] == pytest.approx(8 / 9)
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    # An exported model compares scores: it cannot tell 20 from 25.
    assert found["accuracy"] == 4 / 6


def test_a_logit_that_overflows_is_no_quality():
    scores = PairScores(*(np.float32(x) for x in ([1, 0], [np.inf, 0], [1, 0.5], [0, 0])))
    assert np.isnan(evaluate.measure(SplitScores(scores), threshold=0.5)["roc_auc"])


def test_a_search_that_found_nothing_to_search_for_is_not_shown():
    scores = {"validation": [0.3, 0.1], "test": [0.8, 0.6, 0.8, 0.6]}
    assert "mrr" not in evaluated(Splits(UNKNOWN, **scores)).test
    assert evaluated(Splits({**UNKNOWN, "mrr": 0.5}, **scores)).test["mrr"] == 0.5


def test_the_baselines_are_those_of_test():
    found = evaluated(Splits(validation=[0.3, 0.1], test=[0.1, 0.2, 0.3, 0.4]))
    assert found.baselines == {"ngram_cosine": 1.0, "edit_similarity": 1.0}
    assert found.baseline_roc_auc == 1.0
    assert found.test["roc_auc"] == 0.25


def test_scores_that_are_no_numbers_are_not_measured():
    with pytest.raises(DivergedError, match="neither measured nor exported"):
        evaluated(Splits(validation=[0.3, 0.1], test=[0.8, np.nan, 0.8, 0.6]))


def test_a_signal_is_obeyed_while_the_baselines_are_measured():
    def stop():
        raise PreemptedError("now")

    with pytest.raises(PreemptedError):
        evaluated(Splits(validation=[0.3, 0.1], test=[0.8, 0.6, 0.8, 0.6]), check_stop=stop)
