"""One, two and four replicas take the same step from every state of a training."""

import numpy as np
import pytest

from tests.forked import run_forked
from tests.training.replica_states import MODELS, NUM_STATES, main

pytestmark = [pytest.mark.slow, pytest.mark.prove]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What one, two and four replicas found."""
    folder = tmp_path_factory.mktemp("states")
    for replicas in (1, 2, 4):
        run_forked(main, replicas, folder)
    return folder


@pytest.mark.parametrize("replicas", [2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_from_each_of_100_states_is_that_of_one_replica(folder, name, replicas):
    with (
        np.load(folder / f"{name}-1.npz") as one,
        np.load(folder / f"{name}-{replicas}.npz") as many,
    ):
        assert set(one.files) == set(many.files)
        assert len(one["loss"]) == NUM_STATES
        assert len(np.unique(one["loss"])) > NUM_STATES // 2
        np.testing.assert_allclose(many["loss"], one["loss"], rtol=1e-5, atol=1e-6)
        # Relative to the largest gradient of all variables: a scalar in which terms cancel out
        # has none of its own but roundings.
        keys = set(one.files) - {"loss"}
        largest = max(np.abs(one[key]).max() for key in keys)
        for key in keys:
            assert np.abs(many[key] - one[key]).max() / largest < 1e-5, key
