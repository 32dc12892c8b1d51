import numpy as np
import pytest

from job.data.dataset import PairTable
from job.data.sampling.epochs import ShuffledPairs
from job.data.sampling.permutation import epoch_permutation
from job.errors import ConfigError

NUM_PAIRS, BATCH = 50, 8
STEPS = NUM_PAIRS // BATCH


def file_pairs(*, seed: int = 3) -> ShuffledPairs:
    left = np.arange(NUM_PAIRS)
    return ShuffledPairs(PairTable(left, left + 1, (left % 2).astype(np.uint8)), seed, BATCH)


def rows_of(pairs: ShuffledPairs, *, epoch: int = 0) -> list[list[int]]:
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
def test_a_step_outside_the_epoch_is_an_error(step):
    with pytest.raises(ValueError, match=f"step {step} of 8 pairs is outside an epoch"):
        file_pairs().epoch(0).batch(step)


def test_fewer_pairs_than_a_batch_are_refused():
    table = PairTable(np.arange(3), np.arange(3), np.zeros(3, np.uint8))
    with pytest.raises(ConfigError, match="global_batch_size: 8 is more than the 3"):
        _ = ShuffledPairs(table, 0, BATCH).num_steps


def test_a_batch_is_the_same_whatever_was_asked_for_before():
    pairs = file_pairs()
    expected = rows_of(pairs)
    for step in (5, 0, 5, 3, 4):
        assert pairs.epoch(0).batch(step).index.tolist() == expected[step]
