"""Every encoder trains on two replicas as on one, in any precision, dropout included."""

from functools import cache

import numpy as np
import pytest

from tests.forked import run_forked
from tests.shared_setup import made_once
from tests.training.encoder_runs import main

pytestmark = pytest.mark.slow

# Largest gap of a weight after two steps of at most 0.01, one replica against two. In few bits
# a sum of two halves is rounded otherwise than a whole one. Xception has 40 layers of batch
# statistics on top of each other, which blow roundings up; in the first step they have not.
NAMES = {
    "text": 1e-6,
    "sequence": 1e-6,
    "cnn": 1e-6,
    "text@mixed_bfloat16": 1e-4,
    "sequence@mixed_bfloat16": 1e-4,
    "cnn@mixed_bfloat16": 1e-4,
    "text@mixed_float16": 1e-5,
    "sequence@mixed_float16": 1e-5,
    "cnn@mixed_float16": 1e-4,
    "xception": 1e-3,
}
# Every encoder once and every precision; the rest takes minutes to trace.
FEW = ("text", "cnn", "sequence@mixed_bfloat16", "cnn@mixed_float16")
MORE = tuple(name for name in NAMES if name not in (*FEW, "xception"))
GROUPS = {"few": FEW, "more": MORE, "xception": ("xception",)}
CASES = [pytest.param(name, marks=[pytest.mark.prove] * (name not in FEW)) for name in NAMES]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What `main` finds on one and on two replicas, by the name of a case."""

    @cache
    def found(group, *names):
        def make(folder):
            for number in (1, 2):
                run_forked(main, number, folder / f"{number}.npz", list(names))

        folder = made_once(tmp_path_factory, group, make)
        return [dict(np.load(folder / f"{number}.npz")) for number in (1, 2)]

    def results_of(name):
        group = next(group for group, names in GROUPS.items() if name in names)
        return found(f"encoders-{group}", *GROUPS[group])

    return results_of


def pairs(results, name, state):
    """The arrays of one and of two replicas, by variable."""
    one, two = (
        {key: value for key, value in found.items() if key.startswith(f"{name} {state}")}
        for found in results(name)
    )
    assert set(one) == set(two)
    assert len(one) > 4
    return {key: (one[key], two[key]) for key in one}


@pytest.mark.parametrize("name", CASES)
def test_two_processes_start_from_the_same_bits(results, name):
    for key, (one, two) in pairs(results, name, "start").items():
        assert np.array_equal(one, two), key


@pytest.mark.parametrize("name", CASES)
def test_two_replicas_train_as_one_does(results, name):
    one, two = (result[f"{name} loss"] for result in results(name))
    assert abs(one[1] - one[0]) > 1e-6
    np.testing.assert_allclose(two[0], one[0], rtol=1e-6)
    # What dropout scales is rounded anew: to 8 bits, 0.4 %, by bfloat16.
    np.testing.assert_allclose(two, one, rtol=5e-4 if "bfloat16" in name else 1e-4)
    for key, (first, second) in pairs(results, name, "end").items():
        assert np.abs(first.astype(float) - second).max() < NAMES[name], key


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_a_stored_run_resumes_bit_for_bit(results, name, replicas):
    assert results(name)[replicas - 1][f"{name} again"]


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_step_that_overflows_on_one_replica_is_skipped_by_all(results, replicas):
    found = results("cnn@mixed_float16")[replicas - 1]
    assert found["overflow copies"] == replicas
    assert found["overflow alike"]
    assert found["overflow kept"]
    assert found["overflow scale"] == np.float32(0.5e30)
