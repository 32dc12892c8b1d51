from contextlib import contextmanager

import numpy as np
import pytest

from job.config.monitors import MONITORS
from job.data.dataset import PairTable
from job.errors import ConfigError, PreemptedError
from job.evaluation.evaluate import SplitScores
from job.evaluation.retrieval import UNKNOWN
from job.models.pair_scorer import PairScores
from job.run.quality import Validation, validation_pairs
from job.telemetry.listener import Listeners


def pairs_of(label):
    rows = np.arange(len(label))
    return PairTable(rows, rows + len(label), np.array(label, np.uint8))


@pytest.mark.parametrize(
    ("label", "count", "rows"),
    [
        ([0, 1] * 4, None, list(range(8))),
        ([0, 1] * 4, 9, list(range(8))),
        # Every second row would be of one label.
        ([0, 1] * 4, 4, [0, 1, 4, 5]),
        ([0, 0, 0, 0, 0, 0, 1, 1], 4, [0, 2, 4, 6]),
    ],
)
def test_pairs_are_evenly_spaced_within_each_label(label, count, rows):
    assert validation_pairs(pairs_of(label), count=count).left.tolist() == rows


def test_pairs_of_one_label_cannot_be_measured():
    with pytest.raises(ConfigError, match="2 leaves 0 matching and 2 other pairs of 8"):
        validation_pairs(pairs_of([0] * 7 + [1]), count=2)


class Splits:
    """Scores pairs 0.1, 0.2, ... in order."""

    def score(self, pairs):
        logit = np.arange(len(pairs), dtype=np.float32)
        scores = PairScores(pairs.label.astype(np.float32), logit, logit / 10, 0 * logit)
        return SplitScores(scores, UNKNOWN)


def test_validation_measures_every_monitor_of_the_epoch_end():
    validate = Validation(
        Splits(), pairs=pairs_of([0, 1, 1]), read_weights=dict, listener=Listeners()
    )
    measured = validate()
    assert set(measured) == {name for name in MONITORS if name.startswith("val_")}
    assert measured["val_roc_auc"] == 1.0


def test_scores_of_an_epoch_are_those_of_the_same_weights_and_pairs_only():
    pairs, weights = pairs_of([0, 1, 1]), {"model|w": np.float32([1.0])}
    validate = Validation(
        Splits(), pairs=pairs, read_weights=lambda: weights, listener=Listeners()
    )
    assert validate.known_scores(pairs) is None
    validate()
    assert validate.known_scores(pairs).pairs.logit.tolist() == [0, 1, 2]
    assert validate.known_scores(pairs_of([0, 1, 1])) is None
    weights["model|w"] = np.float32([2.0])
    assert validate.known_scores(pairs) is None


@pytest.mark.parametrize("error", [None, PreemptedError("SIGTERM")])
def test_validation_scores_the_weights_that_are_evaluated(error):
    pairs, weights, seen = pairs_of([0, 1, 1]), {"model|w": np.float32([1.0])}, []

    @contextmanager
    def as_evaluated():
        weights["model|w"] = np.float32([2.0])
        try:
            yield
        finally:
            weights["model|w"] = np.float32([1.0])

    class Scored(Splits):
        def score(self, pairs):
            seen.append(weights["model|w"].tolist())
            if error:
                raise error
            return super().score(pairs)

    validate = Validation(
        Scored(),
        pairs=pairs,
        read_weights=lambda: weights,
        listener=Listeners(),
        as_evaluated=as_evaluated,
    )
    if error:
        with pytest.raises(PreemptedError):
            validate()
        assert validate.known_scores(pairs) is None
    else:
        validate()
        assert validate.known_scores(pairs) is None  # not those of the weights themselves
        weights["model|w"] = np.float32([2.0])
        assert validate.known_scores(pairs) is not None
    assert seen == [[2.0]]
