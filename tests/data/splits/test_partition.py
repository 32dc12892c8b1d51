import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.data.dataset import LabelledRows, PairTable
from job.data.splits.partition import (
    By,
    Partition,
    components,
    partition_rows,
)
from job.types import SPLITS
from tests.data.conftest import pair_table

THREE_WAYS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def counts(pairs: PairTable, cut: Partition) -> dict[str, tuple[int, int]]:
    """Negatives and positives of each split."""
    result = {}
    for number, split in enumerate(SPLITS):
        chosen = pairs.where(cut.membership == number)
        result[split] = (chosen.num_negative, chosen.num_positive)
    return result


def labelled(item_class: np.ndarray) -> LabelledRows:
    return LabelledRows(np.arange(len(item_class)), item_class)


def pairs_of_families(sizes: list[tuple[int, int]]) -> PairTable:
    """Families of (negatives, positives): star-shaped components, no item shared."""
    rows, item = [], 0
    for negatives, positives in sizes:
        centre = item
        for label in [0] * negatives + [1] * positives:
            item += 1
            rows.append((centre, item, label))
        item += 1
    return pair_table(rows)


@pytest.mark.parametrize("num_classes", [2, 40])
@pytest.mark.parametrize("num_groups", [12, 20, 60])
def test_classes_that_few_groups_hold_leave_no_split_empty(num_groups, num_classes):
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(num_groups), 30)
    # Each group holds a few classes, which other groups may or may not hold.
    own = random.integers(0, num_classes, (num_groups, 3))
    item_class = own[groups, random.integers(0, 3, len(groups))]
    cut = partition_rows(
        labelled(item_class), by="group", fractions=THREE_WAYS, seed=0, groups=groups
    )
    shares = np.bincount(cut.membership, minlength=3) / len(groups)
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=1.01 / num_groups)


def test_groups_of_classes_of_their_own_are_assigned_by_size():
    groups = np.repeat(np.arange(20), 10)
    item_class = groups * 2 + np.tile([0, 1], 100)
    cut = partition_rows(
        labelled(item_class), by="group", fractions=THREE_WAYS, seed=0, groups=groups
    )
    assert np.bincount(cut.membership).tolist() == [160, 20, 20]


@pytest.mark.parametrize(
    ("by", "sizes", "fractions", "expected"),
    [
        # Ten equal families: eight, one, one.
        ("identity", [(1, 1)] * 10, THREE_WAYS, {(8, 8): 1, (1, 1): 2}),
        # Rows: each class in proportion, whatever the families.
        ("row", [(70, 30)], THREE_WAYS, {(56, 24): 1, (7, 3): 2}),
        # A family of 80 of 120 pairs fills train (72 wanted); the rest is shared equally.
        (
            "identity",
            [(40, 40), *[(1, 1)] * 20],
            {"train": 0.6, "validation": 0.2, "test": 0.2},
            {(40, 40): 1, (10, 10): 2},
        ),
        # Families of one class only: either class is assigned for itself.
        ("identity", [(2, 0)] * 20 + [(0, 1)] * 10, THREE_WAYS, {(32, 8): 1, (4, 1): 2}),
        # Only test is wanted.
        (
            "identity",
            [(1, 1)] * 10,
            {"train": 0.7, "test": 0.3},
            {(7, 7): 1, (0, 0): 1, (3, 3): 1},
        ),
        # Wanted 6, 2, 2 of each class. 4 goes to train; 3 costs train -0.5 and validation -1.5
        # (see the formula); 2 costs train -0.67 and test -2; only train lacks the last one.
        (
            "identity",
            [(1, 1), (2, 2), (3, 3), (4, 4)],
            {"train": 0.6, "validation": 0.2, "test": 0.2},
            {(5, 5): 1, (3, 3): 1, (2, 2): 1},
        ),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_shares_and_balance_come_out_as_wanted(by, sizes, fractions, expected, seed):
    pairs = pairs_of_families(sizes)
    found = counts(pairs, partition_rows(pairs, by=by, fractions=fractions, seed=seed))
    assert {value: list(found.values()).count(value) for value in found.values()} == expected
    assert max(found, key=lambda split: sum(found[split])) == "train"


def test_groups_stay_whole_though_they_share_items():
    pairs = pair_table([(0, row % 3, row % 2) for row in range(40)])
    groups = np.repeat(np.arange(10), 4)
    cut = partition_rows(pairs, by="group", fractions=THREE_WAYS, seed=0, groups=groups)
    assert cut.num_units == 10
    assert cut.largest_share == 0.1
    for group in range(10):
        assert len(set(cut.membership[groups == group])) == 1
    assert counts(pairs, cut) == {"train": (16, 16), "validation": (2, 2), "test": (2, 2)}


def test_groups_must_be_given():
    with pytest.raises(ValueError, match="needs groups"):
        partition_rows(pair_table([(0, 1, 1)]), by="group", fractions=THREE_WAYS, seed=0)


def test_rows_may_repeat_items():
    pairs = pair_table([(0, 1, row % 2) for row in range(20)])
    cut = partition_rows(pairs, by="row", fractions=THREE_WAYS, seed=0)
    assert counts(pairs, cut) == {"train": (8, 8), "validation": (1, 1), "test": (1, 1)}


EDGES = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 25), st.integers(0, 1)),
    min_size=1,
    max_size=60,
)


