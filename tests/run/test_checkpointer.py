"""What a snapshot contains, when it is committed, and what the listener hears of it."""

import random
import threading
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from job.callbacks.callback_list import CallbackList
from job.checkpoints.records import Best
from job.checkpoints.serialization import state_sha256
from job.errors import FencedError
from job.models.weight_averages import WeightAverages
from job.run.checkpointer import RunCheckpointer
from job.training.signals import StopSignal
from job.types import Position
from tests.checkpoints.fault_stores import Wrapped
from tests.checkpoints.tiny_run import acquired, head_of
from tests.fakes.memory_store import MemoryStore


class Counting(keras.callbacks.Callback):
    count = 0

    def get_state(self):
        return self.count

    def set_state(self, state):
        self.count = state


class Run:
    """A process of a made-up run with a model of two variables."""

    def __init__(self, store, *, attempt="a", weights="last", is_averaged=False):
        self.heard, averages = [], None
        self.variables = {
            "model|w": keras.Variable(np.zeros(2, np.float32)),
            "optimizer|iterations": keras.Variable(np.array(0, np.int64)),
        }
        if is_averaged:
            weight = self.variables["model|w"]
            averages = WeightAverages.of([weight], momentum=0.9)
            self.variables["model|average/w"] = averages.variables[0]
        context = SimpleNamespace(
            listener=self,
            stop=StopSignal(),
            seconds=2.0,
            config=SimpleNamespace(evaluation=SimpleNamespace(weights=weights)),
        )
        self.checkpointer = RunCheckpointer(
            context,
            manager=acquired(store, name=attempt),
            siamese=SimpleNamespace(variables=lambda: self.variables, averages=averages),
        )
        self.state = self.checkpointer.restore()
        self.callback = Counting()
        self.callbacks = CallbackList([self.callback], model=keras.Model())
        self.checkpointer.attach(self.callbacks)
        self.checkpointer.put_back()

    def __getattr__(self, event):
        return lambda *args, **facts: self.heard.append((event, *args))

    def train(self, steps):
        for variable in self.variables.values():
            variable.assign_add(np.ones_like(variable.value) * steps)
        self.state.position = self.state.position.advanced(steps)
        self.callback.count += steps

    def save(self, *, best=None):
        self.checkpointer.save(metrics={}, best=best)
        self.checkpointer.wait()

    def end_epoch_as_best(self):
        self.state.end_epoch({"val_loss": 0.5})
        position = self.state.position
        self.save(best=Best(position.global_step, position.epoch, "val_loss", 0.5))


def test_a_restart_continues_with_model_optimizer_state_and_callbacks():
    store = MemoryStore()
    first = Run(store)
    first.train(3)
    first.state.sums = {"loss": 0.5}
    first.save()
    second = Run(store, attempt="b")
    assert second.state.position == Position(0, 3, 3)
    assert second.state.sums == {"loss": 0.5}
    assert second.callback.count == 3
    assert second.variables["model|w"].numpy().tolist() == [3, 3]
    assert second.variables["optimizer|iterations"].numpy() == 3
    assert second.checkpointer.seconds == 4.0  # two seconds of either process
    assert second.heard[:2] == [("checkpoint_restored", 3), ("start_attempt", 2)]


def test_a_snapshot_does_not_change_when_training_continues():
    run = Run(MemoryStore())
    run.train(1)
    run.state.sums = {"loss": 0.5}
    snapshot = run.checkpointer.snapshot()
    run.train(4)
    run.state.sums["loss"] = 9.0
    run.state.history.append({"loss": 9.0})
    assert snapshot.position.global_step == 1
    assert (snapshot.sums, snapshot.history) == ({"loss": 0.5}, [])
    assert snapshot.variables["model|w"].tolist() == [1, 1]
    assert list(snapshot.callbacks.values()) == [1]


def test_a_callback_that_stopped_training_is_named_in_the_snapshot():
    store = MemoryStore()
    first = Run(store)
    first.train(1)
    first.callbacks._model.stop_training = True
    first.save()
    second = Run(store, attempt="b")
    assert (second.state.stop_reason, second.callbacks.stop_reason) == ("callback", "callback")


def test_a_position_is_committed_once_also_over_a_restart():
    store = MemoryStore()
    first = Run(store)
    first.train(3)
    first.save()
    first.save()
    second = Run(store, attempt="b")
    second.save()
    assert [one.step for one in head_of(store).checkpoints] == [3]
    assert [one[0] for one in first.heard + second.heard].count("checkpoint_saved") == 1


def test_the_generators_of_python_and_numpy_are_put_back():
    store = MemoryStore()
    first = Run(store)
    random.seed(1)
    np.random.seed(1)
    np.random.standard_normal()  # leaves the second of a pair of numbers behind
    first.train(1)
    first.save()
    expected = random.random(), np.random.standard_normal()
    Run(store, attempt="b")
    assert (random.random(), np.random.standard_normal()) == expected


class Held(Wrapped):
    """Lets no commit through until told."""

    def __init__(self, inner):
        super().__init__(inner)
        self.may_go, self.is_waiting = threading.Event(), threading.Event()

    def around(self, call, name, do):
        if call == "write" and name.startswith("ckpt/"):
            self.is_waiting.set()
            assert self.may_go.wait(10)
        return do()


