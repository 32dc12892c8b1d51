"""The recall of a search by candidates, by hand."""

import numpy as np
import pytest

from job.scoring.decide import matching_items
from job.scoring.recall import Recall, RecallSample
from job.scoring.search import near_pairs
from tests.scoring.comparisons import comparison, every_match
from tests.scoring.test_decide import search_of


@pytest.mark.parametrize("is_within", [True, False], ids=["within", "between"])
@pytest.mark.parametrize("candidates", [1, 3, 1000])
def test_counts_the_matches_that_the_candidates_hold(candidates, is_within):
    compared = comparison(None, is_within=is_within, threshold=0.3)
    sample = RecallSample(compared, np.arange(len(compared.left_ND)))
    blocks = near_pairs(search_of(compared, None, candidates=candidates))
    items = [matching_items(block, compared) for block in blocks]
    list(sample.watched(items))
    measured = sample.measure()
    found = {
        (min(pair), max(pair)) if is_within else pair
        for block in items
        for pair in zip(block.left.tolist(), block.right.tolist(), strict=True)
    }
    true = set(every_match(compared))
    # Within a collection each match is one of both of its items.
    factor = 2 if is_within else 1
    assert (measured.found, measured.true) == (factor * len(found), factor * len(true))
    assert measured.items == len(compared.left_ND)
    assert (measured.share == 1.0) == (candidates == 1000)


@pytest.mark.parametrize(
    ("recall", "interval"),
    [
        # Wilson 1927: 10 of 10 -> 10 / (10 + 1.96^2).
        (Recall(10, 10, 10, 10), (0.7225, 1.0)),
        (Recall(0, 10, 10, 10), (0.0, 0.2775)),
        (Recall(50, 100, 20, 20), (0.2993, 0.7007)),
        (Recall(0, 0, 10, 0), (0.0, 1.0)),
    ],
)
def test_interval(recall, interval):
    assert recall.interval == pytest.approx(interval, abs=1e-4)


def test_the_sample_is_that_of_its_seed_and_bounded():
    compared = comparison(None, is_within=False)
    one, again, other = (RecallSample.draw(compared, seed=seed) for seed in (0, 0, 1))
    assert one.measure() == again.measure()
    assert one.measure().items == 60
    assert other.measure() == one.measure()
