"""The page of `data inspect`, for what the pairs of texts in test_data_inspect do not have."""

from dataclasses import replace

import numpy as np
import pytest

from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig
from job.data.quarantine import BadRow, Quarantine
from job.inspection.format_report import format_report
from job.inspection.issues import find_issues
from job.inspection.measure import Inspection, inspect_dataset
from tests.inspection.datasets import images, labelled, sequences

# Six classes of three items.
CLASSES = (np.arange(18) // 3).tolist()
ROWS = {"train": range(9), "validation": range(9, 15), "test": range(12, 18)}

Inspected = tuple[Inspection, DataConfig]


def page(found: Inspected) -> str:
    it, section = found
    return format_report(it, findings=find_issues(it, section=section))


def block(text: str, start: str) -> str:
    """The block of the page that begins so."""
    (found,) = [block for block in text.split("\n\n") if block.startswith(start)]
    return found.rstrip("\n")


@pytest.fixture(scope="module")
def of_images() -> Inspected:
    pixels = np.random.default_rng(0).integers(0, 256, (18, 8, 8, 3), dtype=np.uint8)
    pixels[0] = pixels[4] = 99
    pixels[15] = pixels[1]
    dataset = labelled(images(pixels), form="decoded", item_class=CLASSES, rows=ROWS)
    section = ImageDataConfig(kind="image", train="t.npz", rows="items", size=8)
    return inspect_dataset(dataset, section=section), section


@pytest.fixture(scope="module")
def of_sequences() -> Inspected:
    random = np.random.default_rng(0)
    steps = [random.standard_normal((2 + row, 14)) for row in range(18)]
    for one in steps:
        one[:, :12] = 7.0
    steps[12][1, 3] = -9999.0
    # The classes of test are those of training.
    classes = [*CLASSES[:9], *CLASSES[9:12], 0, 0, 0, 1, 1, 1]
    dataset = labelled(sequences(steps), form="sequence", item_class=classes, rows=ROWS)
    section = SequenceDataConfig(kind="sequence", train="t.npz", rows="items")
    return inspect_dataset(dataset, section=section), section


def test_labelled_images_fill_a_page(of_images):
    text = page(of_images)
    assert text.startswith("18 distinct images, fingerprint ")
    assert (
        block(text, "pairs")
        == """\
pairs                     all  matches  non-matches  matching  items
train (drawn)              18        9            9     50.0%      9
validation                 12        6            6     50.0%      6
test                       12        6            6     50.0%      6"""
    )
    assert (
        block(text, "classes")
        == """\
classes                   all  least items  median  most  single item  in train
train                       3            3       3     3            0         -
validation                  2            3       3     3            0         0
test                        2            3       3     3            0         0"""
    )
    assert block(text, "images").splitlines()[0] == (
        "images of a single colour, train: 2 of 9 inspected"
    )
    assert block(text, "repeated pairs").splitlines()[-2:] == [
        "items in two splits: 3 in validation and test",
        "equal items under two names: 1 in train, 1 in train and test; 2 with several classes",
    ]
    untrained = block(text, "ROC-AUC").splitlines()
    assert untrained[0] == "ROC-AUC without training  validation   test"
    assert untrained[2].startswith("left item alone                    -  0.")


def test_labelled_sequences_fill_a_page(of_sequences):
    text = page(of_sequences)
    assert block(text, "time steps per item").splitlines()[1] == (
        "train                       2       6   9.2   9.9   10"
    )
    assert block(text, "classes").endswith(
        "\n  Training has every class of test: scores there say nothing about new classes."
    )
    assert block(text, "constant in training") == (
        "constant in training: 12 of 14 features (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...)"
    )


def test_findings_are_wrapped_under_their_names(of_sequences):
    lines = page(of_sequences).split("\n\n")[-1].splitlines()
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


def test_a_label_that_never_varies_is_not_predicted(of_images):
    it, section = of_images
    it = replace(it, one_sided=replace(it.one_sided, left=None, right=None, deviation=None))
    found = block(page((it, section)), "ROC-AUC")
    assert "item alone   " not in found
    assert found.endswith(
        "One item alone: not measured, the pairs of a split have one label only."
    )


def test_pairs_that_a_baseline_solves_are_said_to_need_no_model(of_images):
    it, section = of_images
    it = replace(it, baselines={"validation": {"a": 0.5, "b": 0.99}, "test": {"a": 0, "b": 0}})
    assert block(page((it, section)), "ROC-AUC").endswith(
        "\n  A baseline solves these pairs, so they cannot show what a model adds."
        "\n  Add non-matches that resemble each other."
    )


def test_bad_rows_are_shown_up_to_ten_and_harmless_to_a_terminal(of_images):
    rows = tuple(
        BadRow(f"evil\x1b[2J\udc80{k}.png", k, "undecodable", "no image", "")
        for k in range(1, 13)
    )
    it, section = of_images
    it = replace(it, quarantine=Quarantine(1000, {"undecodable": 12}, rows))
    lines = block(page((it, section)), "bad rows").splitlines()
    assert lines[0] == "bad rows: 12 of 1,000 (12 undecodable)"
    assert len(lines) == 12
    assert lines[1].startswith("  evil\\x1b[2J\\udc801.png line 1: no image")
    assert lines[-1] == "  and 2 more"
