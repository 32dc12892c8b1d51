"""Pairs drawn from labelled items, counted and looked at one by one."""

from collections import Counter

import numpy as np
import pytest

from job.config.sampling import ClassSamplingConfig, PairSamplingConfig
from job.data.dataset import ItemTable
from job.data.sampling.pair_sampling import (
    ClassBalancedSampler,
    ClassIndex,
    PairSampler,
    drawn_pairs,
)
from job.errors import ConfigError
from job.preprocessing.ragged import RaggedArray

# Items 1 to 13 are for training: class 5 has items 1 to 6, class 2 7 to 10, class 9 11 and 12,
# class 4 only 13. Item 0, of class 5, and item 14, of class 7, are in other splits.
CLASSES = np.array([5, 5, 5, 5, 5, 5, 5, 2, 2, 2, 2, 9, 9, 4, 7])
ROWS = np.arange(1, 14)


def index() -> ClassIndex:
    return ClassIndex.of(CLASSES, rows=ROWS)


def drawn(*, positive: int = 30, negative: int = 50, seed: int = 1) -> PairSampler:
    return PairSampler(index(), positive, negative, seed, global_batch_size=8)


def balanced(
    *, items: int = 2, batch: int = 3, pairs: int = 60, seed: int = 1
) -> ClassBalancedSampler:
    return ClassBalancedSampler(
        index().at_least(items), items, pairs, seed, global_batch_size=batch
    )


def all_of(pairs, *, epoch: int = 0) -> list[tuple[int, int, int]]:
    chosen = [pairs.epoch(epoch).batch(step).pairs for step in range(pairs.num_steps)]
    return [
        row
        for table in chosen
        for row in zip(
            table.left.tolist(), table.right.tolist(), table.label.tolist(), strict=True
        )
    ]


def test_items_are_sorted_by_class():
    found = index()
    assert found.rows.tolist() == [7, 8, 9, 10, 13, 1, 2, 3, 4, 5, 6, 11, 12]
    assert found.start.tolist() == [0, 4, 5, 11]
    assert found.size.tolist() == [4, 1, 6, 2]
    assert found.class_at(np.arange(13)).tolist() == [0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 3, 3]


def test_small_classes_can_be_left_out():
    found = index().at_least(4)
    assert found.rows.tolist() == [7, 8, 9, 10, 1, 2, 3, 4, 5, 6]
    assert found.start.tolist() == [0, 4]
    assert found.size.tolist() == [4, 6]


def test_an_epoch_holds_as_many_pairs_of_each_kind_as_asked_for():
    labels = Counter(label for _, _, label in all_of(drawn()))
    assert labels == {1: 30, 0: 50}


def test_the_label_says_whether_the_classes_are_equal():
    for left, right, label in all_of(drawn()):
        assert (CLASSES[left] == CLASSES[right]) == (label == 1)
        assert left != right
        assert {left, right} <= set(ROWS.tolist())


def test_every_pair_that_can_be_drawn_is_drawn_equally_often():
    # A count of mean m has a standard error of at most sqrt(m); five of them are allowed.
    found = Counter(all_of(drawn(positive=7_000, negative=14_000)))
    matches = Counter({pair: n for pair, n in found.items() if pair[2] == 1})
    # 12 items have another of their class: an item of a class of n is in 1/12 of the matches
    # as the first, and with each of the n - 1 others equally often.
    for (left, _, _), number in matches.items():
        share = 7_000 / 12 / (np.count_nonzero(CLASSES[ROWS] == CLASSES[left]) - 1)
        assert number == pytest.approx(share, abs=5 * np.sqrt(share))
    assert len(matches) == 6 * 5 + 4 * 3 + 2 * 1
    others = Counter({pair: n for pair, n in found.items() if pair[2] == 0})
    assert len(others) == 13 * 13 - (36 + 16 + 4 + 1)
    for (left, _, _), number in others.items():
        share = 14_000 / 13 / (13 - np.count_nonzero(CLASSES[ROWS] == CLASSES[left]))
        assert number == pytest.approx(share, abs=5 * np.sqrt(share))


@pytest.mark.parametrize("pairs", [drawn(), balanced()])
def test_a_batch_is_the_same_whatever_was_asked_for_before(pairs):
    def rows(step: int) -> list[list[int]]:
        chosen = pairs.epoch(4).batch(step)
        table = chosen.pairs
        return [table.left.tolist(), table.right.tolist(), chosen.index.tolist()]

    in_order = [rows(step) for step in range(pairs.num_steps)]
    epoch = pairs.epoch(4)
    for step in (7, 2, 9, 2):
        assert epoch.batch(step).pairs.left.tolist() == in_order[step][0]
        assert rows(step) == in_order[step]


