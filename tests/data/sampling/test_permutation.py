from pathlib import Path

import numpy as np
import pytest

from job.data.sampling.permutation import epoch_permutation, make_rng, steps_in_epoch
from job.errors import ConfigError

# Recorded with NumPy 2.4.6. A NumPy that draws other numbers would make resumed runs differ
# from undisturbed ones without a word: do not record anew, pin NumPy or draw otherwise.
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 3), (4294967295, 1000)])
def test_the_order_is_pinned(seed, epoch):
    recorded = (GOLDEN / f"order-seed-{seed}-epoch-{epoch}.txt").read_text().split()
    assert len(recorded) == 1000
    order = epoch_permutation(100_000, seed=seed, epoch=epoch)
    assert order[:1000].tolist() == list(map(int, recorded))


def test_an_order_visits_every_pair_once():
    order = epoch_permutation(1000, seed=1, epoch=2)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(1000))


def test_seed_and_epoch_both_decide():
    orders = [
        epoch_permutation(1000, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)
    ]
    for i, one in enumerate(orders):
        for other in orders[i + 1 :]:
            # Independent permutations agree in one place on average.
            assert np.count_nonzero(one == other) < 10


def test_the_same_arguments_give_the_same_order():
    one = epoch_permutation(1000, seed=5, epoch=6)
    assert one.tolist() == epoch_permutation(1000, seed=5, epoch=6).tolist()


def test_no_pairs_have_an_order():
    assert epoch_permutation(0, seed=0, epoch=0).tolist() == []


def test_high_streams_are_distinct():
    draws = {make_rng(3, stream=stream).integers(2**63) for stream in (0, 1, 2**63, 2**64 - 1)}
    assert len(draws) == 4


@pytest.mark.parametrize(
    ("num_pairs", "batch", "steps"), [(10, 3, 3), (9, 3, 3), (3, 3, 1), (5, 1, 5)]
)
def test_an_epoch_has_whole_batches_only(num_pairs, batch, steps):
    assert steps_in_epoch(num_pairs, batch) == steps


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ConfigError) as caught:
        steps_in_epoch(99, 100)
    message = str(caught.value)
    assert message.startswith("training.global_batch_size: 100 is more than the 99 training")
    assert "Set it to at most that" in message
