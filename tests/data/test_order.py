import numpy as np
import pytest

from job.data.order import epoch_order, generator, steps_in_epoch
from job.errors import ConfigError

# Recorded with NumPy 2.4.6. A NumPy that draws other numbers would make resumed runs differ
# from undisturbed ones without a word: do not record anew, pin NumPy or draw otherwise.
GOLDEN = {
    (0, 0): [
        67623,
        73852,
        90193,
        34081,
        86669,
        24076,
        35643,
        43986,
        24143,
        90100,
        19743,
        47652,
        81165,
        26539,
        64659,
        70434,
        31569,
        94474,
        5724,
        78356,
    ],
    (7, 3): [
        55805,
        88324,
        7065,
        16122,
        13089,
        16742,
        53769,
        36984,
        56602,
        36207,
        42501,
        31935,
        88060,
        26652,
        4436,
        81250,
        28891,
        19859,
        46752,
        60108,
    ],
    (4294967295, 1000): [
        79616,
        93667,
        25198,
        50105,
        71968,
        65958,
        18375,
        59630,
        31435,
        31108,
        24449,
        84095,
        36245,
        73521,
        25780,
        28856,
        65783,
        38768,
        27042,
        11244,
    ],
}


@pytest.mark.parametrize(("seed", "epoch"), GOLDEN)
def test_the_order_is_pinned(seed, epoch):
    assert epoch_order(100_000, seed=seed, epoch=epoch)[:20].tolist() == GOLDEN[seed, epoch]


def test_an_order_visits_every_pair_once():
    order = epoch_order(1000, seed=1, epoch=2)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(1000))


def test_seed_and_epoch_both_decide():
    orders = [epoch_order(1000, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    for i, one in enumerate(orders):
        for other in orders[i + 1 :]:
            # Independent permutations agree in one place on average.
            assert np.count_nonzero(one == other) < 10


def test_the_same_arguments_give_the_same_order():
    one = epoch_order(1000, seed=5, epoch=6)
    assert one.tolist() == epoch_order(1000, seed=5, epoch=6).tolist()


def test_no_pairs_have_an_order():
    assert epoch_order(0, seed=0, epoch=0).tolist() == []


def test_high_streams_are_distinct():
    draws = {generator(3, stream=stream).integers(2**63) for stream in (0, 1, 2**63, 2**64 - 1)}
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
