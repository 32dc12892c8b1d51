"""The epochs of a run whose configuration does not say how many."""

import pytest

from job.config.training import BUDGET_STEPS, LEAST_EPOCHS, MOST_EPOCHS
from job.training.budget import budgeted_epochs, epochs_of


@pytest.mark.parametrize(
    ("steps_in_epoch", "epochs"),
    [
        (1, MOST_EPOCHS),  # 100 steps: more would only repeat a handful of pairs
        (BUDGET_STEPS // MOST_EPOCHS, MOST_EPOCHS),
        (BUDGET_STEPS // 10, 10),
        (BUDGET_STEPS // 10 - 1, 11),  # rounded up: never fewer steps than the budget
        (BUDGET_STEPS, LEAST_EPOCHS),
        (1_000_000, LEAST_EPOCHS),
    ],
)
def test_the_budget_is_a_number_of_steps_within_bounds_of_epochs(steps_in_epoch, epochs):
    assert budgeted_epochs(steps_in_epoch) == epochs


@pytest.mark.parametrize(
    ("configured", "stored", "epochs"),
    [(7, None, 7), (7, 20, 7), (None, 20, 20), (None, None, 10)],
)
def test_a_configured_number_wins_over_a_stored_one_and_that_over_the_budget(
    configured, stored, epochs
):
    steps = BUDGET_STEPS // 10
    assert epochs_of(configured, steps_in_epoch=steps, stored=stored) == epochs
