import numpy as np
import pytest

from job.inspection.chunking import parts
from job.inspection.probe import Marks, OneSided, null_deviation, one_sided, roc_auc
from tests.inspection.datasets import pair_table


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [
        ([0, 1], [0, 1], 1.0),
        ([1, 0], [0, 1], 0.0),
        ([1, 1], [0, 1], 0.5),
        ([0, 1, 1, 2], [0, 0, 1, 1], 0.875),  # of 4: 3 above, 1 equal
        ([3, 1, 2], [0, 1, 0], 0.0),
    ],
)
def test_roc_auc_counts_pairs_in_the_right_order(score, label, expected):
    assert roc_auc(np.array(score, np.float64), np.array(label, np.uint8)) == expected


def test_chance_deviates_as_mann_and_whitney_say():
    # 2 and 3: (2 + 3 + 1) / (12 * 6).
    table = pair_table([(0, 0, label) for label in (0, 0, 1, 1, 1)])
    assert null_deviation(table) == pytest.approx(np.sqrt(1 / 12))
    labels = np.repeat(np.array([0, 1], np.uint8), [20, 30])
    random = np.random.default_rng(0)
    drawn = [roc_auc(random.random(50), labels) for _ in range(2000)]
    table = pair_table([(0, 0, label) for label in labels.tolist()])
    assert null_deviation(table) == pytest.approx(np.std(drawn), rel=0.05)


def own_marks(marks, *, max_items=1000, num_marks=4):
    """Items whose marks are given, by item number."""

    def of(rows):
        owner = np.repeat(np.arange(len(rows)), [len(marks[row]) for row in rows.tolist()])
        mark = [one for row in rows.tolist() for one in marks[row]]
        return np.array(mark, np.int64), owner

    return Marks(
        num_marks,
        of,
        lambda rows: parts(rows, sizes=np.ones(len(rows), np.int64)),
        max_items,
    )


# Items 0 and 1 are always left and say nothing; 2 is right in matches, 3 in others, 4 and 5
# are their like in validation.
MARKS = {0: [0], 1: [0], 2: [1], 3: [2], 4: [1], 5: [2], 6: []}
TRAIN = [(0, 2, 1), (1, 2, 1), (0, 3, 0), (1, 3, 0)]
VALIDATION = [(0, 4, 1), (1, 5, 0), (0, 5, 0)]


def test_a_side_that_tells_the_label_is_found():
    it = one_sided(own_marks(MARKS), train=pair_table(TRAIN), held_out=pair_table(VALIDATION))
    assert (it.left, it.right) == (0.5, 1.0)
    assert it.deviation == null_deviation(pair_table(VALIDATION))
    swapped = one_sided(
        own_marks(MARKS),
        train=pair_table([(right, left, label) for left, right, label in TRAIN]),
        held_out=pair_table([(right, left, label) for left, right, label in VALIDATION]),
    )
    assert (swapped.left, swapped.right) == (1.0, 0.5)


def test_items_without_marks_say_nothing():
    it = one_sided(
        own_marks(MARKS),
        train=pair_table(TRAIN),
        held_out=pair_table([(0, 6, 1), (0, 6, 0)]),
    )
    assert it.right == 0.5


# Items 0 and 1 hold one mark each: 1 is seen in 30 matches and 3 others, 2 in a single match.
OFTEN = [(0, 9, 1)] * 30 + [(0, 9, 0)] * 3 + [(1, 9, 1)] + [(8, 9, 0)] * 30


def test_what_is_seen_once_counts_less_than_what_is_seen_often():
    marks = own_marks({0: [1], 1: [2], 8: [3], 9: [0]})
    held_out = pair_table([(0, 9, 1), (1, 9, 0)])
    assert one_sided(marks, train=pair_table(OFTEN), held_out=held_out).left == 1.0


def test_an_item_of_many_marks_counts_as_their_mean():
    # Mark 1 says more than mark 2, also than ten of them.
    marks = own_marks({0: [1], 1: [2], 2: [2] * 10, 8: [3], 9: [0]})
    held_out = pair_table([(0, 9, 1), (2, 9, 0)])
    assert one_sided(marks, train=pair_table(OFTEN), held_out=held_out).left == 1.0


def test_items_in_parts_are_items_at_once(monkeypatch):
    whole = one_sided(
        own_marks(MARKS), train=pair_table(TRAIN), held_out=pair_table(VALIDATION)
    )
    monkeypatch.setattr("job.inspection.chunking._CELLS", 1)
    again = one_sided(
        own_marks(MARKS), train=pair_table(TRAIN), held_out=pair_table(VALIDATION)
    )
    assert whole == again


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        ([(0, 2, 1)], VALIDATION),
        (TRAIN, [(0, 4, 0)]),
        ([], VALIDATION),
        (TRAIN, []),
    ],
)
def test_pairs_of_one_label_are_not_asked(train, held_out):
    it = one_sided(own_marks(MARKS), train=pair_table(train), held_out=pair_table(held_out))
    assert it == OneSided()


def test_no_more_pairs_are_looked_at_than_there_is_time_for():
    seen = set()
    marks = own_marks({row: [0] for row in range(400)}, max_items=40)

    def of(rows):
        seen.update(rows.tolist())
        return marks.of(rows)

    table = pair_table([(2 * k, 2 * k + 1, k % 2) for k in range(200)])
    one_sided(Marks(4, of, marks.in_parts, 40), train=table, held_out=table)
    assert len(seen) == 20  # ten pairs, a quarter of 40, and the same of both tables
