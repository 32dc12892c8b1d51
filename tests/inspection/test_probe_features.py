"""What the probe sees of items, and that it sees through a side that gives the label away."""

import numpy as np
import pytest

from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import Dataset, ItemTable
from job.inspection.chunking import parts
from job.inspection.probe import one_sided
from job.inspection.probe_features import binned_marks, grams, marks_of, text_marks
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from tests.inspection.datasets import (
    given,
    pair_table,
    pictures,
    sequences,
    text_dataset,
    texts,
)

NUM_PAIRS = 500


def test_grams_stay_inside_their_item():
    characters = RaggedArray(np.array([2, 3, 4], np.uint32), np.array([0, 2, 3]))
    bucket, owner = grams(characters)
    # "23": 3 pairs and 2 triples, its ends included; "4": 2 and 1.
    assert np.bincount(owner).tolist() == [5, 3]
    assert len(set(bucket.tolist())) == 8


def test_marks_of_a_text_do_not_depend_on_its_neighbours():
    marks = text_marks(texts(["caf\u00e9", "x", "caf\u00e9"]))
    bucket, owner = marks.of(np.array([2, 1, 0]))
    assert sorted(bucket[owner == 0]) == sorted(bucket[owner == 2])
    assert len(bucket) == 9 + 3 + 9
    assert bucket.max() < marks.num_marks


def test_long_texts_are_looked_at_less_often(monkeypatch):
    monkeypatch.setattr("job.inspection.probe_features._MAX_BYTES", 1000)
    assert text_marks(texts(["x" * 10, "y" * 30])).max_items == 50


def test_numbers_are_cut_where_sixteenths_of_the_training_items_lie():
    numbers = np.arange(64, dtype=np.float64)

    def describe(rows):
        return np.stack([numbers[rows], np.full(len(rows), 7.0)], axis=1)

    marks = binned_marks(
        describe,
        in_parts=lambda rows: parts(rows, sizes=np.ones(len(rows), np.int64)),
        train=np.arange(32),
        max_items=1000,
    )
    assert marks.num_marks == 32
    mark, owner = marks.of(np.array([0, 1, 31, 63]))
    assert owner.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    # 32 training items: two to a bin; what lies beyond them is in the outermost. The second
    # number never changes, so it says nothing: one bin, the highest.
    assert mark[0::2].tolist() == [0, 0, 15, 15]
    assert mark[1::2].tolist() == [31] * 4


def sides(leak: str) -> list[tuple[bool, bool, int]]:
    """Whether the left and the right item of each pair are marked, and the label."""
    return [
        (leak == "left" and bool(k % 2), leak == "right" and bool(k % 2), k % 2)
        for k in range(NUM_PAIRS)
    ]


def leaking_texts(leak: str) -> tuple[Dataset, DataConfig]:
    """Random words; one that is marked ends in `ing`."""
    letters = np.array(list("abcdefgh"))
    random = np.random.default_rng(0)

    def word(marked):
        return "".join(random.choice(letters, 6)) + ("ing" if marked else "")

    rows = {
        split: [(word(left), word(right), label) for left, right, label in sides(leak)]
        for split in ("train", "validation")
    }
    return text_dataset(rows), TextDataConfig(kind="text", train="t.csv")


def numbered(leak: str) -> tuple[dict, list[bool]]:
    """Pairs of items that occur once each, and whether each item is marked."""
    marked: list[bool] = []
    pairs = {}
    for split in ("train", "validation"):
        rows = []
        for left, right, label in sides(leak):
            rows.append((len(marked), len(marked) + 1, label))
            marked += [left, right]
        pairs[split] = pair_table(rows)
    return pairs, marked


def leaking_sequences(leak: str) -> tuple[Dataset, DataConfig]:
    """Noise; one that is marked is louder by a half."""
    random = np.random.default_rng(0)
    pairs, marked = numbered(leak)
    values = sequences(
        [
            random.standard_normal((random.integers(5, 30), 3)) * (1.5 if one else 1.0)
            for one in marked
        ]
    )
    moments = FeatureStats.of(values, pairs["train"].items())
    items = ItemTable("sequence", values)
    section = SequenceDataConfig(kind="sequence", train="t.npz")
    return given(items, pairs, statistics=moments), section


def leaking_pictures(leak: str) -> tuple[Dataset, DataConfig]:
    """Noise; one that is marked is a little darker in a corner."""
    random = np.random.default_rng(0)
    pairs, marked = numbered(leak)
    pixels = random.integers(100, 256, (len(marked), 16, 16, 3), dtype=np.uint8)
    pixels[np.flatnonzero(marked), 12:, 12:] -= 60
    section = ImageDataConfig(kind="image", train="t.npz", size=16)
    return given(ItemTable("decoded", pictures(pixels)), pairs, statistics=None), section


@pytest.mark.parametrize("leaking", [leaking_texts, leaking_sequences, leaking_pictures])
@pytest.mark.parametrize("leak", ["left", "right", "neither"])
def test_the_probe_finds_the_side_that_gives_the_label_away(leaking, leak):
    dataset, section = leaking(leak)
    train = dataset.pairs["train"]
    marks = marks_of(dataset, section=section, train=train.items())
    it = one_sided(marks, train=train, held_out=dataset.pairs["validation"])
    for side, auc in (("left", it.left), ("right", it.right)):
        if side == leak:
            assert auc > 0.85
        else:
            assert 0.4 < auc < 0.6


def test_what_the_probe_finds_does_not_depend_on_how_items_are_read(monkeypatch):
    for leaking in (leaking_texts, leaking_sequences, leaking_pictures):
        dataset, section = leaking("right")
        train = dataset.pairs["train"]

        def probe(dataset=dataset, section=section, train=train):
            marks = marks_of(dataset, section=section, train=train.items())
            return one_sided(marks, train=train, held_out=dataset.pairs["validation"])

        whole = probe()
        with monkeypatch.context() as patch:
            patch.setattr("job.inspection.chunking._CELLS", 3000)
            assert probe() == whole
