"""Each finding at its limit and beyond it: the names and limits are in docs/inspect.md."""

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from job.config.data import DataConfig
from job.data.dataset import SplitCounts
from job.data.quarantine import NOTHING_QUARANTINED, Quarantine
from job.inspection.duplicates import PairAnomalies
from job.inspection.issues import FindingName, find_issues
from job.inspection.item_measures import FeatureMeasures, Furthest, UnknownTokens
from job.inspection.measure import ClassCounts, Inspection, SplitInspection
from job.inspection.untrained import OneSided
from job.types import SPLITS

NOTHING_ODD = PairAnomalies(0, 0, 0, 0, 0)


def split(**changes) -> SplitInspection:
    """A split without fault."""
    return replace(SplitInspection(SplitCounts(100, 50, 80), odd=NOTHING_ODD), **changes)


def matrix(**shared) -> dict:
    """Nothing in common but, say, `train_test=3`."""
    table = {one: dict.fromkeys(SPLITS, 0) for one in SPLITS}
    for name, number in shared.items():
        one, other = name.split("_")
        table[one][other] = table[other][one] = number
    return table


def inspection(splits=None, **changes) -> Inspection:
    """A data set without fault, but for the changes."""
    fine = Inspection(
        kind="text",
        num_items=240,
        fingerprint="0" * 64,
        has_drawn_pairs=False,
        splits={name: split() for name in SPLITS} | (splits or {}),
        shared_items=matrix(),
        equal_items=matrix(),
        num_contradictory_items=None,
        one_sided=one_sided(0.5, 0.5, 0.02),
        baselines={},
        features=None,
        quarantine=NOTHING_QUARANTINED,
    )
    return replace(fine, **changes)


def one_sided(*measured) -> OneSided:
    return OneSided("validation", *measured)


SECTION = DataConfig(kind="text", train="train.csv")


def found(it: Inspection, section: DataConfig = SECTION) -> list[tuple[str, str | None]]:
    return [(finding.name, finding.split) for finding in find_issues(it, section=section)]


def test_nothing_is_found_where_nothing_is_wrong():
    assert found(inspection()) == []


def test_a_row_that_was_kept_out_is_a_finding():
    it = inspection(quarantine=Quarantine(500, {"label": 2, "empty": 1}, ()))
    (finding,) = find_issues(it, section=SECTION)
    assert str(finding) == "bad_rows: 3 of 500 rows; correct or remove them"


@pytest.mark.parametrize(
    ("positive", "negative", "is_few"),
    [(50, 50, False), (49, 500, True), (500, 49, True), (50, 500, False)],
)
def test_fewer_than_fifty_of_a_label_are_few(positive, negative, is_few):
    counts = SplitCounts(positive + negative, positive, 80)
    for name in SPLITS:
        it = inspection({name: split(counts=counts)})
        assert found(it) == ([("few_pairs", name)] if is_few else [])


def test_an_epoch_of_drawn_pairs_may_hold_matches_only():
    counts = SplitCounts(500, 500, 80)
    assert found(inspection({"train": split(counts=counts)}, has_drawn_pairs=True)) == []


def test_pairs_that_contradict_themselves_are_findings_where_they_are_given():
    odd = {"test": split(odd=PairAnomalies(9, 9, 2, 5, 3))}
    assert found(inspection(odd)) == [
        ("contradictory_pairs", "test"),
        ("identical_negatives", "test"),
    ]
    assert found(inspection(odd, has_drawn_pairs=True)) == []


def test_repeated_and_mirrored_pairs_are_no_findings():
    assert found(inspection({"train": split(odd=PairAnomalies(9, 9, 0, 5, 0))})) == []


@pytest.mark.parametrize("name", ["shared_items", "equal_items"])
@pytest.mark.parametrize(
    ("one", "other"), [("train", "validation"), ("train", "test"), ("validation", "test")]
)
def test_an_item_that_two_splits_hold_is_a_finding_of_the_later(name, one, other):
    it = inspection(**{name: matrix(**{f"{one}_{other}": 1})})
    assert found(it) == [(name, other)]
    (finding,) = find_issues(it, section=SECTION)
    assert f"in {one}" in finding.detail


def test_copies_within_a_split_are_no_finding_unless_their_classes_differ():
    copies = matrix(train_train=7)
    assert found(inspection(equal_items=copies, num_contradictory_items=0)) == []
    assert found(inspection(equal_items=copies, num_contradictory_items=1)) == [
        ("contradictory_items", None)
    ]


def classes(number: int, *, known: int = 0) -> SplitInspection:
    return split(classes=ClassCounts(number, 2, 3.0, 9, 0, known))


def with_classes(*, train: int, validation=(12, 0), test=(12, 0)) -> Inspection:
    return inspection(
        {
            "train": classes(train, known=train),
            "validation": classes(validation[0], known=validation[1]),
            "test": classes(test[0], known=test[1]),
        },
        has_drawn_pairs=True,
        num_contradictory_items=0,
    )