def test_training_continues_while_a_save_is_in_flight_and_a_periodic_one_is_left_out():
    store = MemoryStore()
    held = Held(store)
    run = Run(held)
    run.train(1)
    run.checkpointer.save_if_idle(metrics={})
    assert held.is_waiting.wait(10)
    run.train(1)
    run.checkpointer.save_if_idle(metrics={})
    assert run.heard[-1] == ("checkpoint_skipped",)
    assert head_of(store).checkpoints == ()
    held.may_go.set()
    run.checkpointer.wait()
    assert [one.step for one in head_of(store).checkpoints] == [1]
    run.checkpointer.save_if_idle(metrics={})
    run.checkpointer.wait()
    assert [one.step for one in head_of(store).checkpoints][-1] == 2
    assert run.checkpointer.save_cost_seconds > 0.0


def test_a_save_that_may_not_be_left_out_waits_for_the_one_in_flight():
    store = MemoryStore()
    held = Held(store)
    run = Run(held)
    run.train(1)
    run.checkpointer.save_if_idle(metrics={})
    threading.Timer(0.05, held.may_go.set).start()
    run.train(1)
    run.save()
    assert [one[1] for one in run.heard if one[0] == "checkpoint_saved"] == [1, 2]


def test_a_save_in_flight_leaves_the_status_of_a_run_that_failed_meanwhile():
    store = MemoryStore()
    held = Held(store)
    run = Run(held)
    run.train(1)
    run.checkpointer.save_if_idle(metrics={})
    assert held.is_waiting.wait(10)
    run.checkpointer.finish("failed", "loss is NaN", facts={"exit_code": 4})
    held.may_go.set()
    run.checkpointer.close()
    head = head_of(store)
    assert [one.step for one in head.checkpoints] == [1]
    assert (head.status, head.reason) == ("failed", "loss is NaN")
    resumed = Run(store, attempt="b")
    resumed.train(1)
    resumed.save()
    assert (head_of(store).status, head_of(store).reason) == ("running", "")


def test_a_stop_commits_state_and_status_with_one_write_of_head():
    store = MemoryStore()
    run = Run(store)
    run.train(2)
    before = head_of(store).seq
    assert run.checkpointer.stop("stopped by SIGTERM", seconds_left=100.0) == 0
    head = head_of(store)
    assert (head.status, head.reason, head.seq) == (
        "preempted", "stopped by SIGTERM", before + 1,
    )  # fmt: skip
    assert [one.step for one in head.checkpoints] == [2]


def test_a_stop_without_news_only_enters_the_status():
    store = MemoryStore()
    run = Run(store)
    run.train(2)
    run.save()
    names = [one.name for one in store.list("ckpt/")]
    assert run.checkpointer.stop("stopped by SIGTERM", seconds_left=100.0) == 0
    assert head_of(store).status == "preempted"
    assert [one.name for one in store.list("ckpt/")] == names


def test_a_stop_leaves_out_a_save_that_would_take_too_long_and_says_what_is_lost():
    store = MemoryStore()
    run = Run(store)
    run.train(2)
    run.save()
    run.train(3)
    run.checkpointer._bytes_per_second = 1.0
    assert run.checkpointer.stop("stopped by SIGTERM", seconds_left=10.0) == 3
    assert [one.step for one in head_of(store).checkpoints] == [2]
    assert head_of(store).status == "preempted"


def test_a_best_checkpoint_that_cannot_be_read_leaves_the_last_weights(caplog):
    store = MemoryStore()
    run = Run(store, weights="best")
    run.train(1)
    run.end_epoch_as_best()
    run.train(2)
    run.save()
    store.delete(f"{head_of(store).best.dir}/COMMIT.json", if_generation=None)
    run.checkpointer.load_best_weights()
    assert run.variables["model|w"].numpy().tolist() == [3, 3]
    assert "best checkpoint lost" in caplog.messages


@pytest.mark.parametrize(("choice", "average"), [("best", 7.0), ("last", 9.0)])
def test_the_weights_of_a_finished_run_are_averages_if_it_has_them(choice, average):
    run = Run(MemoryStore(), weights=choice, is_averaged=True)
    run.train(1)
    run.variables["model|average/w"].assign([7.0, 7.0])
    run.end_epoch_as_best()
    run.train(2)
    run.variables["model|average/w"].assign([9.0, 9.0])
    run.save()
    last = state_sha256(run.checkpointer.snapshot().variables)
    run.checkpointer.load_best_weights()
    assert run.variables["model|w"].numpy().tolist() == [average, average]
    assert run.checkpointer.state_sha256() == last


def test_a_failed_save_is_heard_and_raised():
    store = MemoryStore()
    run = Run(store)
    run.train(1)
    acquired(store, name="b")
    with pytest.raises(FencedError):
        run.save()
    assert run.heard[-1] == ("checkpoint_failed",)


def test_the_best_weights_do_not_change_the_fingerprint_of_the_last_state():
    store = MemoryStore()
    run = Run(store, weights="best")
    run.train(1)
    run.end_epoch_as_best()
    run.train(2)
    run.save()
    last = state_sha256(run.checkpointer.snapshot().variables)
    assert not run.checkpointer.is_final
    run.checkpointer.load_best_weights()
    assert run.variables["model|w"].numpy().tolist() == [1, 1]
    assert run.variables["optimizer|iterations"].numpy() == 3
    assert run.checkpointer.is_final
    assert run.checkpointer.state_sha256() == last
