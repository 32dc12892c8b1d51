"""The screen of `data inspect` for what pair files of texts do not have."""

from dataclasses import replace

import numpy as np
import pytest

from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig
from job.data.quarantine import BadRow, Quarantine
from job.inspection.format_report import format_report
from job.inspection.issues import find
from job.inspection.measure import Inspection, inspect_dataset
from tests.inspection.datasets import labelled, pictures, sequences

# Six classes of three items.
CLASSES = (np.arange(18) // 3).tolist()
ROWS = {"train": range(9), "validation": range(9, 15), "test": range(12, 18)}


def inspected(dataset, section: DataConfig) -> Inspection:
    return inspect_dataset(dataset, section=section, seed=0, global_batch_size=4)


def picture_inspection() -> tuple[Inspection, DataConfig]:
    pixels = np.random.default_rng(0).integers(0, 256, (18, 8, 8, 3), dtype=np.uint8)
    pixels[0] = pixels[4] = 99
    pixels[15] = pixels[1]
    dataset = labelled(pictures(pixels), form="decoded", item_class=CLASSES, rows=ROWS)
    section = ImageDataConfig(kind="image", train="t.npz", rows="items", size=8)
    return inspected(dataset, section), section


def sequence_inspection() -> tuple[Inspection, DataConfig]:
    random = np.random.default_rng(0)
    steps = [random.standard_normal((2 + row, 14)) for row in range(18)]
    for one in steps:
        one[:, :12] = 7.0
    steps[12][1, 3] = -9999.0
    # The classes of test are those of training.
    classes = [*CLASSES[:9], *CLASSES[9:12], 0, 0, 0, 1, 1, 1]
    dataset = labelled(sequences(steps), form="sequence", item_class=classes, rows=ROWS)
    section = SequenceDataConfig(kind="sequence", train="t.npz", rows="items")
    return inspected(dataset, section), section


def screen(found: tuple[Inspection, DataConfig], **baselines) -> str:
    it, section = found
    return format_report(it, findings=find(it, section=section), baselines=baselines)


@pytest.fixture(scope="module")
def of_pictures() -> str:
    return screen(picture_inspection())


@pytest.fixture(scope="module")
def of_sequences() -> str:
    return screen(sequence_inspection())


def block(text: str, start: str) -> str:
    """The block that begins so."""
    (found,) = [block for block in text.split("\n\n") if block.startswith(start)]
    return found.rstrip("\n")


def test_pairs_that_are_drawn_say_so(of_pictures):
    assert (
        block(of_pictures, "pairs")
        == """\
pairs                     all  matches  non-matches  matching  items
train, drawn               18        9            9     50.0%      9
validation                 12        6            6     50.0%      6
test                       12        6            6     50.0%      6
  Each epoch draws its own; the first 18 of the first are looked at."""
    )


def test_few_classes_are_warned_of(of_pictures):
    assert (
        block(of_pictures, "classes")
        == """\
classes                   all  least items  median  most  of one item  in train
train                       3            3       3     3            0         -
validation                  2            3       3     3            0         0
test                        2            3       3     3            0         0
  Training has 3, fewer than 30: 6 or 7 overfit, 36 worked in our measurements.
  Scores on classes it never saw will disappoint."""
    )


def test_known_classes_are_said_to_be(of_sequences):
    assert block(of_sequences, "classes").endswith(
        "\n  Training has every class of test: scores there say nothing of new classes."
    )


def test_pictures_show_their_brightness_and_copies(of_pictures):
    assert (
        block(of_pictures, "brightness")
        == """\
brightness (0 to 255)     least  median   90 %   99 %   most  of one colour  looked at
train                        99   122.5  129.1  133.7  134.2              2          9
validation                123.3   127.2  133.5  133.7  133.7              0          6
test                      120.3   124.9  131.7  133.1  133.3              0          6"""
    )
    assert (
        block(of_pictures, "equal pictures")
        == """\
equal pictures in         train  validation  test
train                         1           0     1
validation                    0           0     0
test                          1           0     0
  Of different classes: 2 of them."""
    )


def test_sequences_show_their_lengths_and_features(of_sequences):
    assert block(of_sequences, "time steps of an item").splitlines()[1] == (
        "train                         2       6   9.2   9.9    10"
    )
    lines = block(of_sequences, "furthest from the mean").splitlines()
    assert lines[0] == "furthest from the mean       value  feature  training deviations"
    assert lines[-1] == (
        "  Never change in training: 12 of 14 features (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...)."
    )
    assert "equal sequences under two names: none" in of_sequences.split("\n\n")


def test_findings_are_wrapped_under_their_names(of_sequences):
    lines = of_sequences.split("\n\n")[-1].splitlines()
    assert lines[0] == "findings (with --strict: exit code 3)"
    assert max(map(len, lines)) <= 96
    names = [line.split()[0] for line in lines[1:] if not line.startswith("    ")]
    assert names == [
        "few_pairs",
        "few_pairs",
        "shared_items",
        "shared_classes",
        "few_classes",
        "constant_features",
    ]


def test_a_label_that_never_varies_is_not_guessed():
    it, section = sequence_inspection()
    it = replace(it, one_sided=replace(it.one_sided, left=None, right=None, deviation=None))
    assert block(screen((it, section)), "guessing").endswith(
        "\n  not asked: the pairs of training or validation have one label only"
    )


def test_scores_without_learning_are_shown_where_there_are_any(of_pictures):
    assert "ROC-AUC without learning" not in of_pictures
    found = picture_inspection()
    text = screen(found, validation={"pixel_cosine": 0.8}, test={"pixel_cosine": 0.98})
    assert (
        block(text, "ROC-AUC")
        == """\
ROC-AUC without learning  validation   test
pixel cosine                   0.800  0.980"""
    )


def test_pairs_that_need_no_model_are_said_to_need_none():
    text = screen(picture_inspection(), validation={"a": 0.5, "b": 0.99}, test={"a": 0, "b": 0})
    assert block(text, "ROC-AUC").endswith(
        "\n  Told apart without learning, these pairs cannot show what a model adds."
        "\n  Non-matches that resemble each other can."
    )


def test_bad_rows_are_shown_up_to_ten_and_harmless_to_a_terminal():
    rows = tuple(
        BadRow(f"evil\x1b[2J\udc80{k}.png", k, "undecodable", "no picture", "")
        for k in range(1, 13)
    )
    it, section = picture_inspection()
    it = replace(it, quarantine=Quarantine(1000, {"undecodable": 12}, rows))
    lines = block(screen((it, section)), "bad rows").splitlines()
    assert lines[0] == "bad rows: 12 of 1,000 kept out (12 undecodable)"
    assert len(lines) == 12
    assert lines[1].startswith("  evil\\x1b[2J\\udc801.png line 1: no picture")
    assert lines[-1] == "  and 2 more"
