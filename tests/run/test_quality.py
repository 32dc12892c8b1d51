import numpy as np
import pytest

from job.data.dataset import PairTable
from job.errors import ConfigError
from job.run.quality import validation_pairs


def pairs_of(label):
    rows = np.arange(len(label))
    return PairTable(rows, rows + len(label), np.array(label, np.uint8))


@pytest.mark.parametrize(
    ("label", "count", "rows"),
    [
        ([0, 1] * 4, None, list(range(8))),
        ([0, 1] * 4, 9, list(range(8))),
        # Every second row would be of one label.
        ([0, 1] * 4, 4, [0, 1, 4, 5]),
        ([0, 0, 0, 0, 0, 0, 1, 1], 4, [0, 2, 4, 6]),
    ],
)
def test_pairs_are_evenly_spaced_within_each_label(label, count, rows):
    assert validation_pairs(pairs_of(label), count=count).left.tolist() == rows


def test_pairs_of_one_label_cannot_be_measured():
    with pytest.raises(ConfigError, match="2 leaves 0 matching and 2 other pairs of 8"):
        validation_pairs(pairs_of([0] * 7 + [1]), count=2)
