from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.data.dataset import PairTable
from job.data.sampling.epochs import ShuffledPairs
from job.data.sampling.length_groups import (
    LengthBucketedSampler,
    batches_by_length,
    group_by_length,
    padded_steps,
)

NUM_PAIRS, BATCH = 50, 8
STEPS = NUM_PAIRS // BATCH
# Item i is 1 + i % 13 long; pair k is (k, k + 1).
LENGTHS = 1 + np.arange(NUM_PAIRS + 1) % 13


def file_pairs(*, seed: int = 3, num_pairs: int = NUM_PAIRS) -> ShuffledPairs:
    left = np.arange(num_pairs)
    return ShuffledPairs(PairTable(left, left + 1, (left % 2).astype(np.uint8)), seed, BATCH)


def bucketed(window: int, *, seed: int = 3, merged: bool = True) -> LengthBucketedSampler:
    return LengthBucketedSampler(
        file_pairs(seed=seed), lambda rows: LENGTHS[rows], window, seed, merged
    )


def rows_of(pairs, *, epoch: int = 0) -> list[list[int]]:
    batch = pairs.epoch(epoch).batch
    return [batch(step).index.tolist() for step in range(pairs.num_steps)]


def steps_of(batches: list[list[int]], *, merged: bool) -> int:
    left = np.array(batches)
    return padded_steps(LENGTHS[left], LENGTHS[left + 1], merged=merged)


def test_time_steps_are_those_of_the_longest_of_a_batch_or_of_each_side():
    left, right = np.array([[1, 5], [2, 2]]), np.array([[3, 4], [2, 9]])
    assert padded_steps(left, right, merged=True) == 4 * 5 + 4 * 9
    assert padded_steps(left, right, merged=False) == 2 * (5 + 4) + 2 * (2 + 9)


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("window", [2, 4, 100])
def test_regrouping_keeps_each_window_to_itself(window, merged):
    plain, regrouped = rows_of(file_pairs()), rows_of(bucketed(window, merged=merged))
    assert regrouped != plain
    for first in range(0, STEPS, window):
        part = slice(first, first + window)
        assert set(chain(*plain[part])) == set(chain(*regrouped[part]))
    assert {len(rows) for rows in regrouped} == {BATCH}


def test_a_window_of_one_batch_changes_no_batch():
    plain, regrouped = rows_of(file_pairs()), rows_of(bucketed(1))
    assert [sorted(rows) for rows in plain] == [sorted(rows) for rows in regrouped]


@pytest.mark.parametrize("merged", [True, False])
def test_regrouping_leaves_little_padding(merged):
    plain, regrouped = rows_of(file_pairs()), rows_of(bucketed(6, merged=merged))
    left = np.array(plain)
    real = int((LENGTHS[left] + LENGTHS[left + 1]).sum())
    padding = [steps_of(batches, merged=merged) - real for batches in (plain, regrouped)]
    assert padding[1] < 0.4 * padding[0]


def test_short_batches_do_not_come_first_in_every_window():
    longest = [
        [LENGTHS[rows].max() for rows in rows_of(bucketed(6), epoch=epoch)]
        for epoch in range(8)
    ]
    assert any(epoch != sorted(epoch) for epoch in longest)
    assert len({tuple(np.argsort(epoch, kind="stable")) for epoch in longest}) > 1


@pytest.mark.parametrize("merged", [True, False])
def test_a_batch_is_the_same_whatever_was_asked_for_before(merged):
    pairs = bucketed(3, merged=merged)
    expected = rows_of(pairs)
    for step in (5, 0, 5, 3, 4):
        assert pairs.epoch(0).batch(step).index.tolist() == expected[step]


@pytest.mark.parametrize("step", [-1, STEPS])
def test_a_step_outside_the_epoch_is_an_error(step):
    with pytest.raises(ValueError, match=f"step {step} of 8 pairs is outside an epoch"):
        bucketed(4).epoch(0).batch(step)


def test_seed_and_epoch_decide_how_pairs_are_regrouped():
    found = [
        rows_of(bucketed(6, seed=seed), epoch=epoch) for seed in (3, 4) for epoch in (0, 1)
    ]
    assert len({str(rows) for rows in found}) == 4


def fewest_steps(left: np.ndarray, right: np.ndarray, *, num_batches: int, merged: bool) -> int:
    """Slowly: the fewest time steps of any partition into batches."""
    size = len(left) // num_batches
    cost = {frozenset(): 0}

    def least(rest: frozenset[int]) -> int:
        if rest not in cost:
            first, *others = sorted(rest)
            cost[rest] = min(
                least(rest - {first, *more})
                + padded_steps(
                    left[None, [first, *more]], right[None, [first, *more]], merged=merged
                )
                for more in combinations(others, size - 1)
            )
        return cost[rest]

    return least(frozenset(range(len(left))))


pair_lengths = st.lists(
    st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=8, max_size=8
).map(lambda pairs: np.array(pairs).T)


