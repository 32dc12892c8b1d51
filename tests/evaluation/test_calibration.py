"""Probabilities are right on average, never decrease, and survive JSON."""

import json
import math

import numpy as np
import pytest

from job.errors import DataError
from job.evaluation.calibration import Calibration, fit_calibration, sigmoid

RNG = np.random.default_rng(0)
LOGIT = RNG.normal(size=4000) * 3
LABEL = RNG.random(4000) < sigmoid(0.5 * LOGIT - 1)


def test_platt_finds_the_coefficients_that_made_the_labels():
    slope, offset = fit_calibration(LABEL, LOGIT, kind="platt").logit
    assert slope == pytest.approx(0.5, abs=0.04)
    assert offset == pytest.approx(-1.0, abs=0.1)


FEW = np.arange(50_000) >= 49_997


@pytest.mark.parametrize(
    ("label", "logit"),
    [
        (LABEL[:50], LOGIT[:50]),
        # Far apart, and few of one label: steps of Newton's method that are too long.
        (FEW, np.where(FEW, 30.0, -20.0)),
    ],
)
def test_platt_is_where_its_likelihood_is_highest(label, logit):
    found = fit_calibration(label, logit, kind="platt").logit
    matches, others = label.sum(), (~label).sum()
    target = np.where(label, (matches + 1) / (matches + 2), 1 / (others + 2))

    def loss(slope, offset):
        at = slope * logit + offset
        return np.sum(np.logaddexp(0, at) - target * at)

    for step in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        assert loss(*found) < loss(found[0] + step[0], found[1] + step[1])


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
@pytest.mark.parametrize(
    ("label", "logit"),
    [
        ([0, 1], [-1e4, 1e4]),
        ([0, 0, 1, 1], [-3, -2, 2, 3]),
        ([0, 1], [5.0, 5.0]),
        ([1, 0, 1, 0], [-2, -1, 1, 2]),
        ([0, 1, 1], [1e-30, 2e-30, 3e-30]),
    ],
)
def test_separated_equal_reversed_and_tiny_logits_have_a_probability(label, logit, kind):
    calibration = fit_calibration(label, logit, kind=kind)
    chance = calibration.apply(np.sort(logit))
    assert np.isfinite(chance).all()
    assert (np.diff(chance) >= 0).all()
    assert ((0 <= chance) & (chance <= 1)).all()


@pytest.mark.parametrize("logit", [[0.1, 0.1, 0.1], [3.0, 1.0, 2.0], [-7, -8, -9]])
def test_platt_is_the_share_of_matches_where_logits_are_equal_or_reversed(logit):
    calibration = fit_calibration([0, 1, 1], logit, kind="platt")
    # Two matches that count 3/4 each and another pair that counts 1/3.
    assert calibration.apply(logit) == pytest.approx([(2 * 3 / 4 + 1 / 3) / 3] * 3)


def test_isotonic_is_the_share_of_matches_where_logits_are_equal():
    calibration = fit_calibration([0, 1, 0, 1, 1, 1], [1, 1, 2, 2, 2, 3], kind="isotonic")
    assert calibration.apply([0, 1, 2, 3, 9]) == pytest.approx([0.5, 0.5, 2 / 3, 1, 1])
    assert calibration.apply(1.5) == pytest.approx(7 / 12)


def test_none_is_the_score_itself():
    assert fit_calibration(LABEL, LOGIT, kind="none").apply([-800.0, 0.0, 800.0]).tolist() == [
        0.0,
        0.5,
        1.0,
    ]


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_another_share_of_matches_moves_the_odds_of_every_probability(kind):
    calibration = fit_calibration(LABEL, LOGIT, kind=kind)
    share = float(LABEL.mean())
    moved = calibration.for_share(0.01, measured=share)
    at = np.linspace(-4, 4, 9)
    before, after = calibration.apply(at), moved.apply(at)
    factor = (0.01 / 0.99) / (share / (1 - share))
    if kind == "platt":
        assert after / (1 - after) == pytest.approx(before / (1 - before) * factor)
    # Drawn with that share, as many match as the probabilities say.
    weight = np.where(LABEL, 0.01 / share, 0.99 / (1 - share))
    assert np.average(moved.apply(LOGIT), weights=weight) == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize("kind", ["platt", "isotonic", "none"])
def test_json_keeps_it(kind):
    calibration = fit_calibration(LABEL, LOGIT, kind=kind)
    content = json.loads(json.dumps(calibration.to_json()))
    assert Calibration.from_json(content) == calibration


@pytest.mark.parametrize(
    "arguments",
    [
        ("platt", (-1.0, 0.0)),
        ("platt", (1.0,)),
        ("platt", (1.0, math.nan)),
        ("isotonic", (0.0, 1.0), (0.9, 0.1)),
        ("isotonic", (1.0, 0.0), (0.1, 0.9)),
        ("isotonic", (0.0,), (1.5,)),
        ("isotonic", (), ()),
        ("none", (1.0, 0.0)),
    ],
)
def test_a_map_that_decreases_or_leaves_0_to_1_is_no_calibration(arguments):
    with pytest.raises(ValueError, match="calibration"):
        Calibration(*arguments)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"'beta'\. Known: platt, isotonic, none"):
        Calibration.from_json({"kind": "beta", "logit": [], "probability": []})


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
@pytest.mark.parametrize(("label", "logit"), [([1, 1], [0, 1]), ([0, 1], [0, math.nan])])
def test_pairs_that_calibrate_nothing_are_refused(label, logit, kind):
    with pytest.raises(DataError):
        fit_calibration(label, logit, kind=kind)
