"""Parts are measured only where there is enough, and called worse only beyond chance."""

from dataclasses import replace

import numpy as np

from job.data.dataset import Groups, ItemTable, PairTable
from job.evaluation.identities import Identities, identities_of
from job.evaluation.intervals import Measures
from job.evaluation.slices import (
    MAX_PARTS_OF_A_KIND,
    MIN_PAIRS,
    Part,
    parts_of,
    slice_quality,
)
from job.evaluation.weighted import Judged
from job.preprocessing.ragged import RaggedArray


def texts(words, item_class=None, class_names=None):
    values = RaggedArray.from_bytes([word.encode() for word in words])
    classes = None if item_class is None else np.array(item_class)
    return ItemTable("text", values, classes, class_names and names_of(class_names))


def names_of(names):
    return RaggedArray.from_bytes([name.encode() for name in names])


def pairs_of(left, right, label):
    return PairTable(np.array(left), np.array(right), np.array(label, np.uint8))


def test_items_of_a_class_are_one_identity_and_unknown_ones_are_their_own():
    items = texts("abcdef", [0, 0, 1, -1, -1, 1])
    found = identities_of(pairs_of([0, 1, 3], [1, 2, 4], [1, 0, 0]), items)
    assert found.left[0] == found.right[0] == found.left[1]
    assert found.count == 4


def test_without_classes_items_that_matches_connect_are_one_identity():
    # 0 = 1 = 2 by two matches; 3 and 4 do not match, and 5 is in no match.
    pairs = pairs_of([0, 1, 3, 5], [1, 2, 4, 0], [1, 1, 0, 0])
    found = identities_of(pairs, texts("abcdef"))
    assert found.left[0] == found.right[1] == found.right[3]
    assert found.count == 4
    assert found.num_dyads(pairs.label == 0) == 2
    assert found.num_dyads(pairs.label == 1) == 1


def test_equally_frequent_identities_count_fully_and_a_dominant_one_does_not():
    even = Identities.of(np.arange(10), np.arange(10) + 10)
    assert even.effective_count(np.ones(10, bool)) == 20
    star = Identities.of(np.zeros(10, int), np.arange(10) + 1)
    # (10 + 10)^2 / (100 + 10)
    assert star.effective_count(np.ones(10, bool)) == 400 / 110


def test_parts_are_classes_and_quarters_of_the_characters_of_the_longer_item():
    rng = np.random.default_rng(0)
    words = ["\u00e9" * (1 + n % 8) for n in range(80)]
    left, right = rng.integers(0, 80, (2, 800))
    label = rng.integers(0, 2, 800)
    # The class "4" is the second one that was read.
    items = texts(words, np.arange(80) % 4, class_names=["7", "4", "a b", "\u00e9"])
    pairs = pairs_of(left, right, label)
    found = parts_of(pairs, items, identities_of(pairs, items))
    named = {part.name for part in found if part.group == "class"}
    assert named == {"7", "4", "a b", "\u00e9"}
    lengths = [part for part in found if part.group == "length"]
    # Characters, not bytes: an accented letter has two.
    assert lengths[-1].name in ("8", "7 to 8")
    assert sum(part.chosen.sum() for part in lengths) == 800
    by_class = next(part for part in found if part.name == "4")
    assert by_class.identities.count == len(set(left) | set(right))
    assert (((left % 4 == 1) | (right % 4 == 1)) == by_class.chosen).all()


def test_parts_are_the_groups_of_pairs_by_name_and_resample_the_identities_of_all():
    number = np.repeat([1, 0, -1, 2], [100, 60, 80, 30])
    rows = np.arange(len(number))
    pairs = pairs_of(2 * rows, 2 * rows + 1, rows % 2)
    pairs = replace(pairs, groups=Groups(number, names_of(["ada", "4", "few"])))
    items = texts(["a"] * 2 * len(rows))
    identities = identities_of(pairs, items)
    found = parts_of(pairs, items, identities)
    # Only 15 of the 30 pairs of "few" match; pairs without a group are in no part.
    assert [(part.group, part.name) for part in found] == [("group", "4"), ("group", "ada")]
    assert [part.chosen.sum() for part in found] == [100, 60]
    assert (found[1].chosen == (number == 0)).all()
    assert all(part.identities is identities for part in found)


def test_of_many_groups_those_with_the_most_pairs_are_measured():
    sizes = np.arange(40, 41 + MAX_PARTS_OF_A_KIND)
    number = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(len(number))
    pairs = pairs_of(rows, rows + 1, rows % 2)
    names = names_of([f"{size}" for size in sizes])
    pairs = replace(pairs, groups=Groups(number, names))
    items = texts(["a"] * (len(rows) + 1))
    found = parts_of(pairs, items, identities_of(pairs, items))
    assert [part.name for part in found] == [str(size) for size in sizes[:0:-1]]


def test_parts_with_few_pairs_of_a_label_are_left_out():
    count = 100
    label = np.zeros(count, int)
    label[: MIN_PAIRS - 1] = 1
    items = texts([f"{n}" for n in range(2 * count)], np.arange(2 * count) % 2)
    pairs = pairs_of(np.arange(count), np.arange(count) + count, label)
    assert parts_of(pairs, items, identities_of(pairs, items)) == []


def judged_with_errors(errors):
    """400 pairs, half of them matches, of which some are decided wrongly."""
    label = np.arange(400) % 2 == 1
    accepted = label ^ errors
    logit = np.where(accepted, 1.0, -1.0)
    chance = np.where(accepted, 0.7, 0.3)
    return Judged(label, logit, accepted, chance, chance)


def parts_of_quarters():
    alone = Identities.of(np.arange(400), np.arange(400) + 400)
    return [
        Part(str(number), "length", np.arange(400) // 100 == number, alone)
        for number in range(4)
    ]


def test_the_worst_part_is_named_if_it_is_worse_beyond_chance():
    rng = np.random.default_rng(1)
    errors = rng.random(400) < np.where(np.arange(400) // 100 == 2, 0.4, 0.05)
    judged = judged_with_errors(errors)
    overall = Measures().of(judged)["balanced_accuracy"]
    found = slice_quality(
        judged, parts=parts_of_quarters(), measures=Measures(), overall=overall, seed=0
    )
    worst = found[0]
    assert (worst.name, worst.num_pairs, worst.num_positive) == ("2", 100, 50)
    assert worst.metrics["balanced_accuracy"] == 1 - errors[200:300].mean()
    low, high = worst.intervals["balanced_accuracy"]
    assert low < worst.metrics["balanced_accuracy"] < high < overall
    assert [it.is_worse for it in found] == [True, False, False, False]


def test_of_equally_good_parts_none_is_called_worse():
    rng = np.random.default_rng(2)
    named = 0
    for _ in range(15):
        judged = judged_with_errors(rng.random(400) < 0.2)
        found = slice_quality(
            judged, parts=parts_of_quarters(), measures=Measures(), overall=0.8, seed=0
        )
        named += any(it.is_worse for it in found)
    assert named <= 2
