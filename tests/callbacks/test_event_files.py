"""Event files, read back with TensorFlow's own reader."""

import math
from collections.abc import Mapping

import pytest
import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event

from job.callbacks.event_files import SUFFIX, EventFilesCallback, event_file
from job.checkpoints.fenced_files import EpochFiles
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore

NOW = 1_700_000_000.5
METRICS = [
    {"loss": 0.5, "accuracy": 0.75, "learning_rate": 0.01, "val_loss": 0.625, "val_roc_auc": 1},
    {"loss": 0.25, "accuracy": 1.0, "learning_rate": 0.01, "val_loss": 0.5, "val_roc_auc": 1},
    {"loss": 0.125, "accuracy": 1.0, "learning_rate": 0.01, "val_loss": 1.0, "val_roc_auc": 1},
]


def read(data: bytes, folder) -> list[Event]:
    """The events of a file; TensorFlow checks both checksums of every record."""
    path = folder / "read.tfevents"
    path.write_bytes(data)
    records = tf.data.TFRecordDataset(str(path))
    return [Event.FromString(record.numpy()) for record in records]


def scalars(events: list[Event]) -> list[tuple[int, str, float]]:
    return [(one.step, v.tag, v.simple_value) for one in events for v in one.summary.value]


class Run:
    """A run with event files in a store."""

    def __init__(self, store: MemoryStore, history: list[Mapping[str, float]]):
        self.store, self.history = store, list(history)
        held = acquired(store, name=f"attempt-{len(store.list(''))}").files
        files = {
            part: EpochFiles(
                held,
                directory=f"events/{part}",
                keep=None,
                key="callbacks.event_files",
                suffix=SUFFIX,
            )
            for part in ("train", "validation")
        }
        self.callback = EventFilesCallback(
            files, history=lambda: self.history, clock=lambda: NOW
        )
        self.callback.on_state_ready()

    def end_epoch(self) -> None:
        epoch = len(self.history)
        self.history.append(METRICS[epoch])  # as the loop does, before its hooks
        self.callback.on_epoch_end(epoch, METRICS[epoch])

    def steps(self, part: str, folder, tag: str = "epoch_loss") -> list[tuple[int, float]]:
        found = []
        for one in self.store.list(f"events/{part}/"):
            events = read(self.store.read(one.name).data, folder)
            found += [(step, value) for step, name, value in scalars(events) if name == tag]
        return found


def test_a_file_begins_with_the_version_and_holds_the_scalars_of_one_step(tmp_path):
    data = event_file({"epoch_loss": 0.5, "epoch_bad": math.nan}, step=7, now=NOW)
    first, second = read(data, tmp_path)
    assert first.file_version == "brain.Event:2"
    assert first.wall_time == second.wall_time == NOW
    (loss, bad) = scalars([second])
    assert loss == (7, "epoch_loss", 0.5)
    assert bad[:2] == (7, "epoch_bad")
    assert math.isnan(bad[2])


def test_the_bytes_are_those_that_tensorflow_writes(tmp_path):
    path = str(tmp_path / "theirs")
    with tf.io.TFRecordWriter(path) as writer:
        for event in read(event_file({"a": 1.5}, step=1, now=NOW), tmp_path):
            writer.write(event.SerializeToString(deterministic=True))
    with open(path, "rb") as file:
        assert file.read() == event_file({"a": 1.5}, step=1, now=NOW)


def test_training_and_validation_are_two_folders_with_the_same_tags(tmp_path):
    run = Run(MemoryStore(), [])
    for _ in METRICS:
        run.end_epoch()
    assert run.steps("train", tmp_path) == [(0, 0.5), (1, 0.25), (2, 0.125)]
    assert run.steps("validation", tmp_path) == [(0, 0.625), (1, 0.5), (2, 1.0)]
    assert run.steps("train", tmp_path, "epoch_learning_rate")[0] == (0, pytest.approx(0.01))
    assert [step for step, _ in run.steps("validation", tmp_path, "epoch_roc_auc")] == [0, 1, 2]


def test_a_resumed_run_has_every_step_once(tmp_path):
    store = MemoryStore()
    first = Run(store, [])
    for _ in METRICS:
        first.end_epoch()
    # The newest commit is that of epoch 1; the second epoch turns out otherwise.
    second = Run(store, METRICS[:1])
    assert second.steps("train", tmp_path) == [(0, 0.5)]
    second.end_epoch()
    assert second.steps("train", tmp_path) == [(0, 0.5), (1, 0.25)]


def test_epochs_without_files_get_them_when_training_goes_on(tmp_path):
    run = Run(MemoryStore(), METRICS[:2])  # as if they had been turned on now
    assert run.steps("train", tmp_path) == [(0, 0.5), (1, 0.25)]
    assert run.steps("validation", tmp_path) == [(0, 0.625), (1, 0.5)]
