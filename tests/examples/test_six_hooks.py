"""The example of a callback that uses all six hooks, as a configuration beside it loads it."""

import json
import logging
import sys
from pathlib import Path

import keras
import pytest

from job.callbacks.callback_list import is_stateful
from job.callbacks.user import load_custom_callbacks
from job.config.callbacks import CustomCallbackConfig

EXAMPLES = Path(__file__).parents[2] / "examples"
HOOKS = (
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_end",
    "on_train_end",
)


@pytest.fixture
def timekeeper(monkeypatch):
    """The class, found as `siamese-job train` finds it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    section = CustomCallbackConfig(target="six_hooks:Timekeeper")
    (callback,) = load_custom_callbacks([section], folder=EXAMPLES)
    return type(callback)


class Run:
    """A made-up process that calls the hooks in the order of the training loop."""

    def __init__(self, timekeeper, *, epoch=None, memory=None):
        self.now = 1_000.0
        self.callback = timekeeper(clock=lambda: self.now)
        self.hooks = keras.callbacks.CallbackList([self.callback], add_history=False)
        self.hooks.on_train_begin()
        if memory is not None:
            self.hooks.on_epoch_begin(epoch)
            self.callback.set_state(memory)

    def call(self, first, last, *, seconds, before=0.0):
        self.now += before
        self.hooks.on_train_batch_begin(first)
        self.now += seconds
        self.hooks.on_train_batch_end(last, {"loss": 0.7})

    def end_epoch(self, epoch, *, loss, seconds):
        self.now += seconds
        self.hooks.on_epoch_end(epoch, {"loss": loss})

    def memory(self):
        return json.loads(json.dumps(self.callback.get_state()))


def lines(caplog):
    names = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime", "taskName"}
    return [
        (record.message, {k: v for k, v in record.__dict__.items() if k not in names})
        for record in caplog.records
    ]


def test_it_uses_all_six_hooks(timekeeper):
    assert all(name in vars(timekeeper) for name in HOOKS)
    assert is_stateful(timekeeper())


def test_an_epoch_is_a_line_that_says_where_its_time_went(timekeeper, caplog):
    caplog.set_level(logging.INFO)
    run = Run(timekeeper)
    run.hooks.on_epoch_begin(0)
    run.call(0, 0, seconds=5.0, before=0.5)
    run.call(1, 16, seconds=2.0, before=0.25)
    run.end_epoch(0, loss=0.75, seconds=1.0)
    run.now += 0.125  # between epochs: nobody's
    run.hooks.on_epoch_begin(1)
    run.call(0, 15, seconds=2.0)
    run.end_epoch(1, loss=0.5, seconds=1.0)
    run.hooks.on_train_end()
    first = {"epoch": 1, "blocks": 2, "steps": 17, "training_seconds": 7.0}
    second = {"epoch": 2, "blocks": 1, "steps": 16, "training_seconds": 2.0}
    assert lines(caplog) == [
        ("epoch timed", first | {"other_seconds": 1.75, "slowest_block_seconds": 5.0}),
        (
            "epoch timed",
            second | {"other_seconds": 1.0, "slowest_block_seconds": 2.0, "loss_change": -0.25},
        ),
        ("run timed", {"epochs_begun": 2, "finished_epochs_seconds": 11.75}),
    ]


@pytest.mark.parametrize("stop_after", [0, 1, 2])
def test_an_epoch_that_a_restart_finishes_is_counted_whole(timekeeper, caplog, stop_after):
    def train(run, calls):
        for number in calls:
            run.call(4 * number, 4 * number + 3, seconds=2.0 + number)

    straight = Run(timekeeper)
    straight.hooks.on_epoch_begin(0)
    straight.end_epoch(0, loss=0.75, seconds=1.0)
    straight.hooks.on_epoch_begin(1)
    train(straight, range(stop_after))
    stopped = straight.memory()
    train(straight, range(stop_after, 3))
    caplog.set_level(logging.INFO)
    straight.end_epoch(1, loss=0.5, seconds=1.0)

    resumed = Run(timekeeper, epoch=1, memory=stopped)
    train(resumed, range(stop_after, 3))
    resumed.end_epoch(1, loss=0.5, seconds=1.0)
    expected, found = lines(caplog)
    assert found == expected
    assert found[1]["steps"] == 12
    assert resumed.memory() == straight.memory()


def test_a_run_that_begins_anew_knows_nothing_of_the_last_one(timekeeper):
    run = Run(timekeeper)
    fresh = run.memory()
    run.hooks.on_epoch_begin(0)
    run.call(0, 3, seconds=1.0)
    assert run.memory() != fresh
    run.hooks.on_train_begin()
    assert run.memory() == fresh