def slow_components(pairs: PairTable) -> list[int]:
    """The smallest item that can be reached from each, by relaxation."""
    size = int(max(pairs.left.max(), pairs.right.max())) + 1
    smallest = list(range(size))
    for _ in range(size):
        for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
            smallest[left] = smallest[right] = min(smallest[left], smallest[right])
    return smallest


@given(EDGES)
def test_components_agree_with_a_slow_search(edges):
    pairs = pair_table(edges)
    assert components(pairs).tolist() == slow_components(pairs)


def test_components_of_a_long_chain_and_of_nothing():
    chain = pair_table([(i, i + 1, 0) for i in range(20_000)])
    assert not components(chain).any()
    assert components(pair_table([])).tolist() == []


@given(EDGES, st.integers(0, 2**32 - 1))
def test_no_item_straddles_an_identity_cut(edges, seed):
    pairs = pair_table(edges)
    cut = partition_rows(pairs, by="identity", fractions=THREE_WAYS, seed=seed)
    of_item: dict[int, int] = {}
    for left, right, split in zip(pairs.left, pairs.right, cut.membership, strict=True):
        assert of_item.setdefault(int(left), int(split)) == split
        assert of_item.setdefault(int(right), int(split)) == split


def test_the_seed_decides_and_nothing_else():
    pairs = pairs_of_families([(1, 1)] * 100)
    cuts = [
        partition_rows(
            pairs, by="identity", fractions=THREE_WAYS, seed=seed
        ).membership.tolist()
        for seed in (0, 0, 1)
    ]
    assert cuts[0] == cuts[1] != cuts[2]


def test_the_cut_is_pinned():
    # Recorded with NumPy 2.4.6: a resumed run must cut as the first attempt did.
    pairs = pairs_of_families([(1, 1)] * 10)
    cut = partition_rows(pairs, by="identity", fractions=THREE_WAYS, seed=7)
    assert cut.membership[::2].tolist() == PINNED_CUT


PINNED_CUT = [0, 0, 0, 0, 0, 2, 0, 1, 0, 0]


