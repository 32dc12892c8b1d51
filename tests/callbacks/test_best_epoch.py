import math

import pytest

from job.callbacks.best_epoch import BestEpoch
from job.checkpoints.records import Best


@pytest.mark.parametrize(
    ("monitor", "values", "best_epoch"),
    [
        ("val_loss", [0.5, 0.3, 0.4], 2),
        ("val_roc_auc", [0.5, 0.3, 0.6], 3),
        ("val_loss", [0.5, 0.5], 1),
        ("val_loss", [math.nan, 0.5, -math.inf], 2),
    ],
)
def test_best_epoch_is_the_first_with_the_best_finite_value(monitor, values, best_epoch):
    tracker = BestEpoch(monitor)
    for epoch, value in enumerate(values):
        improved = tracker.update(epoch, {monitor: value}, global_step=10 * (epoch + 1))
        assert improved == (tracker.best is not None and tracker.best.epoch == epoch + 1)
    assert tracker.best == Best(
        step=10 * best_epoch, epoch=best_epoch, monitor=monitor, value=values[best_epoch - 1]
    )


def test_a_restart_does_not_forget_the_best_value():
    first, second = BestEpoch("val_loss"), BestEpoch("val_loss")
    first.update(0, {"val_loss": 0.1}, global_step=5)
    second.load_state_dict(first.state_dict())
    assert not second.update(1, {"val_loss": 0.2}, global_step=10)
    assert second.best == first.best


def test_values_of_another_monitor_are_not_compared():
    first, second = BestEpoch("val_loss"), BestEpoch("val_roc_auc")
    first.update(0, {"val_loss": 0.9}, global_step=5)
    second.load_state_dict(first.state_dict())
    assert second.update(1, {"val_roc_auc": 0.6}, global_step=10)


def test_before_the_first_epoch_there_is_nothing_to_remember():
    tracker = BestEpoch("val_loss")
    tracker.load_state_dict(tracker.state_dict())
    assert tracker.best is None
