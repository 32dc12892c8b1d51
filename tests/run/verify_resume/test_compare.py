from dataclasses import replace

import numpy as np
import pytest

from job.checkpoints.examine import Contents
from job.run.verify_resume.compare import compare, last_contents
from tests.checkpoints.tiny_run import saved_steps
from tests.fakes.memory_store import MemoryStore


@pytest.fixture
def contents() -> Contents:
    store = MemoryStore()
    saved_steps(store, steps=3)
    found = last_contents(store)
    history = [{"val_loss": 0.5}, {"val_loss": float("nan")}]
    return replace(found, meta={**found.meta, "history": history})


def with_meta(contents: Contents, **parts: object) -> Contents:
    return replace(contents, meta={**contents.meta, **parts})


def test_equal_states_have_no_differences(contents):
    meta = contents.meta["train_state"]
    later = with_meta(contents, train_state={**meta, "seconds": 99.0})
    found = compare(contents, later)
    assert found.differences == []
    assert (found.num_variables, found.num_callbacks, found.num_epochs) == (3, 1, 2)


def test_one_bit_of_one_variable_is_a_difference(contents):
    kernel = contents.variables["model|dense/kernel"].copy()
    kernel[0, 0] += 0.5
    zero = np.array(-0.0, np.float32)
    one = replace(contents, variables={**contents.variables, "model|z": -zero})
    two = replace(
        contents,
        variables={**contents.variables, "model|dense/kernel": kernel, "model|z": zero},
    )
    assert compare(one, two).differences == [
        "model|dense/kernel: max difference 0.5",
        "model|z: max difference 0",
    ]


def test_a_variable_that_only_one_run_has_is_a_difference(contents):
    fewer = replace(contents, variables={"optimizer|iterations": np.array(3, np.int64)})
    assert compare(contents, fewer).differences == [
        "model|dense/kernel: only in the undisturbed run",
        "model|seed/state: only in the undisturbed run",
    ]


def test_the_state_of_callbacks_and_the_history_are_compared(contents):
    other = with_meta(
        contents,
        callbacks={"early_stopping": {"wait": 2, "best": None}},
        history=[{"val_loss": 0.5}, {"val_loss": 0.25}],
    )
    assert compare(contents, other).differences == [
        "callback state of early_stopping wait: 0 in the undisturbed run, 2 in the killed one",
        "history: epoch 2 val_loss: nan in the undisturbed run, 0.25 in the killed one",
    ]