def class_counts(item_class: np.ndarray, cut: Partition) -> list[list[int]]:
    """Rows of each class in each split."""
    return [
        np.bincount(
            item_class[cut.membership == number], minlength=item_class.max() + 1
        ).tolist()
        for number in range(len(SPLITS))
    ]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize(
    ("by", "item_class", "groups", "expected"),
    [
        # Rows of four classes: each class in proportion.
        ("row", np.repeat(np.arange(4), 10), None, [[8] * 4, [1] * 4, [1] * 4]),
        # Classes of 30 and 10: likewise.
        ("row", np.repeat([0, 1], [30, 10]), None, [[24, 8], [3, 1], [3, 1]]),
        # Groups that hold one class each: eight, one and one of either.
        (
            "group",
            np.repeat([0, 1], 30),
            np.repeat(np.arange(20), 3),
            [[24, 24], [3, 3], [3, 3]],
        ),
        # Groups of two of each class.
        (
            "group",
            np.tile([0, 1], 20),
            np.repeat(np.arange(10), 4),
            [[16, 16], [2, 2], [2, 2]],
        ),
    ],
)
def test_labelled_items_are_assigned_in_proportion_by_class(
    by, item_class, groups, expected, seed
):
    cut = partition_rows(
        labelled(item_class), by=by, fractions=THREE_WAYS, seed=seed, groups=groups
    )
    assert class_counts(item_class, cut) == expected


def test_small_classes_lose_a_row_in_turn_to_either_split():
    # 4, 0.5 and 0.5 of 5 rows are wanted: the fifth goes to the split that is shorter overall.
    item_class = np.repeat(np.arange(50), 5)
    cut = partition_rows(labelled(item_class), by="row", fractions=THREE_WAYS, seed=0)
    train, validation, test = class_counts(item_class, cut)
    assert train == [4] * 50
    assert (sum(validation), sum(test)) == (25, 25)


def test_very_many_classes_are_assigned_by_size_alone():
    item_class = np.repeat(np.arange(100), 5)
    cut = partition_rows(labelled(item_class), by="row", fractions=THREE_WAYS, seed=0)
    train, validation, test = class_counts(item_class, cut)
    assert (sum(train), sum(validation), sum(test)) == (400, 50, 50)
    assert set(train) != {4}


def test_a_class_is_the_identity_of_labelled_items():
    # Numbers as of several files: those of other files are no classes here.
    item_class = np.repeat(np.arange(10) * 7 + 3, 4)
    cut = partition_rows(labelled(item_class), by="identity", fractions=THREE_WAYS, seed=0)
    assert (cut.num_units, cut.unit_name, cut.largest_share) == (10, "classes", 0.1)
    assert np.bincount(cut.membership).tolist() == [32, 4, 4]
    assert all(len(set(split)) == 1 for split in cut.membership.reshape(10, 4).tolist())


ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=60)


@given(ROWS, st.sampled_from(["identity", "group", "row"]), st.integers(0, 2**32 - 1))
def test_no_unit_of_labelled_items_straddles_a_cut(rows, by: By, seed):
    classes, groups = np.array(rows).T
    groups = np.unique(groups, return_inverse=True)[1]
    cut = partition_rows(
        labelled(classes), by=by, fractions=THREE_WAYS, seed=seed, groups=groups
    )
    assert cut.membership.shape == classes.shape
    assert set(cut.membership.tolist()) <= {0, 1, 2}
    units = {"identity": classes, "group": groups, "row": np.arange(len(classes))}[by]
    assert len(set(zip(units.tolist(), cut.membership.tolist(), strict=True))) == cut.num_units


def test_the_cut_of_labelled_items_is_pinned():
    # Recorded with NumPy 2.4.6: a resumed run must cut as the first attempt did.
    item_class = np.repeat(np.arange(10), 2)
    cut = partition_rows(labelled(item_class), by="identity", fractions=THREE_WAYS, seed=7)
    assert cut.membership[::2].tolist() == PINNED_CUT


def test_groups_of_labelled_items_must_be_given():
    with pytest.raises(ValueError, match="needs groups"):
        partition_rows(
            labelled(np.zeros(3, np.int64)), by="group", fractions=THREE_WAYS, seed=0
        )
