"""A callback of the user's own that fails is named, with what it did."""

import functools
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from job.callbacks.callback_list import read_memory, write_memory
from job.callbacks.user import load_custom_callbacks, wrap_user_callback
from job.checkpoints import canonical_json
from job.config.callbacks import CustomCallbackConfig
from job.errors import CallbackError, ConfigError, ExitCode, PreemptedError


class Mine(keras.callbacks.Callback):
    """Does what a test tells it to."""

    def __init__(self, act=lambda logs: None, state=None):
        super().__init__()
        self.act, self.state = act, state

    def on_epoch_end(self, epoch, logs=None):
        self.act(logs)

    def on_train_batch_end(self, batch, logs=None):
        self.act(logs)

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.state = state


def guarded(*args, **options):
    callback = Mine(*args, **options)
    wrap_user_callback(callback, key="callbacks.custom.2")
    return callback


def fail(logs):
    raise ValueError("my message")


def leave(logs):
    sys.exit(0)


@pytest.mark.parametrize(
    ("act", "said"), [(fail, "ValueError: my message"), (leave, "SystemExit: 0")]
)
@pytest.mark.parametrize("hook", ["on_epoch_end", "on_train_batch_end"])
def test_what_a_hook_raises_is_named_with_its_place(act, said, hook):
    with pytest.raises(CallbackError) as caught:
        getattr(guarded(act), hook)(0, {"loss": 1.0})
    assert str(caught.value).startswith(
        f"callbacks.custom.2: Mine.{hook} raised {said} ({__file__}, line "
    )
    assert caught.value.exit_code == ExitCode.UNEXPECTED


@pytest.mark.parametrize("error", [PreemptedError("now"), KeyboardInterrupt()])
def test_what_ends_a_run_in_order_passes(error):
    def end(logs):
        raise error

    with pytest.raises(type(error)):
        guarded(end).on_epoch_end(0, {})


def test_logs_hold_numbers():
    callback = guarded(lambda logs: logs.update(mine=np.float32(0.5), more=2, so=np.True_))
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "mine": 0.5, "more": 2, "so": True}
    assert [type(value) for value in logs.values()] == [float, float, int, bool]


@pytest.mark.parametrize("given", [{"note": "best so far"}, {3: 0.5}, {"none": None}])
def test_what_is_no_number_under_a_name_is_refused_in_logs(given):
    callback = guarded(lambda logs: logs.update(given))
    with pytest.raises(CallbackError, match=r"Mine\.on_epoch_end put .* into logs as"):
        callback.on_epoch_end(0, {})
    # Keras gives logs by name here.
    hooks = keras.callbacks.CallbackList([callback], add_history=False)
    with pytest.raises(CallbackError, match=r"Mine\.on_train_batch_end put .* into logs as"):
        hooks.on_train_batch_end(0, {})


STATE = {"count": [1, None], "note": "so", "of": {"a": True}}


def test_a_state_of_any_json_goes_through_a_checkpoint():
    memory = canonical_json.loads(
        canonical_json.dumps(read_memory([guarded(state=STATE)])), limit_bytes=999
    )
    fresh = guarded()
    write_memory([fresh], memory)
    assert fresh.state == STATE


def test_the_example_goes_on_where_it_was():
    section = CustomCallbackConfig(target="six_hooks:Timekeeper")
    folder = Path(__file__).parents[2] / "examples"
    first, fresh = load_custom_callbacks([section, section], folder=folder)
    for callback in (first, fresh):
        callback.on_train_begin()
    memory = canonical_json.loads(canonical_json.dumps(read_memory([first])), limit_bytes=9999)
    write_memory([fresh], memory)
    assert fresh.get_state() == first.get_state()


@pytest.mark.parametrize("state", [{"count": np.arange(3)}, {1: "x"}, {"x": {1, 2}}])
def test_a_state_that_no_checkpoint_holds_is_refused(state):
    with pytest.raises(CallbackError, match=r"Mine\.get_state gave what JSON cannot hold"):
        read_memory([guarded(state=state)])


def test_the_place_is_in_the_callback_s_own_module():
    def invert(logs):
        np.linalg.inv(np.zeros((2, 2)))

    with pytest.raises(CallbackError, match=rf"\({re.escape(__file__)}, line \d+\)"):
        guarded(invert).on_epoch_end(0, {})


def test_a_hook_may_be_anything_that_can_be_called():
    callback = Mine()
    callback.on_epoch_end = functools.partial(fail)
    wrap_user_callback(callback, key="callbacks.custom.0")
    with pytest.raises(CallbackError, match="my message"):
        callback.on_epoch_end({})


def test_a_hook_that_cannot_be_replaced_is_refused():
    class Fixed(keras.callbacks.Callback):
        on_epoch_end = property(lambda self: print)

    with pytest.raises(ConfigError, match=r"Fixed\.on_epoch_end must be a plain method"):
        wrap_user_callback(Fixed(), key="callbacks.custom.0")


def test_keras_still_knows_which_hooks_do_nothing():
    callback = guarded()
    assert callback.on_epoch_begin._is_default
    assert not hasattr(callback.on_epoch_end, "_is_default")
