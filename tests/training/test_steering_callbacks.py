"""Callbacks that steer training end in the same bits, wherever a run is stopped or killed."""

import json
import random
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from job.callbacks.best_epoch import BestEpoch
from job.callbacks.checkpoint import CheckpointCallback
from job.checkpoints.policy import SavePolicy
from job.checkpoints.serialization import state_sha256
from job.errors import PreemptedError
from job.run.checkpointer import RunCheckpointer
from job.telemetry.listener import Listeners
from job.training.signals import StopSignal
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore
from tests.training.conftest import STEPS

EPOCHS = 3
GRID_STEPS = 4  # an epoch has a block of 4 steps and one of 2


class WarmUp(keras.callbacks.Callback):
    """Raises the learning rate before each block; a block that begins twice raises it twice."""

    def on_train_batch_begin(self, batch, logs=None):
        rate = self.model.optimizer.learning_rate
        rate.assign(rate * 1.25 + 1e-4 * batch)


class Counter(keras.callbacks.Callback):
    """Counts hooks, adds noise to a weight, and remembers the rate that training began with."""

    def on_train_begin(self, logs=None):
        self.counts = {"epochs": 0, "begun": 0, "ended": 0}
        self.first_rate = float(self.model.optimizer.learning_rate.value.numpy())

    def on_epoch_begin(self, epoch, logs=None):
        self.counts["epochs"] += 1

    def on_train_batch_begin(self, batch, logs=None):
        self.counts["begun"] += 1

    def on_train_batch_end(self, batch, logs=None):
        self.counts["ended"] += 1
        self.counts["loss"] = logs["loss"]
        noise = random.random() + np.random.standard_normal()
        weight = self.model.trainable_weights[0]
        weight.assign(weight + 1e-3 * self.first_rate * noise)

    def get_state(self):
        return self.counts

    def set_state(self, state):
        self.counts = dict(state)


class KilledError(BaseException):
    """What `kill -9` does to the code that runs."""


class AfterPolls(StopSignal):
    """Arrives at a poll: before an epoch, between two calls, or in the validation."""

    def __init__(self, polls, *, kills=False):
        super().__init__()
        self.polls, self.kills = polls, kills

    @property
    def requested(self):
        self.polls -= 1
        if self.polls < 0 and self.kills:
            raise KilledError
        return self.polls < 0


def attempt(toy, store, name, *, stop=None, every_steps=100, listener=None):
    """One process; returns the result of the run, or None if it was stopped or killed."""
    run, stop = toy(), stop or AfterPolls(10_000)
    random.seed(1)
    np.random.seed(1)

    def validate():
        if stop.requested:
            raise PreemptedError("")
        return {"val_loss": float(sum(np.abs(one).sum() for one in run.weights().values()))}

    context = SimpleNamespace(listener=listener or Listeners(), stop=StopSignal(), seconds=1.0)
    manager = acquired(store, name=name, keep_last=100)
    checkpointer = RunCheckpointer(context, manager=manager, siamese=run.siamese)
    state = checkpointer.restore()
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.9 * rate),
        WarmUp(),
        Counter(),
        CheckpointCallback(
            checkpointer,
            policy=SavePolicy(every_steps),
            position=lambda: checkpointer.state.position,
            epochs=EPOCHS,
            best=BestEpoch("val_loss"),
            now=lambda: 0.0,
        ),
    ]
    loop = run.loop(
        epochs=EPOCHS,
        callbacks=callbacks,
        validate=validate,
        stop=stop,
        grid_steps=GRID_STEPS,
        every_steps=every_steps,
    )
    checkpointer.attach(loop._callbacks)
    try:
        outcome = loop.run(
            state,
            put_back=checkpointer.put_back,
            commit=lambda: checkpointer.stop("stopped", seconds_left=100.0),
        )
    except KilledError:
        return None
    finally:
        checkpointer.close()
    if outcome == "interrupted":
        return None
    snapshot = checkpointer.snapshot()
    memory = [snapshot.history, snapshot.callbacks, snapshot.random]
    return state_sha256(snapshot.variables), json.dumps(memory, sort_keys=True)


@pytest.fixture
def _single_steps(monkeypatch):
    monkeypatch.setattr("job.training.grid.CALL_SECONDS", 0.0)


POLLS = EPOCHS * (1 + STEPS + 1)  # before each epoch, step and validation


@pytest.mark.usefixtures("_single_steps")
@pytest.mark.parametrize("kills", [False, True])
def test_a_run_stopped_or_killed_anywhere_ends_in_the_same_bits(toy, kills):
    expected = attempt(toy, MemoryStore(), "straight")
    for polls in range(POLLS):
        store, stop = MemoryStore(), AfterPolls(polls, kills=kills)
        assert attempt(toy, store, "first", stop=stop, every_steps=5) is None
        assert attempt(toy, store, "second", every_steps=5) == expected, polls


@pytest.mark.usefixtures("_single_steps")
def test_a_run_stopped_at_every_step_ends_in_the_same_bits(toy):
    expected = attempt(toy, MemoryStore(), "straight")
    store = MemoryStore()
    for number in range(2 * POLLS):
        # A poll before the epoch and one before the step it may take; then validation's.
        result = attempt(toy, store, f"process-{number}", stop=AfterPolls(2))
        if result is not None:
            break
    assert result == expected
    assert number > EPOCHS * (STEPS - 1)


def test_neither_speed_nor_saves_move_a_hook(toy, monkeypatch):
    results = []
    for call_seconds, every_steps in ((0.0, 100), (1e9, 100), (1e9, 3), (0.0, 1)):
        monkeypatch.setattr("job.training.grid.CALL_SECONDS", call_seconds)
        results.append(attempt(toy, MemoryStore(), "a", every_steps=every_steps))
    assert results == [results[0]] * 4


def test_the_last_step_of_an_epoch_is_saved_once(toy):
    saved = []
    heard = SimpleNamespace(checkpoint_saved=lambda step, **_: saved.append(step))
    attempt(toy, MemoryStore(), "a", every_steps=3, listener=Listeners(heard))
    assert saved == [3, 6, 9, 12, 15, 18]
