"""The share of a variance that is kept, by hand and on draws."""

import numpy as np
import pytest

from job.evaluation.identities import Identities
from job.evaluation.resampling import by_dyad, by_identity, kept_share, replicates


@pytest.mark.parametrize(
    ("variance", "surplus", "share"),
    [
        (3.0, 1.0, 1 / 3),  # independent pairs
        (3.0, 2.0, 1 / 3),  # not less
        (4.0, 1.0, 0.5),
        (4.0, 0.0, 1.0),
        (0.0, 0.0, 1.0),
    ],
)
def test_twice_the_surplus_is_taken_off_but_a_third_is_kept(variance, surplus, share):
    assert float(kept_share(variance, surplus)) == pytest.approx(share)
    found = kept_share([variance, 4.0], [surplus, 0.0])
    assert found.tolist() == pytest.approx([share, 1.0])


def test_what_is_kept_of_independent_pairs_is_their_own_variance():
    identities = Identities.of(*np.arange(1000).reshape(2, -1))
    moved, surplus = (
        np.concatenate(
            [
                weights.mean(axis=1)
                for weights in replicates(draw, count=4000, num_pairs=500, seed=seed)
            ]
        )
        for seed, draw in enumerate((by_identity(identities), by_dyad(identities)))
    )
    kept = np.var(moved) * kept_share(np.var(moved), np.var(surplus))
    assert kept == pytest.approx(1 / 500, rel=0.1)
