import numpy as np
import pytest

from job.config.data import TextDataConfig
from job.inspection.untrained_baselines import untrained_roc_auc
from tests.inspection.datasets import text_dataset

# Equal texts match, and texts without a common letter do not.
ROWS = [("ab", "ab", 1), ("ab", "cd", 0), ("cd", "cd", 1), ("xy", "ab", 0)]
SECTION = TextDataConfig(kind="text", train="t.csv")


def test_scores_without_learning_are_measured_on_validation_and_test():
    reversed_rows = [(left, right, 1 - label) for left, right, label in ROWS]
    dataset = text_dataset({"train": ROWS, "validation": ROWS, "test": reversed_rows})
    assert untrained_roc_auc(dataset, section=SECTION) == {
        "validation": {"ngram_cosine": 1.0, "edit_similarity": 1.0},
        "test": {"ngram_cosine": 0.0, "edit_similarity": 0.0},
    }


def test_no_more_pairs_are_scored_than_there_is_time_for(monkeypatch):
    seen = []

    def count(items, *, pairs, **_):
        seen.append(len(pairs))
        return {"equal": (pairs.left == pairs.right).astype(np.float64)}

    monkeypatch.setattr("job.inspection.untrained_baselines.MAX_PAIRS", 40)
    monkeypatch.setattr("job.inspection.untrained_baselines.baseline_scores", count)
    dataset = text_dataset({"train": ROWS, "validation": ROWS * 30, "test": ROWS * 5})
    found = untrained_roc_auc(dataset, section=SECTION)
    assert seen == [40, 20]
    assert found["validation"]["equal"] == pytest.approx(1.0)


def test_rare_matches_are_all_looked_at(monkeypatch):
    monkeypatch.setattr("job.inspection.untrained_baselines.MAX_PAIRS", 40)
    rare = [("ab", "cd", 0)] * 500 + [("ab", "ab", 1)] + [("xy", "ab", 0)] * 500
    dataset = text_dataset({"train": ROWS, "validation": rare, "test": rare})
    found = untrained_roc_auc(dataset, section=SECTION)
    assert found["test"] == {"ngram_cosine": 1.0, "edit_similarity": 1.0}
