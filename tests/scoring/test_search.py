"""The blocked search against every pair compared in float64."""

import numpy as np
import pytest

from job.scoring import search as search_module
from job.scoring.search import Block, Search, near_pairs
from job.scoring.vectors import compared_vectors, similarity_of_distance


def similarities(left, right, *, distance):
    """Every pair in float64: the slow reference."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    if distance == "cosine":
        return _unit(left) @ _unit(right).T
    return -0.5 * np.sum((left[:, None] - right[None]) ** 2, axis=-1)


def _unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def expected_pairs(table, *, at_least, top, own, is_once):
    table = table.copy()
    if own is not None:
        table[np.arange(len(own)), own] = -np.inf
        if is_once:
            table[np.arange(table.shape[1]) <= own[:, None]] = -np.inf
    wanted = table >= at_least if np.isfinite(at_least) else np.isfinite(table)
    if top is not None and top < table.shape[1]:
        wanted &= table >= np.sort(table, axis=1)[:, -top][:, None]
    return set(zip(*np.nonzero(wanted), strict=True))


def found_pairs(blocks):
    return [
        pair
        for block in blocks
        for pair in zip(block.hits.query, block.hits.candidate, strict=True)
    ]


def vectors(num, *, size=12, seed=0, offset=0.0):
    random = np.random.default_rng(seed)
    return (random.standard_normal((num, size)) + offset).astype(np.float32)


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    monkeypatch.setattr(search_module, "QUERIES_AT_ONCE", 16)
    monkeypatch.setattr(search_module, "CANDIDATES_AT_ONCE", 24)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("top", "bound", "is_within", "is_once"),
    [
        (None, 0.9, False, False),
        (None, 0.9, True, True),
        (None, 0.9, True, False),
        (None, None, True, True),
        (None, None, False, False),
        (1, None, False, False),
        (5, None, True, False),
        (5, 0.8, True, False),
        (40, None, False, False),
        (500, None, False, False),
    ],
)
def test_finds_exactly_the_pairs_that_are_similar_enough(
    distance, top, bound, is_within, is_once, threads
):
    left = vectors(101)
    right = left if is_within else vectors(77, seed=1)
    table = similarities(left, right, distance=distance)
    at_least = -np.inf if bound is None else float(np.quantile(table, bound))
    own = np.arange(len(left)) if is_within else None
    blocks = near_pairs(
        Search(
            *compared_vectors(left, right, distance=distance),
            at_least=at_least,
            top=top,
            own=own,
            is_once=is_once,
        ),
        threads=threads,
    )
    pairs = found_pairs(blocks)
    assert len(set(pairs)) == len(pairs)
    expected = expected_pairs(table, at_least=at_least, top=top, own=own, is_once=is_once)
    assert expected
    assert set(pairs) >= expected
    # What is found in excess lies within the errors of a bound.
    for query, candidate in set(pairs) - expected:
        lowest = min(table[q, c] for q, c in expected if q == query)
        assert table[query, candidate] == pytest.approx(lowest, abs=1e-3)
    assert len(pairs) <= len(expected) + 2


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_keeps_every_pair_that_rounding_could_make_a_match(distance):
    # Far from the origin and near each other: the worst case of |u|^2 + |v|^2 - 2uv in float32.
    left = vectors(64, size=64, offset=100.0)
    table = similarities(left, left, distance=distance)
    at_least = float(np.median(table))
    pairs = found_pairs(
        near_pairs(
            Search(
                *compared_vectors(left, left, distance=distance),
                at_least=at_least,
                own=np.arange(64),
                is_once=True,
            )
        )
    )
    expected = expected_pairs(
        table, at_least=at_least, top=None, own=np.arange(64), is_once=True
    )
    assert set(pairs) >= expected


def test_euclidean_distances_are_as_fine_far_from_the_origin():
    near = vectors(64, size=64)
    at_least = similarity_of_distance(10.5)
    counts = []
    for offset in (0.0, 100.0):
        moved = near + np.float32(offset)
        search = Search(
            *compared_vectors(moved, moved, distance="euclidean"),
            at_least=at_least,
            own=np.arange(64),
            is_once=True,
        )
        counts.append(len(found_pairs(near_pairs(search))))
    assert counts[0] > 100
    assert counts[1] == pytest.approx(counts[0], abs=2)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_similarities_are_off_by_less_than_their_errors(distance):
    left, right = vectors(50, size=33, offset=3.0), vectors(60, size=33, seed=1, offset=-2.0)
    left[0] = 0.0
    u, v = compared_vectors(left, right, distance=distance)
    gap = np.abs(u.values @ v.values.T - similarities(left, right, distance=distance))
    assert np.all(gap <= u.error[:, None] + v.error[None])


def test_copies_are_each_others_best_and_none_is_lost_among_ties():
    copies = np.repeat(vectors(4), 30, axis=0)
    search = Search(
        *compared_vectors(copies, copies, distance="cosine"), top=3, own=np.arange(120)
    )
    pairs = found_pairs(near_pairs(search))
    same = {(a, b) for a in range(120) for b in range(120) if a // 30 == b // 30 and a != b}
    assert set(pairs) == same


@pytest.mark.parametrize("most_hits", [1, 50, 10_000])
def test_a_block_with_too_many_hits_is_divided_and_gives_the_same(most_hits):
    left = vectors(70)
    u, v = compared_vectors(left, left, distance="cosine")
    search = Search(u, v, at_least=0.0, own=np.arange(70), is_once=True, most_hits=most_hits)
    blocks = list(near_pairs(search, threads=2))
    assert [block.first for block in blocks] == [0] + [block.end for block in blocks[:-1]]
    assert blocks[-1].end == 70
    largest = max(len(block.hits) for block in blocks if block.end - block.first > 1)
    assert most_hits == 1 or largest <= most_hits
    whole = near_pairs(Search(u, v, at_least=0.0, own=np.arange(70), is_once=True))
    assert found_pairs(blocks) == found_pairs(whole)


def test_some_queries_are_compared_with_all_but_themselves():
    left = vectors(90)
    u, v = compared_vectors(left, left, distance="cosine")
    chosen = np.array([3, 40, 41, 89])
    pairs = found_pairs(near_pairs(Search(u.take(chosen), v, own=chosen, top=2)))
    whole = found_pairs(near_pairs(Search(u, v, own=np.arange(90), top=2)))
    assert {(chosen[q], c) for q, c in pairs} == {(q, c) for q, c in whole if q in chosen}


def test_progress_counts_queries_and_an_early_end_leaves_no_thread():
    left = vectors(100)
    u, v = compared_vectors(left, left, distance="cosine")
    done = []
    blocks = near_pairs(Search(u, v, at_least=0.9), progress=done.append)
    assert isinstance(next(blocks), Block)
    blocks.close()
    assert list(near_pairs(Search(u, v, at_least=0.9), progress=done.append))
    assert done == [16, 32, 48, 64, 80, 96, 100]


@pytest.mark.parametrize("num", [0, 1])
def test_one_item_or_none_has_no_pair(num):
    left = vectors(num)
    u, v = compared_vectors(left, left, distance="cosine")
    assert found_pairs(near_pairs(Search(u, v, own=np.arange(num), is_once=True))) == []
