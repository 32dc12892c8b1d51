"""A callback of the user's own that fails is named, with what it did."""

import sys

import keras
import numpy as np
import pytest

from job.callbacks.guard import guard
from job.callbacks.memory import read_memory
from job.errors import CallbackError, ExitCode, PreemptedError


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


def guarded(*args, **options):
    callback = Mine(*args, **options)
    guard(callback, key="callbacks.custom.2")
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
    callback = guarded(lambda logs: logs.update(mine=np.float32(0.5), more=2))
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0, "mine": 0.5, "more": 2}
    with pytest.raises(CallbackError, match=r"put 'best so far' into logs as 'note'"):
        guarded(lambda logs: logs.update(note="best so far")).on_epoch_end(0, logs)


def test_a_state_is_json():
    assert list(read_memory([guarded(state={"count": [1, None]})]).values()) == [
        {"count": [1, None]}
    ]
    with pytest.raises(CallbackError, match=r"Mine\.get_state gave what JSON cannot hold"):
        read_memory([guarded(state={"count": np.arange(3)})])


def test_keras_still_knows_which_hooks_do_nothing():
    callback = guarded()
    assert callback.on_epoch_begin._is_default
    assert not hasattr(callback.on_epoch_end, "_is_default")
