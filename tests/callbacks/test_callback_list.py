import keras
import pytest

from job.callbacks.callback_list import (
    build_control_callbacks,
    is_stateful,
    ordered_callbacks,
    read_memory,
    write_memory,
)
from job.config.callbacks import CallbacksConfig, EarlyStoppingConfig, ReduceLearningRateConfig


class Named(keras.callbacks.Callback):
    def __init__(self, name):
        super().__init__()
        self.name = name


def names(section):
    stack = ordered_callbacks(
        build_control_callbacks(section),
        custom=[Named("custom")],
        checkpoint=Named("checkpoint"),
        watchers=[Named("metrics"), Named("progress"), Named("activations")],
    )
    return [getattr(callback, "name", type(callback).__name__) for callback in stack]


def test_what_decides_comes_before_the_checkpoint_and_what_watches_after_it():
    section = CallbacksConfig(
        early_stopping=EarlyStoppingConfig(), reduce_learning_rate=ReduceLearningRateConfig()
    )
    assert names(section) == [
        "TerminateOnNaN",
        "ReduceLROnPlateau",
        "EarlyStopping",
        "custom",
        "checkpoint",
        "metrics",
        "progress",
        "activations",
    ]


def test_a_callback_that_is_off_is_not_in_the_stack():
    assert names(CallbacksConfig(terminate_on_nan=False)) == [
        "custom",
        "checkpoint",
        "metrics",
        "progress",
        "activations",
    ]


@pytest.mark.parametrize(
    ("monitor", "mode"), [("val_loss", "min"), ("val_roc_auc", "max"), ("val_eer", "min")]
)
def test_keras_callbacks_get_an_explicit_mode(monitor, mode):
    section = CallbacksConfig(
        early_stopping=EarlyStoppingConfig(monitor=monitor, patience_epochs=3, min_delta=0.01),
        reduce_learning_rate=ReduceLearningRateConfig(monitor=monitor, factor=0.5),
    )
    deciders = build_control_callbacks(section)
    plateau, stopping = deciders.reduce_learning_rate, deciders.early_stopping
    assert plateau.mode == stopping.mode == mode
    assert (stopping.patience, stopping.min_delta) == (3, 0.01)
    assert (plateau.factor, plateau.patience) == (0.5, 10)


class Counting(Named):
    """A callback of a user who wants it to survive a restart."""

    count = 0

    def get_state(self):
        return self.count

    def set_state(self, state):
        self.count = state


def test_a_custom_callback_with_state_is_carried_over_a_restart():
    before, after = Counting("a"), Counting("a")
    before.count = 7
    write_memory([Named("new"), after], read_memory([before]))
    assert after.count == 7


def test_only_callbacks_that_can_be_asked_are_carried():
    assert is_stateful(keras.callbacks.EarlyStopping())
    assert is_stateful(Counting("a"))
    assert not is_stateful(Named("a"))
    assert read_memory([Named("a")]) == {}