@pytest.mark.parametrize(("number", "expected"), [(30, []), (29, [("few_classes", "train")])])
def test_fewer_than_thirty_classes_are_few_where_new_ones_are_asked_for(number, expected):
    assert found(with_classes(train=number)) == expected


def test_few_classes_are_enough_where_they_are_all_that_is_asked_for():
    assert found(with_classes(train=7, validation=(7, 7), test=(5, 5))) == []
    assert found(with_classes(train=7, validation=(7, 7))) == [("few_classes", "train")]


def test_splits_of_known_and_new_classes_are_findings():
    it = with_classes(train=40, validation=(12, 1), test=(12, 11))
    assert found(it) == [("shared_classes", "validation"), ("shared_classes", "test")]
    assert found(with_classes(train=40, validation=(12, 12), test=(12, 0))) == []


@pytest.mark.parametrize(
    ("given", "is_finding"),
    [
        ({}, True),
        ({"split": {"by": "identity"}}, True),
        # Whoever cuts so lets classes straddle.
        ({"split": {"by": "row"}}, False),
        ({"split": {"by": "group"}, "columns": {"group": "g"}}, False),
        # That says how to cut validation.
        ({"split": {"by": "row"}, "test": "t.csv"}, True),
        ({"columns": {"split": "s"}}, True),
    ],
)
def test_classes_may_straddle_a_cut_that_was_asked_to_let_them(given, is_finding):
    section = DataConfig.model_validate({"kind": "text", "train": "t.csv", **given})
    it = with_classes(train=40, test=(12, 1))
    assert found(it, section) == ([("shared_classes", "test")] if is_finding else [])


@pytest.mark.parametrize(("unknown", "is_finding"), [(50, False), (51, True)])
def test_more_than_one_unknown_token_in_twenty_is_a_finding(unknown, is_finding):
    tokens = UnknownTokens("words", 1000, unknown, 9, 9, ("x",))
    it = inspection({"test": split(tokens=tokens)})
    assert found(it) == ([("unknown_tokens", "test")] if is_finding else [])
    # Rare words have no number on purpose.
    assert found(inspection({"train": split(tokens=tokens)})) == []


def features(*, elsewhere: int = 0, deviations: float = 3.0) -> FeatureMeasures:
    return FeatureMeasures(6, (0, 1), elsewhere, {"test": Furthest(-9999.0, 4, deviations)})


def test_a_constant_feature_is_a_finding_where_it_changes_after_training():
    assert found(inspection(features=features())) == []
    assert found(inspection(features=features(elsewhere=1))) == [("constant_features", "train")]


@pytest.mark.parametrize(("deviations", "is_finding"), [(100.0, False), (100.5, True)])
def test_a_value_beyond_a_hundred_deviations_is_a_finding(deviations, is_finding):
    it = inspection(features=features(deviations=deviations))
    assert found(it) == ([("extreme_values", "test")] if is_finding else [])


@pytest.mark.parametrize(
    ("measured", "sides"),
    [
        ((0.65, 0.65, 0.02), []),
        ((0.66, 0.36, 0.02), ["left"]),
        ((0.5, 0.34, 0.02), ["right"]),
        ((0.66, 0.99, 0.02), ["left", "right"]),
        # Few pairs reach that by chance.
        ((0.66, 0.8, 0.1), []),
        ((0.66, 0.81, 0.1), ["right"]),
        ((0.25, 0.19, 0.1), ["right"]),
        ((), []),
    ],
)
def test_a_side_that_predicts_the_label_is_a_finding_unless_it_may_be_chance(measured, sides):
    findings = find_issues(inspection(one_sided=one_sided(*measured)), section=SECTION)
    assert [finding.name for finding in findings] == ["one_sided"] * len(sides)
    for finding, side in zip(findings, sides, strict=True):
        assert f"the {side} item alone" in finding.detail
        assert finding.split == "validation"


@pytest.mark.parametrize(
    ("roc_auc", "words"),
    [
        (0.91, "gives the label away (ROC-AUC 0.910, more than 0.65)"),
        (0.09, "predicts the opposite of the label (ROC-AUC 0.090, less than 0.35)"),
    ],
)
def test_the_finding_says_which_way_a_side_predicts_the_label(roc_auc, words):
    it = inspection(one_sided=one_sided(roc_auc, 0.5, 0.02))
    (finding,) = find_issues(it, section=SECTION)
    assert finding.detail.startswith(f"the left item alone {words}")


def test_a_finding_is_one_line_and_becomes_json():
    it = inspection(shared_items=matrix(train_test=1234))
    (finding,) = find_issues(it, section=SECTION)
    assert str(finding) == (
        "shared_items (test): 1,234 of 80 items are in train too, which flatters scores; keep "
        "each in one split, or cut with data.split.by: identity"
    )
    assert finding.to_json() == {
        "name": "shared_items",
        "split": "test",
        "detail": finding.detail,
    }


def test_every_name_is_documented():
    page = (Path(__file__).parents[2] / "docs/inspect.md").read_text()
    section = page.split("## Findings")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert documented == list(get_args(FindingName))
