"""What the search finds and the model decides, against every row compared with every row."""

import numpy as np
import pytest

from job.scoring import copies
from job.scoring import search as search_module
from job.scoring.decide import matches, matching_items
from job.scoring.distance_head import fit_distance_head
from job.scoring.search import Search, near_pairs
from job.scoring.vectors import compared_vectors
from tests.scoring.comparisons import comparison, every_match


def search_of(compared, distance, *, candidates=None):
    """The search as `match` sets it up."""
    left, right = compared.left_ND, compared.right_MD
    own = np.arange(len(left)) if compared.is_within else None
    if distance is None:
        return Search(
            *compared_vectors(left, right, distance="cosine"), top=candidates, own=own
        )
    head = fit_distance_head(
        lambda u, v: compared.compare(u, v).logit,
        distance=distance,
        embedding_size=left.shape[1],
    )
    return Search(
        *compared_vectors(left, right, distance=distance, rounding=head.rounding),
        at_least=head.similarity_at(compared.threshold),
        top=compared.top,
        own=own,
        is_once=compared.is_within and compared.top is None,
    )


def found_by(compared, search):
    blocks = (matching_items(block, compared) for block in near_pairs(search, threads=2))
    return list(matches(blocks, compared, directed=not search.is_once))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(search_module, "QUERIES_AT_ONCE", 7)
    monkeypatch.setattr(search_module, "CANDIDATES_AT_ONCE", 16)
    monkeypatch.setattr(copies, "_PAIRS_AT_ONCE", 20)


@pytest.mark.parametrize("is_within", [True, False], ids=["within", "between"])
@pytest.mark.parametrize("num_copies", [0, 25])
@pytest.mark.parametrize(("threshold", "top"), [(0.5, None), (0.5, 2), (0.0, 1), (0.2, 4)])
@pytest.mark.parametrize("distance", ["cosine", "euclidean", None])
def test_equals_every_row_compared_with_every_row(
    distance, threshold, top, num_copies, is_within
):
    compared = comparison(
        distance, is_within=is_within, num_copies=num_copies, threshold=threshold, top=top
    )
    # As many candidates as there are items, so that other heads miss nothing either.
    parts = found_by(compared, search_of(compared, distance, candidates=1000))
    found = {
        (left, right): score
        for part in parts
        for left, right, score in zip(part.left, part.right, part.score, strict=True)
    }
    assert len(found) == sum(map(len, parts))  # each pair once
    expected = every_match(compared)
    assert expected
    assert set(found) == set(expected)
    assert [found[pair] for pair in expected] == list(expected.values())


def test_pairs_are_in_order():
    compared = comparison("cosine", is_within=True, threshold=0.3)
    parts = found_by(compared, search_of(compared, "cosine"))
    rows = [
        (left, -logit, right)
        for part in parts
        for left, right, logit in zip(part.left, part.right, part.logit, strict=True)
    ]
    assert rows == sorted(rows)
    assert all(left < right for left, _, right in rows)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_a_score_at_the_threshold_is_a_match_to_the_last_bit(distance, step):
    compared = comparison(distance, is_within=True, threshold=0.0)
    scores = sorted(every_match(compared).values())
    for score in scores[:: len(scores) // 20]:
        threshold = score if step == 0 else np.nextafter(np.float32(score), np.float32(step))
        exact = comparison(distance, is_within=True, threshold=float(threshold))
        num = sum(map(len, found_by(exact, search_of(exact, distance))))
        assert num == sum(one >= np.float32(threshold) for one in scores)
