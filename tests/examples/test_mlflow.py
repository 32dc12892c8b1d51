"""The callback for MLflow in docs/callbacks.md, with a server that only remembers."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from job.callbacks.callback_list import is_stateful
from job.callbacks.user import load_custom_callbacks
from job.config.callbacks import CustomCallbackConfig

PAGE = Path(__file__).parents[2] / "docs" / "callbacks.md"
ARGUMENTS = {"uri": "http://mlflow", "experiment": "typos"}


class FakeMlflow(ModuleType):
    """Has the functions that the example calls."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.logged: list[tuple[str, int, dict[str, float]]] = []
        self.active = None
        self.uri = self.experiment = ""

    def active_run(self):
        return self.active

    def set_tracking_uri(self, uri):
        self.uri = uri

    def set_experiment(self, name):
        self.experiment = name

    def start_run(self, run_id=None):
        assert self.active is None
        assert (self.uri, self.experiment) == ("http://mlflow", "typos")
        self.active = SimpleNamespace(info=SimpleNamespace(run_id=run_id or "new"))
        return self.active

    def log_metrics(self, metrics, step):
        self.logged.append((self.active.info.run_id, step, metrics))

    def end_run(self):
        self.active = None


@pytest.fixture
def mlflow(monkeypatch):
    fake = FakeMlflow()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", {**sys.modules, "mlflow": fake})
    return fake


@pytest.fixture
def load(tmp_path, mlflow):
    (source,) = re.findall(
        r"```python\n(# to_mlflow\.py\n.*?)```", PAGE.read_text(encoding="utf-8"), re.S
    )
    assert len(source.splitlines()) <= 30
    (tmp_path / "to_mlflow.py").write_text(source, encoding="utf-8")
    section = CustomCallbackConfig(target="to_mlflow:ToMlflow", arguments=ARGUMENTS)
    return lambda: load_custom_callbacks([section], folder=tmp_path)[0]


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(load, mlflow):
    first = load()
    assert is_stateful(first)
    first.on_train_begin()
    first.on_epoch_end(0, {"loss": 0.5})
    first.on_train_end()
    state = first.get_state()
    second = load()
    second.on_train_begin()  # before the state is put back
    second.set_state(state)
    second.on_epoch_end(1, {"loss": 0.25})
    second.on_train_end()
    second.on_train_end()
    assert mlflow.logged == [("new", 0, {"loss": 0.5}), ("new", 1, {"loss": 0.25})]
    assert mlflow.active is None
