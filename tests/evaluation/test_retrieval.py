"""Searches of known answer, and a slow reference over all candidates of random ones."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from job.evaluation import retrieval
from job.evaluation.retrieval import search_by_class, search_by_match, search_metrics

ALL = 10**9


def nearness(position):
    """The similarity of items that lie on a line."""
    place = np.asarray(position, np.float32)
    return lambda query, candidate: -np.abs(place[query][:, None] - place[candidate][None, :])


def by_class(item_class, max_queries=ALL):
    return search_by_class(np.array(item_class), max_queries=max_queries)


def by_match(pairs, max_queries=ALL):
    left, right, label = np.array(pairs).T
    return search_by_match(left, right, label=label, max_queries=max_queries)


def relevant(search):
    """Rows of the relevant candidates of each query."""
    return {
        query: search.candidate[search.listed[first:end]].tolist()
        for query, first, end in zip(
            search.query.tolist(), search.first, search.end, strict=True
        )
    }


def test_items_of_a_class_search_for_each_other():
    search = by_class([5, 7, -1, 5, 8, 7, 5])
    assert search.candidate.tolist() == [0, 1, 3, 4, 5, 6]
    fives, sevens = [0, 3, 6], [1, 5]
    # Item 2 has no class, and item 4 is alone in its own.
    assert relevant(search) == {0: fives, 1: sevens, 3: fives, 5: sevens, 6: fives}


def test_left_items_search_for_the_right_items_that_match_them():
    pairs = [(0, 4, 1), (0, 5, 0), (0, 6, 1), (0, 4, 1), (1, 5, 0), (2, 2, 1), (4, 0, 0)]
    search = by_match(pairs)
    assert search.candidate.tolist() == [0, 2, 4, 5, 6]
    # The match of 0 and 4 holds in both directions. Item 2 matches only itself, item 1 nothing.
    assert relevant(search) == {0: [4, 6], 4: [0]}


def test_fewer_queries_are_evenly_spaced_and_candidates_stay():
    search = by_class([0] * 10, max_queries=4)
    assert search.query.tolist() == [0, 2, 5, 7]
    assert len(search.candidate) == 10
    assert relevant(search)[5] == list(range(10))


def test_ranks_of_a_search_by_class_are_those_derived_by_hand():
    # On a line: a at 0 and 1, b at 1.5 and 9, a at 3.
    found = search_metrics(by_class([0, 0, 1, 1, 0]), similarity=nearness([0, 1, 1.5, 9, 3]))
    # From 0: a 1, b 1.5, a 3.      rank 1, precision (1/1 + 2/3) / 2
    # From 1: b 1.5, a 0, a 3.      rank 2, precision (1/2 + 2/3) / 2
    # From 1.5: a 1, then 0 and 3, then b. rank 4, precision 1/4
    # From 9: a 3, b 1.5.           rank 2, precision 1/2
    # From 3: b 1.5, a 1, a 0.      rank 2, precision (1/2 + 2/3) / 2
    assert found["recall_at_1"] == 1 / 5
    assert found["recall_at_10"] == 1.0
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 2 + 1 / 2) / 5)
    assert found["map"] == pytest.approx((5 / 6 + 7 / 12 + 1 / 4 + 1 / 2 + 7 / 12) / 5)


def test_equal_embeddings_find_nothing():
    found = search_metrics(by_class([0, 1] * 10), similarity=nearness(np.zeros(20)))
    # 9 others of the class and 10 of the other one are equally near.
    assert found["recall_at_1"] == found["recall_at_10"] == 0.0
    assert found["mrr"] == pytest.approx(1 / 11)
    assert found["map"] == pytest.approx(9 / 19)


def test_nothing_to_search_for_has_no_quality():
    for search in (by_class([-1, -1, 0]), by_match([(0, 1, 0), (2, 2, 1)])):
        assert np.isnan(
            list(search_metrics(search, similarity=nearness([0, 1, 2])).values())
        ).all()


def slow_metrics(query, candidate, *, matches, similarity):
    """Of every query: sorts all other candidates, matches behind others that are as near."""
    ranks, precisions = [], []
    for q in query:
        others = [c for c in candidate if c != q]
        if not any(matches(q, c) for c in others):
            continue
        near = [similarity([q], [c])[0, 0] for c in others]
        is_match = [matches(q, c) for c in others]
        ordered = sorted(zip(near, is_match, strict=True), key=lambda one: (-one[0], one[1]))
        ranks.append(1 + [match for _, match in ordered].index(True))
        precisions.append(average_precision_score(is_match, near))
    return {
        "recall_at_1": np.mean([rank <= 1 for rank in ranks]),
        "recall_at_10": np.mean([rank <= 10 for rank in ranks]),
        "mrr": np.mean([1 / rank for rank in ranks]),
        "map": np.mean(precisions),
    }


@pytest.mark.parametrize("table_bytes", [1, 500, 64 << 20])
@pytest.mark.parametrize("places", [5, 1000])  # with many ties, and few
def test_a_search_agrees_with_the_slow_one_whatever_the_blocks(
    monkeypatch, table_bytes, places
):
    monkeypatch.setattr(retrieval, "TABLE_BYTES", table_bytes)
    rng = np.random.default_rng(places)
    similarity = nearness(rng.integers(0, places, 40))
    item_class = rng.integers(-1, 6, 40)
    found = search_metrics(by_class(item_class), similarity=similarity)
    known = np.flatnonzero(item_class >= 0)
    assert found == pytest.approx(
        slow_metrics(
            known,
            known,
            matches=lambda q, c: item_class[q] == item_class[c],
            similarity=similarity,
        )
    )
    left, right = rng.integers(0, 40, (2, 60))
    pairs = list(zip(left.tolist(), right.tolist(), ((left + right) % 3 == 0), strict=True))
    found = search_metrics(by_match(pairs), similarity=similarity)
    matching = {frozenset((u, v)) for u, v, label in pairs if label}
    assert found == pytest.approx(
        slow_metrics(
            np.unique(left),
            np.unique(right),
            matches=lambda q, c: frozenset((q, c)) in matching,
            similarity=similarity,
        )
    )


def test_the_table_of_similarities_fits_into_the_budget(monkeypatch):
    monkeypatch.setattr(retrieval, "TABLE_BYTES", 1000)
    shapes = []

    def noted(query, candidate):
        shapes.append((len(query), len(candidate)))
        return nearness(np.arange(50))(query, candidate)

    search_metrics(by_class([0] * 50), similarity=noted)
    assert shapes == [(5, 50)] * 10
