import sys

import pytest

from job.callbacks.user import load_custom_callbacks
from job.config.callbacks import CustomCallbackConfig
from job.errors import CallbackError, ConfigError

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


def test_a_callback_beside_the_config_is_loaded_with_its_arguments(folder):
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
    with pytest.raises(ConfigError, match="no module 'mine_c' beside the configuration"):
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
        (GOOD, "mine_e:Printre", r"no subclass .* called 'Printre'\. Did you mean 'Printer'"),
        (GOOD, "mine_e:NOT_A_CALLBACK", "no subclass .* It has: Printer"),
        ("1 / 0", "mine_e:Printer", "importing 'mine_e' raised ZeroDivisionError"),
        ("def (:", "mine_e:Printer", "importing 'mine_e' raised SyntaxError"),
        ("import nowhere_at_all", "mine_e:Printer", "imports 'nowhere_at_all', which is not"),
    ],
)
def test_what_can_not_be_used_is_refused_with_the_reason(folder, source, target, message):
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
        ConfigError, match=r"name of a module already in use .* Rename the file"
    ):
        load(folder, "json:Printer")


def test_a_module_that_leaves_the_process_is_refused(folder):
    (folder / "mine_x.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(ConfigError, match=r"importing 'mine_x' raised SystemExit: 3"):
        load(folder, "mine_x:Printer")


def test_what_a_hook_raises_names_the_key(folder):
    (folder / "mine_y.py").write_text(
        "import keras\nclass Bad(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n        1 / 0\n"
    )
    (callback,) = load(folder, "mine_y:Bad")
    with pytest.raises(CallbackError, match=r"^callbacks\.custom\.0: Bad\.on_epoch_end raised"):
        callback.on_epoch_end(0, {})
