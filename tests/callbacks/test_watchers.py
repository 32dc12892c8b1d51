"""The callbacks that only tell: metrics and progress."""

import logging
from types import SimpleNamespace

import keras
import pytest
from prometheus_client import CollectorRegistry

from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import TrainCall
from job.callbacks.progress import ProgressCallback
from job.callbacks.prometheus import MetricsCallback
from job.config.training import LinearScheduleConfig
from job.models.learning_rate import RateSchedule
from job.telemetry.progress_reporter import ProgressReporter
from job.telemetry.run_metrics import RunMetrics
from job.telemetry.terminal import Terminal
from job.types import Position

EPOCH = {
    "accuracy": 0.75,
    "learning_rate": 0.01,
    "loss": 0.5,
    "val_loss": 0.6,
    "val_roc_auc": 0.9,
}


class Watched:
    """Both callbacks on a made-up run with its own registry and clock."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.rate, self.now, self.nonfinite = 0.01, 0.0, 0
        self.iterations = 0
        self.position = Position()
        metrics = RunMetrics(self.registry, run="r")
        best = BestEpoch("val_loss")
        best.update(0, EPOCH, global_step=4)
        stopping = keras.callbacks.EarlyStopping(patience=3)
        stopping.wait = 2
        self.metrics = MetricsCallback(
            metrics,
            set_phase=metrics.set_phase,
            position=lambda: self.position,
            best=best,
            pairs_per_step=8,
            target_steps=20,
            nonfinite_steps=lambda: self.nonfinite,
            early_stopping=stopping,
        )
        reporter = ProgressReporter(
            every_seconds=10,
            total_steps=20,
            total_epochs=5,
            terminal=Terminal(None, has_bar=False),
            clock=lambda: self.now,
        )
        self.progress = ProgressCallback(
            reporter,
            metrics=metrics,
            position=lambda: self.position,
            best=best,
            pairs_per_step=8,
            epochs=5,
        )
        value = SimpleNamespace(numpy=lambda: self.rate)
        steps = SimpleNamespace(numpy=lambda: self.iterations)
        optimizer = SimpleNamespace(
            learning_rate=SimpleNamespace(value=value), iterations=SimpleNamespace(value=steps)
        )
        self.model = SimpleNamespace(optimizer=optimizer, stop_training=False)
        for callback in (self.metrics, self.progress):
            callback.set_model(self.model)
            callback.on_train_begin()
            callback.on_state_ready()

    def call(self, steps, seconds):
        self.now += seconds or 0.0
        self.position = self.position.advanced(steps)
        means = {"loss": 0.7, "accuracy": 0.6}
        for callback in (self.metrics, self.progress):
            callback.on_call_end(TrainCall(steps, seconds, means, may_save=True))

    def end_epoch(self):
        self.position = Position(1, 0, 4)
        for callback in (self.metrics, self.progress):
            callback.on_epoch_end(0, dict(EPOCH))

    def sample(self, name, **labels):
        return self.registry.get_sample_value(f"siamese_{name}", {"run": "r", **labels})


@pytest.fixture
def watched():
    return Watched()


def test_steps_and_pairs_are_counted_and_the_compiling_call_is_not_timed(watched):
    watched.call(1, seconds=None)
    watched.call(3, seconds=0.6)
    assert watched.sample("train_steps_total") == 4
    assert watched.sample("train_examples_total") == 32
    assert watched.sample("train_step_duration_seconds_count") == 1
    assert watched.sample("train_step_duration_seconds_sum") == pytest.approx(0.2)
    assert watched.sample("global_step") == 4
    assert watched.sample("loss", split="train") == 0.7


def test_only_new_steps_without_a_number_are_counted(watched):
    watched.nonfinite = 2
    watched.call(4, seconds=1.0)
    watched.call(4, seconds=1.0)
    assert watched.sample("train_nonfinite_steps_total") == 2


def test_an_epoch_s_measurements_are_exported(watched):
    watched.end_epoch()
    assert watched.sample("loss", split="validation") == 0.6
    assert watched.sample("quality_ratio", split="validation", metric="roc_auc") == 0.9
    assert watched.sample("quality_ratio", split="train", metric="accuracy") == 0.75
    assert watched.sample("monitor_best_value") == 0.6
    assert watched.sample("epochs_since_improvement") == 2
    assert watched.sample("early_stopping_patience_epochs") == 3
    assert watched.sample("early_stopped") == 0
    assert watched.sample("learning_rate_reductions_total") == 0


def test_a_cut_learning_rate_and_an_early_stop_are_exported_and_logged(watched, caplog):
    watched.rate = 0.001
    watched.model.stop_training = True
    with caplog.at_level(logging.INFO):
        watched.end_epoch()
    assert watched.sample("learning_rate") == 0.001
    assert watched.sample("learning_rate_reductions_total") == 1
    assert watched.sample("early_stopped") == 1
    events = [record.message for record in caplog.records]
    assert events == ["epoch finished", "learning rate reduced", "training stops early"]


def test_a_rate_that_follows_its_schedule_is_exported_and_is_no_cut(watched, caplog):
    # Half of it after step 4 of 8, and ReduceLROnPlateau puts the variable into the logs.
    schedule = RateSchedule.of(LinearScheduleConfig(), run_steps=8)
    watched.metrics.schedule = watched.progress.schedule = schedule
    watched.iterations = 5
    watched.call(4, seconds=1.0)
    assert watched.sample("learning_rate") == pytest.approx(0.005)
    with caplog.at_level(logging.INFO):
        watched.end_epoch()
    assert watched.sample("learning_rate_reductions_total") == 0
    watched.rate = 0.004
    with caplog.at_level(logging.INFO):
        watched.end_epoch()
    assert watched.sample("learning_rate") == pytest.approx(0.002)
    assert watched.sample("learning_rate_reductions_total") == 1
    assert caplog.messages.count("learning rate reduced") == 1


def test_the_line_of_an_epoch_has_losses_first_and_the_best_last(watched, caplog):
    with caplog.at_level(logging.INFO):
        watched.end_epoch()
    fields = {
        k: v for k, v in vars(caplog.records[0]).items() if k in {*EPOCH, "best", "epoch"}
    }
    assert list(fields) == ["epoch", "loss", "accuracy", "val_loss", "val_roc_auc", "best"]
    assert str(fields["epoch"]) == "1/5"
    assert fields["best"] == "val_loss=0.6000 at epoch 1"
