import keras
import pytest

from job.callbacks.callback_list import (
    CallbackList,
    control_callbacks,
    is_stateful,
    ordered_callbacks,
)
from job.config.callbacks import CallbacksConfig, EarlyStoppingConfig, ReduceLearningRateConfig


class Named(keras.callbacks.Callback):
    def __init__(self, name):
        super().__init__()
        self.name = name


def names(section):
    ordered = ordered_callbacks(
        control=control_callbacks(section),
        custom=[Named("custom")],
        checkpoint=Named("checkpoint"),
        observers=[Named("metrics"), Named("progress"), Named("activations")],
    )
    return [getattr(callback, "name", type(callback).__name__) for callback in ordered]


def test_control_callbacks_precede_the_checkpoint_and_observers_follow_it():
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


def test_a_callback_that_is_off_is_not_in_the_list():
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
    _, plateau, stopping = control_callbacks(section)
    assert plateau.mode == stopping.mode == mode
    assert (stopping.patience, stopping.min_delta) == (3, 0.01)
    assert (plateau.factor, plateau.patience) == (0.5, 10)


class Counting(Named):
    """A custom callback with a state."""

    count = 0

    def get_state(self):
        return self.count

    def set_state(self, state):
        self.count = state


def listed(*callbacks):
    return CallbackList(callbacks, model=keras.Model())


def test_state_is_restored_whatever_else_is_in_the_list():
    before, after = Counting("a"), Counting("a")
    before.count = 7
    restarted = listed(Named("new"), after)
    restarted.load_state_dict(listed(before).state_dict())
    assert after.count == 7


def test_two_callbacks_of_one_class_keep_their_own_state():
    before, after = [Counting("a"), Counting("b")], [Counting("a"), Counting("b")]
    before[0].count, before[1].count = 1, 2
    restarted = listed(*after)
    restarted.load_state_dict(listed(*before).state_dict())
    assert [one.count for one in after] == [1, 2]


def test_only_stateful_callbacks_are_in_the_state():
    assert is_stateful(keras.callbacks.EarlyStopping())
    assert is_stateful(Counting("a"))
    assert not is_stateful(Named("a"))
    assert listed(Named("a")).state_dict() == {}


@pytest.mark.parametrize("stored", [None, 0, "", [], {}])
def test_every_json_value_is_restored_as_a_state(stored):
    class Kept(keras.callbacks.Callback):
        state = "fresh"

        def get_state(self):
            return self.state

        def set_state(self, state):
            self.state = state

    before, after = Kept(), Kept()
    before.state = stored
    state = CallbackList([before], model=keras.Model()).state_dict()
    CallbackList([after], model=keras.Model()).load_state_dict(state)
    assert after.state == stored


def test_a_state_is_a_copy_of_what_the_callback_changes_later():
    class Counting(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.counts = {"epochs": 1}

        def get_state(self):
            return self.counts

    callback = Counting()
    state = CallbackList([callback], model=keras.Model()).state_dict()
    callback.counts["epochs"] = 2
    assert list(state.values()) == [{"epochs": 1}]
