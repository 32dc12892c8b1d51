from itertools import chain

import numpy as np
import pytest

from job.data.dataset import PairTable
from job.data.sampling.epochs import LengthBucketedSampler, ShuffledPairs
from job.data.sampling.permutation import epoch_permutation
from job.errors import ConfigError

NUM_PAIRS, BATCH = 50, 8
STEPS = NUM_PAIRS // BATCH
# Item i is i % 13 long; pair k is (k, k + 1).
LENGTHS = np.arange(NUM_PAIRS + 1) % 13


def file_pairs(*, seed: int = 3) -> ShuffledPairs:
    left = np.arange(NUM_PAIRS)
    return ShuffledPairs(PairTable(left, left + 1, (left % 2).astype(np.uint8)), seed, BATCH)


def bucketed(window: int, *, seed: int = 3) -> LengthBucketedSampler:
    return LengthBucketedSampler(
        file_pairs(seed=seed), lambda rows: LENGTHS[rows], window, seed
    )


def rows_of(pairs: ShuffledPairs | LengthBucketedSampler, *, epoch: int = 0) -> list[list[int]]:
    batch = pairs.epoch(epoch).batch
    return [batch(step).index.tolist() for step in range(pairs.num_steps)]


def test_batch_k_is_places_kb_to_k_plus_one_b_of_the_order():
    order = epoch_permutation(NUM_PAIRS, seed=3, epoch=2)
    expected = order[: STEPS * BATCH].reshape(STEPS, BATCH).tolist()
    assert rows_of(file_pairs(), epoch=2) == expected


def test_a_batch_holds_the_rows_its_index_names():
    chosen = file_pairs().epoch(0).batch(1)
    assert chosen.pairs.left.tolist() == chosen.index.tolist()
    assert chosen.pairs.label.tolist() == (chosen.index % 2).tolist()


@pytest.mark.parametrize("step", [-1, STEPS])
@pytest.mark.parametrize("pairs", [file_pairs(), bucketed(4)])
def test_a_step_outside_the_epoch_is_an_error(pairs, step):
    with pytest.raises(ValueError, match=f"step {step} of 8 pairs is outside an epoch"):
        pairs.epoch(0).batch(step)


def test_fewer_pairs_than_a_batch_are_refused():
    table = PairTable(np.arange(3), np.arange(3), np.zeros(3, np.uint8))
    with pytest.raises(ConfigError, match="global_batch_size: 8 is more than the 3"):
        _ = ShuffledPairs(table, 0, BATCH).num_steps


@pytest.mark.parametrize("window", [2, 4, 100])
def test_dealing_by_length_keeps_each_window_to_itself(window):
    plain, dealt = rows_of(file_pairs()), rows_of(bucketed(window))
    assert dealt != plain
    for first in range(0, STEPS, window):
        part = slice(first, first + window)
        assert set(chain(*plain[part])) == set(chain(*dealt[part]))
    assert {len(rows) for rows in dealt} == {BATCH}


def test_a_window_of_one_batch_changes_no_batch():
    plain, dealt = rows_of(file_pairs()), rows_of(bucketed(1))
    assert [sorted(rows) for rows in plain] == [sorted(rows) for rows in dealt]


def padding(batches: list[list[int]]) -> int:
    length = np.maximum(LENGTHS[:-1], LENGTHS[1:])
    return sum(int((length[rows].max() - length[rows]).sum()) for rows in batches)


def test_dealing_by_length_leaves_little_padding():
    assert padding(rows_of(bucketed(6))) < 0.4 * padding(rows_of(file_pairs()))


def test_short_batches_do_not_come_first_in_every_window():
    length = np.maximum(LENGTHS[:-1], LENGTHS[1:])
    longest = [
        [length[rows].max() for rows in rows_of(bucketed(6), epoch=epoch)] for epoch in range(8)
    ]
    assert any(epoch != sorted(epoch) for epoch in longest)
    assert len({tuple(np.argsort(epoch, kind="stable")) for epoch in longest}) > 1


@pytest.mark.parametrize("pairs", [file_pairs(), bucketed(3)])
def test_a_batch_is_the_same_whatever_was_asked_for_before(pairs):
    expected = rows_of(pairs)
    for step in (5, 0, 5, 3, 4):
        assert pairs.epoch(0).batch(step).index.tolist() == expected[step]


def test_seed_and_epoch_decide_how_batches_are_dealt():
    found = [
        rows_of(bucketed(6, seed=seed), epoch=epoch) for seed in (3, 4) for epoch in (0, 1)
    ]
    assert len({str(rows) for rows in found}) == 4