@pytest.mark.parametrize("make", [drawn, balanced])
def test_seed_and_epoch_decide_what_is_drawn(make):
    found = [all_of(make(seed=seed), epoch=epoch) for seed in (1, 2) for epoch in (0, 1)]
    assert len({str(pairs) for pairs in found}) == 4


@pytest.mark.parametrize("pairs", [drawn(), balanced()])
def test_the_numbers_of_an_epoch_are_its_own(pairs):
    numbers = [
        number
        for step in range(pairs.num_steps)
        for number in pairs.epoch(0).batch(step).index.tolist()
    ]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("items", "batch", "classes"), [(2, 3, 3), (2, 2, 2), (4, 4, 2)])
def test_a_batch_holds_m_items_of_each_of_its_classes_and_none_twice(items, batch, classes):
    pairs = balanced(items=items, batch=batch)
    for step in range(pairs.num_steps):
        table = pairs.epoch(0).batch(step).pairs
        both = [*table.left.tolist(), *table.right.tolist()]
        assert len(set(both)) == 2 * batch
        assert set(Counter(CLASSES[both]).values()) == {items}
        assert len(set(CLASSES[both])) == classes
        assert (CLASSES[table.left] == CLASSES[table.right]).all()
        assert table.label.tolist() == [1] * batch


def test_classes_take_turns():
    # Three classes, two in a batch: a round is one batch, and each comes in two of three.
    pairs = balanced(batch=2, pairs=1200)
    seen = Counter(
        label
        for step in range(pairs.num_steps)
        for label in set(CLASSES[pairs.epoch(0).batch(step).pairs.left].tolist())
    )
    for number in seen.values():
        assert number == pytest.approx(600 * 2 / 3, rel=0.1)
    # Three in a batch: each comes in every batch.
    pairs = balanced(batch=3, pairs=300)
    for step in range(pairs.num_steps):
        assert len(set(CLASSES[pairs.epoch(0).batch(step).pairs.left])) == 3


def test_the_items_of_a_class_are_drawn_and_paired_fairly():
    found = Counter(
        frozenset((left, right))
        for left, right, _ in all_of(balanced(items=4, batch=4, pairs=24_000))
    )
    # 6,000 batches, two pairs of each class: of 6 items 15 pairs, of 4 items 6 pairs.
    large = [n for pair, n in found.items() if min(pair) < 7]
    small = [n for pair, n in found.items() if min(pair) >= 7]
    assert (len(large), len(small)) == (15, 6)
    assert large == pytest.approx([12_000 / 15] * 15, rel=0.15)
    assert small == pytest.approx([12_000 / 6] * 6, rel=0.15)


def test_the_defaults_see_each_item_about_once():
    items = ItemTable("text", RaggedArray.from_bytes([b"x"] * 15), CLASSES)

    def steps(section) -> int:
        return drawn_pairs(
            section, items=items, rows=ROWS, seed=0, global_batch_size=2
        ).num_steps

    assert steps(PairSamplingConfig()) == (13 + 13) // 2
    assert steps(PairSamplingConfig(positives_per_epoch=3, negatives_per_epoch=1)) == 2
    assert steps(ClassSamplingConfig()) == 6 // 2
    assert steps(ClassSamplingConfig(pairs_per_epoch=8)) == 4


def test_classes_too_small_for_a_batch_are_named(caplog):
    section = ClassSamplingConfig(items_per_class=4)
    ClassBalancedSampler.configured(section, index=index(), seed=0, global_batch_size=4)
    (record,) = caplog.records
    assert record.message == "small classes left out"
    assert (record.classes, record.of_classes, record.items) == (2, 4, 3)
    caplog.clear()
    ClassBalancedSampler.configured(
        section, index=index().at_least(4), seed=0, global_batch_size=4
    )
    assert caplog.records == []


def test_more_classes_in_a_batch_than_there_are_is_refused():
    with pytest.raises(ConfigError) as refused:
        ClassBalancedSampler.configured(
            ClassSamplingConfig(items_per_class=4), index=index(), seed=0, global_batch_size=6
        )
    assert str(refused.value) == (
        "data.sampling.items_per_class: a batch of 6 pairs needs 3 classes of 4 items; "
        "training has 2 classes of at least that many (and 4 in all). Lower "
        "training.global_batch_size or, where classes are smaller, items_per_class."
    )


@pytest.mark.parametrize("step", [-1, 20])
def test_a_step_outside_the_epoch_is_an_error(step):
    with pytest.raises(ValueError, match=f"step {step} is outside an epoch of 20"):
        balanced().epoch(0).batch(step)
