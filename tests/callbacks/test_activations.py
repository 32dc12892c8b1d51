import io
import logging

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from job.callbacks.activations import DIRECTORY, ActivationsCallback, require_layers
from job.checkpoints.fenced_files import EpochFiles
from job.errors import ConfigError, FencedError
from job.telemetry.listener import Listeners
from job.telemetry.run_metrics import RunMetrics
from job.types import Position
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore

ACTIVATIONS = {
    "encoder/lstm/left": np.array([[0, 3]], np.float32),
    "encoder/lstm/right": np.array([[-4, 0]], np.float32),
    "score": np.array([[0.25]], np.float32),
}


class Logged:
    """The callback on a made-up run with its own store, registry and clock."""

    def __init__(self, store=None, *, attempt="a", position=None, metric_layers=()):
        self.store = store or MemoryStore()
        self.registry = CollectorRegistry()
        self.position = position or Position()
        self.now = 0.0
        self.probed = 0
        manager = acquired(self.store, name=attempt)
        self.callback = ActivationsCallback(
            probe=self.probe,
            files=EpochFiles(manager.files, directory=DIRECTORY, keep=3, key="keep_epochs"),
            listener=Listeners(RunMetrics(self.registry, run="r", clock=lambda: self.now)),
            metric_layers=metric_layers,
            position=lambda: self.position,
            clock=lambda: self.now,
        )

    def probe(self):
        self.probed += 1
        self.now += 1.5
        return ACTIVATIONS

    def files(self):
        return [listed.name for listed in self.store.list(f"{DIRECTORY}/")]

    def sample(self, name, **labels):
        return self.registry.get_sample_value(f"siamese_{name}", {"run": "r", **labels})


def test_an_epoch_leaves_a_file_that_opens_without_pickle():
    run = Logged()
    run.callback.on_epoch_end(0)
    assert run.files() == ["activations/epoch-0001.npz"]
    data = run.store.read("activations/epoch-0001.npz").data
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        assert file.files == list(ACTIVATIONS)
        for name, values in ACTIVATIONS.items():
            np.testing.assert_array_equal(file[name], values)
            assert file[name].dtype == np.float32


def test_the_log_says_which_file_how_large_and_how_long_it_took(caplog):
    run = Logged()
    with caplog.at_level(logging.INFO):
        run.callback.on_epoch_end(6)
    (record,) = (one for one in caplog.records if one.message == "activations written")
    assert (record.epoch, record.file) == (7, "activations/epoch-0007.npz")
    assert record.bytes == len(run.store.read(record.file).data)
    assert record.seconds == 1.5


def test_an_epoch_that_is_trained_again_leaves_the_same_bytes():
    run = Logged()
    run.callback.on_epoch_end(0)
    first = run.store.read("activations/epoch-0001.npz")
    run.callback.on_epoch_end(0)
    second = run.store.read("activations/epoch-0001.npz")
    assert first.data == second.data
    assert first.generation != second.generation


def test_only_the_named_layers_are_exported_and_not_before_they_are_measured():
    run = Logged(metric_layers=["encoder/lstm"])
    run.callback.on_state_ready()
    assert run.sample("activation_mean", layer="encoder/lstm") is None
    run.callback.on_epoch_end(0)
    assert run.sample("activation_mean", layer="encoder/lstm") == -0.25
    assert run.sample("activation_std", layer="encoder/lstm") == pytest.approx(99**0.5 / 4)
    assert run.sample("activation_zero_ratio", layer="encoder/lstm") == 0.5
    assert run.sample("activation_norm", layer="encoder/lstm") == 5.0
    assert run.sample("activation_mean", layer="score") is None


def test_a_written_file_is_a_sign_of_life():
    run = Logged()
    run.callback.on_epoch_end(0)
    assert run.sample("last_progress_timestamp_seconds") == 1.5


def test_a_restart_writes_the_file_that_a_killed_process_had_no_time_for():
    store = MemoryStore()
    Logged(store).callback.on_epoch_end(0)
    run = Logged(store, attempt="b", position=Position(epoch=2, global_step=20))
    run.callback.on_state_ready()
    assert run.files() == ["activations/epoch-0001.npz", "activations/epoch-0002.npz"]


@pytest.mark.parametrize(
    "position",
    [
        Position(),
        Position(epoch=1, step_in_epoch=0, global_step=10),  # its file is there
        Position(epoch=1, step_in_epoch=3, global_step=13),
        Position(epoch=4, step_in_epoch=3, global_step=43),  # of other weights by now
    ],
)
def test_a_restart_writes_nothing_else(position):
    store = MemoryStore()
    Logged(store).callback.on_epoch_end(0)
    before = store.list(f"{DIRECTORY}/")
    run = Logged(store, attempt="b", position=position)
    run.callback.on_state_ready()
    assert store.list(f"{DIRECTORY}/") == before
    assert run.probed == 0


def test_a_fenced_attempt_writes_nothing():
    store = MemoryStore()
    old = Logged(store)
    new = Logged(store, attempt="b")
    new.callback.on_epoch_end(0)
    before = store.list(f"{DIRECTORY}/")
    with pytest.raises(FencedError):
        old.callback.on_epoch_end(4)
    assert store.list(f"{DIRECTORY}/") == before


def test_an_unknown_layer_is_rejected_with_the_known_ones():
    known = ("encoder/lstm", "head/logit", "score")
    require_layers(known, known=known)
    with pytest.raises(ConfigError) as caught:
        require_layers(["score", "encoder/lstn"], known=known)
    assert str(caught.value) == (
        "callbacks.activations.metric_layers.1: the model has no layer 'encoder/lstn'. "
        "Did you mean 'encoder/lstm'? Available: encoder/lstm, head/logit, score."
    )
