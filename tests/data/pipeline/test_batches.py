import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from job.data.dataset import ItemTable
from job.data.pipeline.batches import item_batches, pair_arrays
from job.data.pipeline.collators import AugmentationSeed
from job.data.sampling.epochs import SampledPairs
from job.preprocessing.ragged import RaggedArray
from tests.data.conftest import pair_table
from tests.feeds import IdFeed

# Items: [1], [2 2], [3 3 3], [] and [4 4].
TOKENS = RaggedArray(np.array([1, 2, 2, 3, 3, 3, 4, 4], np.int32), np.array([0, 1, 3, 6, 6, 8]))
CLASSES = np.array([7, 8, -1, 9, 7])
PAIRS = pair_table([(0, 1, 1), (1, 2, 0), (2, 0, 1), (4, 3, 0), (0, 4, 1)])


def feed(tokens: RaggedArray = TOKENS) -> IdFeed:
    return IdFeed(tokens)


def items(*, classes: np.ndarray | None = CLASSES) -> ItemTable:
    return ItemTable("text", TOKENS, classes)


def chosen(*rows: int) -> SampledPairs:
    numbers = np.array(rows, np.int64)
    return SampledPairs(PAIRS.take(numbers), numbers)


def test_a_batch_holds_the_left_items_then_the_right_ones():
    arrays = pair_arrays(chosen(4, 2, 0), feed=feed(), items=items(), seed=0, epoch=0)
    assert arrays.items.values.dtype == np.int32
    assert arrays.label.dtype == np.float32
    assert [arrays.items.row(row).tolist() for row in range(6)] == [
        *([1], [3, 3, 3], [1]),
        *([4, 4], [1], [2, 2]),
    ]
    assert arrays.label.tolist() == [1, 1, 1]


def test_a_batch_for_items_on_the_device_holds_their_numbers_alone():
    arrays = pair_arrays(chosen(4, 2), feed=None, items=items(), seed=0, epoch=0)
    assert arrays.items is None
    assert arrays.left_item.tolist() == [0, 2]


def test_a_batch_says_which_items_and_classes_its_pairs_hold():
    arrays = pair_arrays(chosen(4, 2), feed=feed(), items=items(), seed=0, epoch=0)
    assert arrays.left_item.tolist() == [0, 2]
    assert arrays.right_item.tolist() == [4, 0]
    assert arrays.left_class.tolist() == [7, -1]
    assert arrays.right_class.tolist() == [7, 7]


def test_without_classes_every_class_is_unknown():
    arrays = pair_arrays(chosen(0, 1), feed=feed(), items=items(classes=None), seed=0, epoch=0)
    assert arrays.left_class.tolist() == arrays.right_class.tolist() == [-1, -1]


@dataclass(frozen=True, eq=False)
class Listening(IdFeed):
    """Notes which variations it is asked for."""

    heard: list[AugmentationSeed | None] = field(default_factory=list)

    def ragged(self, rows, *, variation=None):
        self.heard.append(variation)
        return super().ragged(rows)

    def batch(self, rows, *, variation=None):
        self.heard.append(variation)
        return super().batch(rows)


def test_every_item_of_an_epoch_is_varied_by_a_number_of_its_own():
    listening = Listening(TOKENS)
    for rows in ([4, 2], [0, 1], [3]):
        pair_arrays(chosen(*rows), feed=listening, items=items(), seed=5, epoch=3)
    assert {(one.seed, one.epoch) for one in listening.heard} == {(5, 3)}
    numbers = [number for one in listening.heard for number in one.index.tolist()]
    assert sorted(numbers) == list(range(10))


def test_a_measured_item_is_not_varied():
    listening = Listening(TOKENS)
    list(item_batches(listening, batch_size=2, rows=np.arange(5)))
    assert set(listening.heard) == {None}


def test_item_batches_visit_every_item_once_short_ones_first():
    batches = list(item_batches(feed(), batch_size=2, rows=np.arange(5)))
    assert [rows.tolist() for rows, _ in batches] == [[3, 0], [1, 4], [2]]
    assert [ids.tolist() for _, ids in batches] == [
        [[0], [1]],
        [[2, 2], [4, 4]],
        [[3, 3, 3]],
    ]
    assert all(ids.dtype == np.int32 for _, ids in batches)


@pytest.mark.parametrize(
    ("max_steps", "expected"),
    [
        (6, [[3, 0, 1], [4, 2]]),
        (5, [[3, 0], [1, 4], [2]]),
        (2, [[3, 0], [1], [4], [2]]),
        (0, [[3], [0], [1], [4], [2]]),
    ],
)
def test_long_items_make_small_batches(max_steps, expected):
    batches = item_batches(feed(), batch_size=3, rows=np.arange(5), max_steps=max_steps)
    assert [rows.tolist() for rows, _ in batches] == expected


def test_item_batches_are_the_same_with_any_number_of_threads():
    one, many = (
        list(item_batches(feed(), batch_size=1, rows=np.arange(5), threads=threads))
        for threads in (1, 4)
    )
    assert [rows.tolist() for rows, _ in one] == [rows.tolist() for rows, _ in many]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one, many, strict=True))


class Counting(IdFeed):
    """Says how many batches were collated."""

    def __init__(self) -> None:
        super().__init__(TOKENS)
        object.__setattr__(self, "collated", threading.Semaphore(0))

    def batch(self, rows, *, variation=None):
        self.collated.release()
        return super().batch(rows)


def test_item_batches_are_collated_ahead_of_use_but_not_all_of_them():
    counting = Counting()
    batches = item_batches(counting, batch_size=1, rows=np.arange(5), threads=2)
    next(batches)
    for _ in range(3):  # the one in use, and two ahead
        assert counting.collated.acquire(timeout=10)
    batches.close()
    assert not counting.collated.acquire(blocking=False)


def test_an_error_in_a_thread_is_raised_where_the_batch_is_used():
    class Broken(IdFeed):
        def batch(self, rows, *, variation=None):
            raise OSError("no such image")

    with pytest.raises(OSError, match="no such image"):
        next(item_batches(Broken(TOKENS), batch_size=1, rows=np.arange(5), threads=2))


def test_items_of_one_length_keep_their_order():
    tokens = RaggedArray(np.ones(300, np.int32), np.arange(0, 301, 3))
    ((rows, _),) = item_batches(feed(tokens), batch_size=100, rows=np.arange(100))
    assert rows.tolist() == list(range(100))


def test_item_batches_can_be_of_some_items():
    batches = list(item_batches(feed(), batch_size=8, rows=np.array([4, 2])))
    assert [rows.tolist() for rows, _ in batches] == [[4, 2]]
    assert list(item_batches(feed(), batch_size=8, rows=np.array([], np.int64))) == []
