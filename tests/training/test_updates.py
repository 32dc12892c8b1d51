"""Rules of the update and micro batches: the same training on any number of replicas."""

import numpy as np
import pytest

from tests.forked import run_forked
from tests.shared_setup import made_once
from tests.training.update_runs import DIVIDED, RULES, STEPS, main

pytestmark = pytest.mark.slow

# Tracing four replicas takes long: there, one of each kind.
NAMES = {
    1: [*RULES, *DIVIDED],
    2: [*RULES, *DIVIDED],
    4: ["everything", "multiple_negatives"],
}
ALL = [(replicas, name) for replicas, names in NAMES.items() for name in names]


def cases(known):
    """Replicas and name of those cases; `make test` has them on one and two replicas."""
    return [
        pytest.param(replicas, name, marks=[pytest.mark.prove] * (replicas == 4))
        for replicas, name in ALL
        if name in known
    ]


class Results(dict):
    """What `main` finds, by the number of replicas; found when it is first asked for."""

    def __init__(self, tmp_path_factory):
        self._factory = tmp_path_factory

    def __missing__(self, number):
        def make(folder):
            run_forked(main, number, folder / "found.npz", NAMES[number])

        folder = made_once(self._factory, f"updates-{number}", make)
        self[number] = dict(np.load(folder / "found.npz"))
        return self[number]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return Results(tmp_path_factory)


def state(found, name):
    """Losses and variables of a run."""
    prefix = f"{name}|"
    values = {key.removeprefix(prefix): found[key] for key in found if key.startswith(prefix)}
    assert len(values) > 5
    return values


def assert_close(found, expected):
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=2e-6, err_msg=key)


@pytest.mark.parametrize(("replicas", "name"), cases(RULES))
def test_clipping_decay_schedule_and_averages_do_not_depend_on_replicas(
    results, replicas, name
):
    one = state(results[1], name)
    assert len(set(one["metrics"][0])) == STEPS
    assert_close(state(results[replicas], name), one)


@pytest.mark.parametrize(("replicas", "name"), cases(DIVIDED))
def test_micro_batches_train_as_the_undivided_batch_does(results, replicas, name):
    whole = state(results[1], f"{name} whole")
    assert min(whole["metrics"][0]) > 0
    assert_close(state(results[replicas], name), whole)


@pytest.mark.parametrize(("replicas", "name"), cases([*RULES, *DIVIDED]))
def test_every_device_has_the_same_bits_and_a_resume_ends_in_them(results, replicas, name):
    assert results[replicas][f"alike {name}"]
    assert results[replicas][f"again {name}"]