@settings(max_examples=20)
@given(pair_lengths)
def test_batches_of_one_length_are_the_best_there_are(lengths):
    left, right = lengths
    batches = batches_by_length(left, right, num_batches=4, merged=True)
    assert sorted(batches.ravel().tolist()) == list(range(8))
    found = padded_steps(left[batches], right[batches], merged=True)
    assert found == fewest_steps(left, right, num_batches=4, merged=True)


@settings(max_examples=20)
@given(pair_lengths)
def test_batches_of_two_lengths_are_never_worse_than_in_order_of_the_longer_item(lengths):
    left, right = lengths
    batches = batches_by_length(left, right, num_batches=2, merged=False)
    assert sorted(batches.ravel().tolist()) == list(range(8))
    by_longer = batches_by_length(left, right, num_batches=2, merged=True)
    found = padded_steps(left[batches], right[batches], merged=False)
    assert found <= padded_steps(left[by_longer], right[by_longer], merged=False)
    assert found >= fewest_steps(left, right, num_batches=2, merged=False)


def test_sides_that_are_independent_are_cut_by_both():
    # Every combination of two lengths, four times: four batches without any padding.
    left, right = (side.ravel() for side in np.meshgrid([3, 9] * 2, [5, 20] * 2))
    batches = batches_by_length(left, right, num_batches=4, merged=False)
    steps = padded_steps(left[batches], right[batches], merged=False)
    assert steps == (left + right).sum()


def grouped(lengths: np.ndarray, *, window: int | None = None, recur: bool = False):
    """The pairs (k, k + 1) of items of these lengths, in batches of 8."""
    pairs = file_pairs(num_pairs=len(lengths) - 1)
    return pairs, group_by_length(
        pairs, lengths_of=lambda rows: lengths[rows], window=window, seed=3, recur=recur
    )


RANDOM = np.random.default_rng(0)
MIXED = RANDOM.integers(1, 60, 1601)


def test_items_of_one_length_are_left_alone():
    pairs, found = grouped(np.full(1601, 7))
    assert found.sampler is pairs
    assert (found.window, found.merged, found.padding) == (1, True, 0.0)


def test_items_of_other_lengths_are_grouped_in_windows_of_64_batches():
    _, found = grouped(MIXED)
    assert (found.window, found.sampler.window) == (64, 64)
    batches = np.array([found.sampler.epoch(0).batch(k).pairs.left for k in range(64)])
    left, right = MIXED[batches], MIXED[batches + 1]
    steps = padded_steps(left, right, merged=found.merged)
    assert found.padding == pytest.approx(1 - (left.sum() + right.sum()) / steps)


@pytest.mark.parametrize(("num_pairs", "window"), [(1600, 64), (800, 50), (168, 10), (16, 1)])
def test_pairs_that_recur_are_grouped_within_half_an_epoch(num_pairs, window):
    _, found = grouped(MIXED[: num_pairs + 1], recur=True)
    assert found.window == window


@pytest.mark.parametrize("window", [1, 2, 500])
def test_a_window_that_is_asked_for_is_used(window):
    pairs, found = grouped(MIXED, window=window, recur=True)
    assert found.window == window
    assert (found.sampler is pairs) == (window == 1)


def pairs_of(left: list[int], right: list[int], *, batch_size: int, num_pairs: int = 4096):
    """Pairs of items of these lengths, in turn, and how they are grouped."""
    lengths = np.resize(np.stack([left, right], axis=1), (num_pairs, 2)).ravel()
    first = np.arange(0, 2 * num_pairs, 2)
    table = PairTable(first, first + 1, np.zeros(num_pairs, np.uint8))
    return group_by_length(
        ShuffledPairs(table, 3, batch_size),
        lengths_of=lambda rows: lengths[rows],
        window=None,
        seed=3,
    )


@pytest.mark.parametrize(
    ("right", "batch_size", "merged"),
    [
        # In rows of a time step, one call of 20 steps against two of 20 and of `right` steps.
        (20, 512, True),
        (19, 512, True),  # 20 * (1024 + 32) < (20 + 19) * (512 + 32)
        (18, 512, False),  # 20 * (1024 + 32) > (20 + 18) * (512 + 32)
        (16, 64, True),  # 20 * (128 + 32) < (20 + 16) * (64 + 32)
        (12, 64, False),  # 20 * (128 + 32) > (20 + 12) * (64 + 32)
    ],
)
def test_two_calls_are_made_where_they_save_more_than_their_loops_cost(
    right, batch_size, merged
):
    found = pairs_of([20], [right], batch_size=batch_size)
    assert found.merged == merged
    assert found.window == 1
    assert found.padding == pytest.approx((20 - right) / 40 if merged else 0.0)


def test_each_side_is_grouped_by_its_own_length_where_that_pays():
    found = pairs_of([10, 40, 10, 40], [60, 60, 90, 90], batch_size=256)
    assert (found.window, found.merged, found.padding) == (64, False, 0.0)
