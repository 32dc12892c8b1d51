"""The one-sided probe sees through a planted shortcut, and baselines are measured."""

import numpy as np
import pytest

from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import Dataset, ItemTable
from job.evaluation.metrics import roc_auc
from job.inspection import untrained
from job.inspection.untrained import (
    OneSided,
    baseline_roc_auc,
    max_sampled,
    null_deviation,
    one_sided,
)
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from tests.inspection.datasets import (
    given,
    images,
    labelled,
    pair_table,
    sequences,
    text_dataset,
    texts,
)

NUM_PAIRS = 500
# Equal texts match, and texts without a common letter do not.
ROWS = [("ab", "ab", 1), ("ab", "cd", 0), ("cd", "cd", 1), ("xy", "ab", 0)]
SECTION = TextDataConfig(kind="text", train="t.csv")


def sides(leak: str) -> list[tuple[bool, bool, int]]:
    """Whether the left and the right item of each pair are marked, and the label."""
    return [
        (leak == "left" and bool(k % 2), leak == "right" and bool(k % 2), k % 2)
        for k in range(NUM_PAIRS)
    ]


def leaking_texts(leak: str) -> tuple[Dataset, DataConfig]:
    """Random words; a marked one ends in `ing`."""
    letters = np.array(list("abcdefgh"))
    random = np.random.default_rng(0)

    def word(marked):
        return "".join(random.choice(letters, 6)) + ("ing" if marked else "")

    rows = {
        split: [(word(left), word(right), label) for left, right, label in sides(leak)]
        for split in ("train", "validation")
    }
    return text_dataset(rows), SECTION


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
    """Noise, and a feature that never changes; a marked one is louder by a half."""
    random = np.random.default_rng(0)
    pairs, marked = numbered(leak)
    noise = [random.standard_normal((random.integers(5, 30), 3)) for _ in marked]
    values = sequences(
        [
            np.pad(steps * (1.5 if one else 1.0), ((0, 0), (0, 1)))
            for steps, one in zip(noise, marked, strict=True)
        ]
    )
    stats = FeatureStats.of(values, pairs["train"].items())
    section = SequenceDataConfig(kind="sequence", train="t.npz")
    return given(ItemTable("sequence", values), pairs, statistics=stats), section


def leaking_images(leak: str) -> tuple[Dataset, DataConfig]:
    """Noise; a marked one is a little darker in a corner."""
    random = np.random.default_rng(0)
    pairs, marked = numbered(leak)
    pixels = random.integers(100, 256, (len(marked), 16, 16, 3), dtype=np.uint8)
    pixels[np.flatnonzero(marked), 12:, 12:] -= 60
    section = ImageDataConfig(kind="image", train="t.npz", size=16)
    return given(ItemTable("decoded", images(pixels)), pairs, statistics=None), section


@pytest.mark.parametrize("leaking", [leaking_texts, leaking_sequences, leaking_images])
@pytest.mark.parametrize("leak", ["left", "right", "neither"])
def test_the_probe_finds_the_side_that_gives_the_label_away(leaking, leak):
    dataset, section = leaking(leak)
    it = one_sided(dataset, section=section)
    assert it.split == "validation"
    assert it.deviation == null_deviation(dataset.pairs["validation"])
    for side, auc in (("left", it.left), ("right", it.right)):
        if side == leak:
            assert auc > 0.85
        else:
            assert 0.4 < auc < 0.6


def test_drawn_pairs_are_probed_from_validation_to_test():
    values = texts([f"{row:05}" for row in range(40)])
    classes = [row // 4 for row in range(40)]
    rows = {"train": range(16), "validation": range(16, 28), "test": range(28, 40)}
    dataset = labelled(values, form="text", item_class=classes, rows=rows)
    it = one_sided(dataset, section=SECTION)
    assert it.split == "test"
    assert 0.0 <= it.left <= 1.0


@pytest.mark.parametrize("split", ["train", "validation"])
def test_pairs_of_one_label_are_not_probed(split):
    rows = {"train": ROWS, "validation": ROWS, split: ROWS[:1]}
    assert one_sided(text_dataset(rows), section=SECTION) == OneSided("validation")


def test_chance_deviates_as_mann_and_whitney_say():
    # 2 and 3: (2 + 3 + 1) / (12 * 6).
    table = pair_table([(0, 0, label) for label in (0, 0, 1, 1, 1)])
    assert null_deviation(table) == pytest.approx(np.sqrt(1 / 12))
    labels = np.repeat([0, 1], [20, 30])
    random = np.random.default_rng(0)
    drawn = [roc_auc(labels, random.random(50)) for _ in range(200)]
    table = pair_table([(0, 0, label) for label in labels.tolist()])
    assert null_deviation(table) == pytest.approx(np.std(drawn), rel=0.1)


def test_baselines_are_measured_on_validation_and_test():
    reversed_rows = [(left, right, 1 - label) for left, right, label in ROWS]
    dataset = text_dataset({"train": ROWS, "validation": ROWS, "test": reversed_rows})
    assert baseline_roc_auc(dataset, section=SECTION) == {
        "validation": {"ngram_cosine": 1.0, "edit_similarity": 1.0},
        "test": {"ngram_cosine": 0.0, "edit_similarity": 0.0},
    }


def test_no_more_pairs_are_scored_than_the_limit_and_rare_matches_are_all(monkeypatch):
    seen = []

    def count(items, *, pairs, **_):
        seen.append((len(pairs), pairs.num_positive))
        return {"equal": (pairs.left == pairs.right).astype(np.float64)}

    monkeypatch.setattr(untrained, "max_sampled", lambda items: 40)
    monkeypatch.setattr(untrained, "baseline_scores", count)
    rare = [("ab", "cd", 0)] * 500 + [("ab", "ab", 1)] + [("xy", "ab", 0)] * 500
    dataset = text_dataset({"train": ROWS, "validation": rare, "test": ROWS * 5})
    assert baseline_roc_auc(dataset, section=SECTION)["validation"]["equal"] == 1.0
    assert seen == [(21, 1), (20, 10)]


@pytest.mark.parametrize(
    ("bytes_each", "expected"), [(10, 4_000), (20_000, 1_677), (10**6, 1_000)]
)
def test_large_files_are_sampled_less_often(bytes_each, expected):
    values = RaggedArray(np.zeros(2 * bytes_each, np.uint8), np.array([0, 1, 2]) * bytes_each)
    assert max_sampled(ItemTable("encoded", values)) == expected
