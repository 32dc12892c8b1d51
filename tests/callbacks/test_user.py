"""Custom callbacks: where they are found, and whose fault their errors are."""

import functools
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from job.callbacks.callback_list import CallbackList
from job.callbacks.user import load_custom_callbacks, wrap_user_callback
from job.checkpoints import canonical_json
from job.config.callbacks import CustomCallbackConfig
from job.errors import CallbackError, ConfigError, ExitCode, PreemptedError

GOOD = """
import keras
class Printer(keras.callbacks.Callback):
    def __init__(self, every=1):
        super().__init__()
        self.every = every
NOT_A_CALLBACK = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def load(folder, target, **arguments):
    section = CustomCallbackConfig(target=target, arguments=arguments)
    return load_custom_callbacks([section], folder=folder)


def test_a_callback_next_to_the_config_is_loaded_with_its_arguments(folder):
    (folder / "mine_a.py").write_text(GOOD)
    (callback,) = load(folder, "mine_a:Printer", every=3)
    assert callback.every == 3


def test_a_callback_may_import_its_neighbour(folder):
    (folder / "mine_b.py").write_text("from mine_b_helper import VALUE\n" + GOOD)
    (folder / "mine_b_helper.py").write_text("VALUE = 1\n")
    assert load(folder, "mine_b:Printer")


def test_a_callback_of_an_installed_package_is_loaded(folder):
    (callback,) = load(folder, "keras.callbacks:TerminateOnNaN")
    assert type(callback).__name__ == "TerminateOnNaN"


def test_the_working_directory_is_not_searched(folder, monkeypatch):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine_c.py").write_text(GOOD)
    monkeypatch.chdir(elsewhere)
    monkeypatch.syspath_prepend("")
    with pytest.raises(ConfigError, match="no module 'mine_c' next to the configuration"):
        load(folder, "mine_c:Printer")


def test_pythonpath_is_not_searched(folder, monkeypatch):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine_d.py").write_text(GOOD)
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    monkeypatch.syspath_prepend(str(elsewhere))
    with pytest.raises(ConfigError, match="no module 'mine_d'"):
        load(folder, "mine_d:Printer")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (GOOD, "mine_e:Printre", r"no subclass .* named 'Printre'\. Did you mean 'Printer'"),
        (GOOD, "mine_e:NOT_A_CALLBACK", "no subclass .* It has: Printer"),
        ("1 / 0", "mine_e:Printer", "importing 'mine_e' raised ZeroDivisionError"),
        ("def (:", "mine_e:Printer", "importing 'mine_e' raised SyntaxError"),
        ("import nowhere_at_all", "mine_e:Printer", "imports 'nowhere_at_all', which is not"),
    ],
)
def test_an_unusable_target_is_rejected_with_the_reason(folder, source, target, message):
    (folder / "mine_e.py").write_text(source)
    with pytest.raises(ConfigError, match=message) as caught:
        load(folder, target)
    assert str(caught.value).startswith("callbacks.custom.0.target: ")


def test_arguments_that_do_not_fit_are_refused(folder):
    (folder / "mine_f.py").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"callbacks\.custom\.0\.arguments: .* TypeError"):
        load(folder, "mine_f:Printer", evry=3)


def test_a_file_with_the_name_of_a_loaded_module_is_refused_not_ignored(folder):
    (folder / "json.py").write_text(GOOD)
    with pytest.raises(
        ConfigError, match=r"name of a module that is already loaded .* Rename the file"
    ):
        load(folder, "json:Printer")


def test_a_module_that_leaves_the_process_is_refused(folder):
    (folder / "mine_x.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ConfigError, match=r"importing 'mine_x' raised SystemExit: 3"):
        load(folder, "mine_x:Printer")


def test_an_error_in_a_hook_names_the_key(folder):
    (folder / "mine_y.py").write_text(
        "import keras\nclass Bad(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n        1 / 0\n"
    )
    (callback,) = load(folder, "mine_y:Bad")
    with pytest.raises(CallbackError, match=r"^callbacks\.custom\.0: Bad\.on_epoch_end raised"):
        callback.on_epoch_end(0, {})


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
def test_an_error_in_a_hook_is_named_with_file_and_line(act, said, hook):
    with pytest.raises(CallbackError) as caught:
        getattr(guarded(act), hook)(0, {"loss": 1.0})
    assert str(caught.value).startswith(
        f"callbacks.custom.2: Mine.{hook} raised {said} ({__file__}, line "
    )
    assert caught.value.exit_code == ExitCode.UNEXPECTED


@pytest.mark.parametrize("error", [PreemptedError("now"), KeyboardInterrupt()])
def test_errors_that_end_a_run_regularly_pass(error):
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
def test_a_log_value_that_is_not_a_number_is_rejected(given):
    callback = guarded(lambda logs: logs.update(given))
    with pytest.raises(CallbackError, match=r"Mine\.on_epoch_end put .* into logs as"):
        callback.on_epoch_end(0, {})
    # Keras gives logs by name here.
    hooks = keras.callbacks.CallbackList([callback], add_history=False)
    with pytest.raises(CallbackError, match=r"Mine\.on_train_batch_end put .* into logs as"):
        hooks.on_train_batch_end(0, {})


STATE = {"count": [1, None], "note": "so", "of": {"a": True}}


def restored(first, fresh):
    """`fresh` after a restart from the state of `first`, through the bytes of a checkpoint."""
    model = keras.Model()
    data = canonical_json.dumps(CallbackList([first], model=model).state_dict())
    restarted = CallbackList([fresh], model=model)
    restarted.load_state_dict(canonical_json.loads(data, limit_bytes=9999))
    return fresh


def test_a_state_of_any_json_goes_through_a_checkpoint():
    assert restored(guarded(state=STATE), guarded()).state == STATE


def test_the_example_continues_where_it_was():
    section = CustomCallbackConfig(target="six_hooks:Timekeeper")
    folder = Path(__file__).parents[2] / "examples"
    first, fresh = load_custom_callbacks([section, section], folder=folder)
    first.on_train_begin()
    first.on_epoch_begin(3)
    assert restored(first, fresh).get_state() == first.get_state()


@pytest.mark.parametrize("state", [{"count": np.arange(3)}, {1: "x"}, {"x": {1, 2}}])
def test_a_state_that_no_checkpoint_holds_is_refused(state):
    with pytest.raises(CallbackError, match=r"Mine\.get_state returned .* JSON cannot hold"):
        guarded(state=state).get_state()


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
