import numpy as np
import pytest

from job.data.dataset import PairTable
from job.data.sampling import evaluation_pairs
from job.data.sampling.evaluation_pairs import draw_evaluation_pairs
from job.data.sampling.pair_sampling import ClassIndex

SMALL = np.array([3, 3, 3, 8, 8, 1, 3])  # matches: 6 of class 3, 1 of class 8
LARGE = np.repeat(np.arange(300), 7)


def drawn(classes: np.ndarray, num_pairs: int, *, rows=None, seed=0, split="test") -> PairTable:
    rows = np.arange(len(classes)) if rows is None else rows
    return draw_evaluation_pairs(
        classes, rows=rows, num_pairs=num_pairs, seed=seed, split=split
    )


def unordered(pairs: PairTable) -> set[frozenset[int]]:
    return {
        frozenset(pair) for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    }


@pytest.mark.parametrize("classes", [SMALL, LARGE])
@pytest.mark.parametrize("num_pairs", [2, 10, 1000])
def test_labels_are_right_halves_are_equal_and_no_pair_comes_twice(classes, num_pairs):
    pairs = drawn(classes, num_pairs)
    assert ((classes[pairs.left] == classes[pairs.right]) == (pairs.label == 1)).all()
    assert pairs.num_positive == pairs.num_negative
    assert len(pairs) <= num_pairs
    assert len(unordered(pairs)) == len(pairs)


def test_where_there_are_fewer_matches_all_of_them_are_taken():
    pairs = drawn(SMALL, 1000)
    assert pairs.num_positive == 7
    assert drawn(LARGE, 1000).num_positive == 500
    assert drawn(LARGE, 100_000).num_positive == 300 * 21


def test_where_one_class_has_nearly_all_items_what_there_is_is_taken():
    classes = np.array([0] * 400 + [1])
    pairs = drawn(classes, 10_000)
    assert pairs.num_positive == 5000
    assert pairs.num_negative == 400


@pytest.mark.parametrize("seed", range(4))
def test_one_item_of_another_class_among_very_many_is_found(seed):
    classes = np.array([0] * 100_000 + [1])
    assert drawn(classes, 1000, seed=seed).num_negative == 500


def test_only_the_rows_of_the_split_are_paired():
    rows = np.arange(700, 1400)
    pairs = drawn(LARGE, 600, rows=rows)
    assert set(pairs.items().tolist()) <= set(rows.tolist())


def test_every_match_can_be_drawn():
    found = set()
    for seed in range(40):
        pairs = drawn(SMALL, 4, seed=seed)
        found |= unordered(pairs.where(pairs.label == 1))
    assert len(found) == 7


def test_neither_side_nor_place_gives_the_label_away():
    pairs = drawn(LARGE, 2000)
    assert 0.45 < np.mean(pairs.left < pairs.right) < 0.55
    assert 0.45 < np.mean(pairs.label[:1000]) < 0.55


def test_seed_and_split_decide_what_is_drawn():
    same = [drawn(LARGE, 50).left.tolist() for _ in range(2)]
    assert same[0] == same[1]
    others = [
        drawn(LARGE, 50, seed=1).left.tolist(),
        drawn(LARGE, 50, split="validation").left.tolist(),
    ]
    assert len({str(rows) for rows in (same[0], *others)}) == 3


@pytest.mark.parametrize("few", [True, False])
def test_every_item_is_in_as_many_matches_whatever_the_size_of_its_class(monkeypatch, few):
    # 40 classes of 5 items and one of 200: as many items, but 400 matches against 19,900.
    classes = np.concatenate([np.repeat(np.arange(40), 5), np.full(200, 40)])
    if not few:
        monkeypatch.setattr(evaluation_pairs, "_ENUMERATED", 0)
    large = 0
    for seed in range(20):
        pairs = drawn(classes, 100, seed=seed)
        large += np.count_nonzero(classes[pairs.left[pairs.label == 1]] == 40)
    assert 0.4 < large / (20 * 50) < 0.6


def test_many_matches_are_not_listed():
    classes = np.zeros(1_000_000, np.int64)
    classes[-1] = 1
    pairs = drawn(classes, 20_000)
    matches = pairs.where(pairs.label == 1)
    assert len(matches) == 10_000
    assert (matches.left != matches.right).all()
    assert max(matches.left.max(), matches.right.max()) < 999_999


def test_all_matches_are_listed_once():
    classes = ClassIndex.of(SMALL, rows=np.arange(len(SMALL)))
    random = np.random.default_rng(0)
    listed = evaluation_pairs._some_matches(classes, 100, random=random).tolist()
    found = {frozenset(pair) for pair in listed}
    # Class 3 has items 0, 1, 2, 6, class 8 has 3, 4.
    expected = [(0, 1), (0, 2), (0, 6), (1, 2), (1, 6), (2, 6), (3, 4)]
    assert found == set(map(frozenset, expected))
    assert len(listed) == len(expected)
