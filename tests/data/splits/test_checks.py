import numpy as np
import pytest

from job.data.dataset import LabelledRows
from job.data.splits.checks import (
    require_filled,
    require_named,
    require_usable,
    warn_of_shared_classes,
    warn_of_shared_items,
    warn_of_small_splits,
)
from job.data.splits.partition import Partition
from job.errors import DataError
from tests.data.conftest import pair_table


def partition(
    num_units: int, largest_share: float, unit_name: str, row_name: str = "pairs"
) -> Partition:
    return Partition(np.zeros(0, np.int8), num_units, largest_share, unit_name, row_name)


def labelled(classes: list[int]) -> LabelledRows:
    return LabelledRows(np.arange(len(classes)), np.array(classes, np.int64))


COMPONENTS = partition(3, 0.9, "connected components of items")


def test_a_split_that_gets_nothing_is_explained():
    with pytest.raises(DataError) as caught:
        require_filled(
            {"train": 98, "validation": 2, "test": 0}, partition=COMPONENTS, by="identity"
        )
    assert str(caught.value) == (
        "data.split.by: identity leaves nothing for test: the training file has 3 connected "
        "components of items, the largest holds 90% of the pairs, and each stays in one "
        "split. Set `data.split.by: group` or `data.split.by: row` or a larger "
        "`data.split.test_fraction`, or give files: `data.validation: PATH`, `data.test: PATH`."
    )
    require_filled({"train": 98, "test": 2}, partition=COMPONENTS, by="identity")


def test_labelled_items_are_called_what_they_are():
    with pytest.raises(DataError, match="has 2 classes, the largest holds 50% of the items"):
        require_filled(
            {"train": 1, "validation": 1, "test": 0},
            partition=partition(2, 0.5, "classes", "items"),
            by="identity",
        )


def test_a_cut_that_leaves_nothing_to_train_on_is_explained():
    with pytest.raises(
        DataError, match=r"nothing for train: .* smaller fractions in `data\.sp"
    ):
        require_filled({"train": 0, "validation": 4}, partition=COMPONENTS, by="identity")


def test_a_cut_by_row_is_not_told_to_cut_coarser():
    with pytest.raises(
        DataError, match=r"2 rows, .* Set a larger `data\.split\.test_fraction`"
    ):
        require_filled({"train": 2, "test": 0}, partition=partition(2, 0.5, "rows"), by="row")


def test_a_column_that_names_no_row_of_a_split_is_refused():
    require_named({"train": 1, "validation": 1, "test": 1}, column="part", name="a.csv")
    with pytest.raises(DataError) as caught:
        require_named({"train": 1, "validation": 0, "test": 0}, column="part", name="a.csv")
    assert str(caught.value).startswith(
        "data.columns.split: 'part' of 'a.csv' names no row of validation and test. "
    )


@pytest.mark.parametrize("label", [0, 1])
def test_a_split_of_one_class_is_refused(label):
    pairs = pair_table([(0, 1, label)] * 3)
    with pytest.raises(DataError) as caught:
        require_usable(pairs, split="validation", origin="data.validation: 'v.csv'")
    positives, negatives = (3, 0) if label else (0, 3)
    assert str(caught.value).startswith(
        f"data.validation: 'v.csv': the validation split has {positives} matches (label 1) and "
        f"{negatives} non-matches (label 0); it needs both. "
    )


def test_a_split_of_both_classes_is_accepted():
    require_usable(pair_table([(0, 1, 0), (0, 1, 1)]), split="train", origin="x")


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([], "0 items of 0 classes, the largest of 0;"),
        ([4, 4, 4], "3 items of 1 class, the largest of 3;"),
        ([4, 5, 6], "3 items of 3 classes, the largest of 1;"),
    ],
)
def test_a_split_of_which_no_pairs_can_be_drawn_is_refused(classes, words):
    with pytest.raises(DataError) as caught:
        require_usable(labelled(classes), split="test", origin="data.split.by: row")
    assert str(caught.value).startswith(f"data.split.by: row: the test split has {words} ")


def test_two_classes_and_two_items_of_one_are_enough():
    require_usable(labelled([4, 9, 4]), split="test", origin="x")


def test_items_that_splits_share_are_warned_of(caplog):
    warn_of_shared_items(
        {"train": np.array([0, 1, 2]), "validation": np.array([2, 3]), "test": np.array([4, 5])}
    )
    facts = [(r.message, r.split, getattr(r, "with"), r.shared, r.of) for r in caplog.records]
    assert facts == [("splits share items", "validation", "train", 1, 2)]


def test_classes_that_splits_share_with_training_are_warned_of_once(caplog):
    disjoint = {"train": np.array([0, 1]), "validation": np.array([2]), "test": np.array([2])}
    warn_of_shared_classes(disjoint)
    assert not caplog.records
    warn_of_shared_classes(disjoint | {"test": np.array([0, 1, 2])})
    facts = [(r.message, r.validation, r.test) for r in caplog.records]
    assert facts == [("splits share classes", "0 of 1", "2 of 3")]


def test_a_split_of_less_than_half_its_share_is_warned_of(caplog):
    fractions = {"validation": 0.1, "test": 0.1}
    warn_of_small_splits({"validation": 5, "test": 4}, fractions, num_rows=100)
    facts = [(r.message, r.split, r.wanted_share, r.share) for r in caplog.records]
    assert facts == [("split smaller than asked for", "test", 0.1, 0.04)]
