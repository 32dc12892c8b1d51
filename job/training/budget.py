"""How many epochs a run has when its configuration does not say.

A fixed number of epochs suits data of one size: ten epochs of 3,000 pairs are 120 steps, in
which no encoder learns much. What learning takes is steps::

    epochs_of(None, steps_in_epoch=11)  # 100
    epochs_of(None, steps_in_epoch=155)  # 10

`docs/init.md` shows the measurements behind the budget.
"""

from job.config.training import BUDGET_STEPS, LEAST_EPOCHS, MOST_EPOCHS


def budgeted_epochs(steps_in_epoch: int) -> int:
    """The epochs that take about `BUDGET_STEPS` optimizer steps, within the bounds.

    Args:
        steps_in_epoch: Optimizer steps in an epoch, >= 1.
    """
    wanted = -(-BUDGET_STEPS // steps_in_epoch)
    return min(max(wanted, LEAST_EPOCHS), MOST_EPOCHS)


def epochs_of(configured: int | None, *, steps_in_epoch: int, stored: int | None = None) -> int:
    """The epochs of a run.

    Args:
        configured: `training.epochs`.
        steps_in_epoch: Optimizer steps in an epoch, >= 1.
        stored: The budget of the run's first attempt, if known: another release may have
            another one.
    """
    return configured or stored or budgeted_epochs(steps_in_epoch)
