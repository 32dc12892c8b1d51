import numpy as np
import pytest

from job.data.batches import item_batches, training_block
from job.data.feeds import TokenFeed
from job.data.order import epoch_order
from job.data.ragged import RaggedArray
from tests.data.conftest import pair_table

# Items: [1], [2 2], [3 3 3], [] and [4 4].
TOKENS = RaggedArray(np.array([1, 2, 2, 3, 3, 3, 4, 4], np.int32), np.array([0, 1, 3, 6, 6, 8]))


def feed(tokens: RaggedArray = TOKENS, *, multiple: int = 8) -> TokenFeed:
    return TokenFeed(tokens, vocabulary_size=9, padding_multiple=multiple)


PAIRS = pair_table([(0, 1, 1), (1, 2, 0), (2, 0, 1), (4, 3, 0), (0, 4, 1)])


def test_a_block_holds_the_pairs_of_its_steps_in_order():
    order = np.array([4, 2, 0, 1, 3])
    block = training_block(
        feed(multiple=1), PAIRS, order, first_step=0, num_steps=2, global_batch_size=2
    )
    assert block.left.dtype == block.right.dtype == np.int32
    assert block.label.dtype == np.float32
    # Pairs 4, 2 then 0, 1.
    assert block.left.tolist() == [[[1, 0, 0], [3, 3, 3]], [[1, 0, 0], [2, 2, 0]]]
    assert block.right.tolist() == [[[4, 4, 0], [1, 0, 0]], [[2, 2, 0], [3, 3, 3]]]
    assert block.label.tolist() == [[1, 1], [1, 0]]


def test_both_sides_are_padded_to_one_multiple():
    block = training_block(
        feed(), PAIRS, np.arange(5), first_step=0, num_steps=1, global_batch_size=1
    )
    assert block.left.shape == block.right.shape == (1, 1, 8)


def strip(row: np.ndarray) -> list[int]:
    return row[row != 0].tolist()


@pytest.mark.parametrize("cut", range(1, 7))
def test_steps_are_the_same_wherever_a_block_begins(cut):
    random = np.random.default_rng(0)
    lengths = random.integers(1, 30, 40)
    tokens = RaggedArray(
        random.integers(1, 9, lengths.sum()).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
    )
    pairs = pair_table(
        np.stack([random.integers(0, 40, 60), random.integers(0, 40, 60), np.arange(60) % 2], 1)
    )
    order = epoch_order(60, seed=1, epoch=1)

    def steps(first: int, num: int) -> list[tuple]:
        block = training_block(
            feed(tokens), pairs, order, first_step=first, num_steps=num, global_batch_size=8
        )
        return [
            ([*map(strip, left)], [*map(strip, right)], label.tolist())
            for left, right, label in zip(block.left, block.right, block.label, strict=True)
        ]

    assert steps(0, cut) + steps(cut, 7 - cut) == steps(0, 7)


@pytest.mark.parametrize(("first", "num"), [(0, 3), (2, 1), (-1, 1), (0, 0)])
def test_steps_outside_the_epoch_are_refused(first, num):
    with pytest.raises(ValueError, match="do not lie in an epoch of 5 pairs"):
        training_block(
            feed(), PAIRS, np.arange(5), first_step=first, num_steps=num, global_batch_size=2
        )


def test_item_batches_visit_every_item_once_short_ones_first():
    batches = list(item_batches(feed(multiple=2), batch_size=2))
    assert [rows.tolist() for rows, _ in batches] == [[3, 0], [1, 4], [2]]
    assert [ids.tolist() for _, ids in batches] == [
        [[0, 0], [1, 0]],
        [[2, 2], [4, 4]],
        [[3, 3, 3, 0]],
    ]
    assert all(ids.dtype == np.int32 for _, ids in batches)


def test_items_of_one_length_keep_their_order():
    tokens = RaggedArray(np.ones(300, np.int32), np.arange(0, 301, 3))
    ((rows, _),) = item_batches(feed(tokens), batch_size=100)
    assert rows.tolist() == list(range(100))


def test_item_batches_can_be_of_some_items():
    batches = list(item_batches(feed(multiple=1), batch_size=8, rows=np.array([4, 2])))
    assert [rows.tolist() for rows, _ in batches] == [[4, 2]]
    assert list(item_batches(feed(), batch_size=8, rows=np.array([], np.int64))) == []


def test_a_block_says_which_items_and_classes_its_pairs_hold():
    order = np.array([4, 2, 0, 1, 3])
    block = training_block(
        feed(),
        PAIRS,
        order,
        first_step=0,
        num_steps=2,
        global_batch_size=2,
        item_class=np.array([7, 8, -1, 9, 7]),
    )
    # Pairs 4, 2 then 0, 1.
    assert block.left_item.tolist() == [[0, 2], [0, 1]]
    assert block.right_item.tolist() == [[4, 0], [1, 2]]
    assert block.left_class.tolist() == [[7, -1], [7, 8]]
    assert block.right_class.tolist() == [[7, 7], [8, -1]]
    numbers = (block.left_item, block.right_item, block.left_class, block.right_class)
    assert all(array.dtype == np.int64 for array in numbers)


def test_without_classes_every_class_is_unknown():
    block = training_block(
        feed(), PAIRS, np.arange(5), first_step=0, num_steps=1, global_batch_size=3
    )
    assert block.left_class.tolist() == block.right_class.tolist() == [[-1, -1, -1]]
