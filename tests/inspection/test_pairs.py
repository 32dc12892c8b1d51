import numpy as np
import pytest

from job.config.data import DataConfig
from job.errors import ConfigError
from job.inspection.pairs import PairAnomalies, first_training_pairs, odd_pairs
from tests.inspection.datasets import labelled, pair_table, text_dataset, texts

# Items 0 to 3; what is counted is duplicates, mirrored, contradictory, identical, and those
# that are said not to match.
CAT, KAT, DOG, A = range(4)
ROWS = [
    (CAT, KAT, 1),
    (CAT, KAT, 1),  # repeated
    (KAT, CAT, 1),  # mirrored
    (CAT, KAT, 0),  # contradicts the three above
    (DOG, DOG, 1),  # item with itself, and no mirror of itself
    (DOG, A, 0),
    (A, DOG, 1),  # mirrored, contradictory
]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (ROWS, PairAnomalies(1, 2, 2, 1, 0)),
        ([], PairAnomalies(0, 0, 0, 0, 0)),
        ([(CAT, KAT, 1), (KAT, CAT, 0)], PairAnomalies(0, 1, 1, 0, 0)),
        ([(CAT, KAT, 1), (CAT, DOG, 0), (DOG, A, 1)], PairAnomalies(0, 0, 0, 0, 0)),
        ([(CAT, CAT, 0), (CAT, CAT, 0), (A, A, 1)], PairAnomalies(1, 0, 0, 3, 2)),
    ],
)
def test_odd_pairs_are_counted(rows, expected):
    assert odd_pairs(pair_table(rows), content=np.arange(4)) == expected


def test_copies_of_an_item_count_as_the_item():
    # KAT holds what CAT does.
    content = np.array([CAT, CAT, DOG, A])
    rows = [(CAT, DOG, 1), (KAT, DOG, 1), (DOG, KAT, 0), (CAT, KAT, 0)]
    assert odd_pairs(pair_table(rows), content=content) == PairAnomalies(1, 1, 1, 1, 1)


CLASSES = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
ITEMS = {"train": [0, 1, 3, 4, 5, 6], "validation": [2, 7, 8], "test": [2, 8, 9]}


def items_of_classes():
    values = texts(["abcdefghij"[row] for row in range(10)])
    return labelled(values, form="text", item_class=CLASSES, rows=ITEMS)


def first(sampling, *, dataset=None, batch=2):
    section = DataConfig.model_validate(
        {"kind": "text", "train": "t.csv", "rows": "items", "sampling": sampling}
    )
    return first_training_pairs(
        dataset or items_of_classes(), section=section, seed=3, global_batch_size=batch
    )


def test_pairs_that_are_given_are_the_pairs():
    dataset = text_dataset({"train": [("a", "b", 1)], "validation": [("a", "b", 0)]})
    section = DataConfig(kind="text", train="t.csv")
    pairs = first_training_pairs(dataset, section=section, seed=0, global_batch_size=1)
    assert pairs is dataset.pairs["train"]


def test_an_epoch_of_labelled_items_is_drawn_from_those_of_training():
    pairs = first({"kind": "pairs", "positives_per_epoch": 5, "negatives_per_epoch": 7})
    assert (pairs.num_positive, pairs.num_negative) == (5, 7)
    assert set(pairs.items().tolist()) <= set(ITEMS["train"])
    classes = np.array(CLASSES)
    same = classes[pairs.left] == classes[pairs.right]
    assert np.array_equal(same, pairs.label == 1)


def test_the_size_of_a_batch_has_no_say_in_pairs_drawn_one_by_one():
    one, other = first(None, batch=1), first(None, batch=5)
    assert len(one) == 12
    assert np.array_equal(one.left, other.left)
    # Training refuses a batch that is larger than an epoch; looking at the data does not.
    assert np.array_equal(one.left, first(None, batch=99).left)


def test_batches_of_classes_match_throughout():
    pairs = first({"kind": "classes", "items_per_class": 2, "pairs_per_epoch": 9}, batch=2)
    assert (pairs.num_positive, pairs.num_negative) == (8, 0)


def test_no_more_pairs_are_drawn_than_need_looking_at(monkeypatch):
    monkeypatch.setattr("job.inspection.pairs._MAX_DRAWN", 4)
    assert len(first(None)) == 4
    assert len(first({"kind": "classes", "pairs_per_epoch": 100}, batch=3)) == 6


def test_items_that_do_not_make_a_batch_are_refused_as_in_training():
    with pytest.raises(ConfigError, match=r"data\.sampling\.items_per_class: a batch of 16"):
        first({"kind": "classes"}, batch=16)
