"""Groups against a search by hand."""

import numpy as np
import pytest

from job.scoring import components
from job.scoring.components import Groups


def groups_by_hand(num, left, right):
    label = list(range(num))
    for a, b in zip(left, right, strict=True):
        one, other = label[a], label[b]
        label = [one if old == other else old for old in label]
    order = list(dict.fromkeys(label))
    return [order.index(old) for old in label]


@pytest.mark.parametrize("waiting", [1, 7, 1 << 20])
@pytest.mark.parametrize("num_matches", [0, 1, 40, 400])
def test_matches_connect_items_through_others(monkeypatch, waiting, num_matches):
    monkeypatch.setattr(components, "_WAITING", waiting)
    random = np.random.default_rng(num_matches)
    left, right = random.integers(0, 90, (2, num_matches))
    groups = Groups(90)
    for start in range(0, num_matches, 13):
        groups.connect(left[start : start + 13], right[start : start + 13])
    assert groups.numbers().tolist() == groups_by_hand(90, left, right)


def test_groups_are_numbered_by_first_appearance():
    groups = Groups(5)
    groups.connect(np.array([4]), np.array([1]))
    assert groups.numbers().tolist() == [0, 1, 2, 3, 1]


def test_no_items_are_no_groups():
    assert Groups(0).numbers().tolist() == []
