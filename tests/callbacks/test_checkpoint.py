import pytest

from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import TrainCall
from job.callbacks.checkpoint import CheckpointCallback
from job.checkpoints.policy import COST_SHARE, FIRST_SECONDS, MAX_SECONDS, SavePolicy
from job.checkpoints.records import Best
from job.types import Position


class Run:
    """A made-up training: its position and clock, and what it was asked to save."""

    def __init__(self, policy, *, global_step=0, epochs=9):
        self.step = global_step
        self.finished_epochs = 0
        self.seconds = 0.0
        self.saves, self.periodic, self.polls, self.waits = [], [], 0, 0
        self.save_cost_seconds = None
        self.callback = CheckpointCallback(
            self,
            policy=policy,
            position=lambda: Position(self.finished_epochs, self.step, self.step),
            epochs=epochs,
            best=BestEpoch("val_loss"),
            now=lambda: self.seconds,
        )
        self.callback.set_model(self)
        self.callback.on_state_ready()

    stop_training = False

    def save(self, *, metrics, best):
        self.saves.append((self.step, metrics, best))

    def save_if_idle(self, *, metrics):
        self.periodic.append(self.step)

    def poll(self):
        self.polls += 1

    def wait(self):
        self.waits += 1

    def call(self, step, *, may_save=True, seconds=0.0):
        steps, self.step = step - self.step, step
        self.seconds += seconds
        self.callback.on_call_end(TrainCall(steps, 0.1, {"loss": 0.5}, may_save))

    def epoch(self, step, val_loss):
        self.step = step
        self.finished_epochs += 1
        self.callback.on_epoch_end(0, {"loss": 0.5, "val_loss": val_loss})


def test_saves_at_multiples_of_the_step_count_only():
    run = Run(SavePolicy(every_steps=10))
    for step in (4, 9, 10, 14, 20, 23):
        run.call(step)
    assert run.periodic == [10, 20]
    assert run.polls == 6


def test_a_restart_saves_where_an_undisturbed_run_would():
    run = Run(SavePolicy(every_steps=10), global_step=13)
    for step in (14, 19, 20):
        run.call(step)
    assert run.periodic == [20]


def test_saves_so_many_seconds_after_the_save_before():
    run = Run(SavePolicy(every_seconds=5.0))
    for step in range(1, 8):
        run.call(step, seconds=2.0)
    assert run.periodic == [3, 6]


@pytest.mark.parametrize(
    ("cost_seconds", "interval"),
    [(None, FIRST_SECONDS), (3.0, 3.0 / COST_SHARE), (1000.0, MAX_SECONDS)],
)
def test_without_a_setting_the_interval_follows_from_the_measured_cost(cost_seconds, interval):
    run = Run(SavePolicy())
    run.save_cost_seconds = cost_seconds
    run.call(1, seconds=interval - 1.0)
    assert run.periodic == []
    run.call(2, seconds=1.0)
    assert run.periodic == [2]


def test_the_best_epoch_and_the_last_one_are_saved_in_any_case():
    run = Run(SavePolicy(), epochs=3)
    run.epoch(5, 0.4)
    run.epoch(10, 0.6)
    run.epoch(15, 0.7)
    assert [(step, best) for step, _, best in run.saves] == [
        (5, Best(step=5, epoch=1, monitor="val_loss", value=0.4)),
        (15, None),
    ]
    assert run.saves[0][1] == {"loss": 0.5, "val_loss": 0.4}
    assert run.periodic == []


def test_an_epoch_that_ends_training_early_is_saved():
    run = Run(SavePolicy())
    run.epoch(5, 0.4)
    run.stop_training = True
    run.epoch(10, 0.6)
    assert [step for step, _, _ in run.saves] == [5, 10]


def test_steps_that_decide_also_save_the_end_of_each_epoch():
    run = Run(SavePolicy(every_steps=100))
    run.epoch(5, 0.4)
    run.epoch(10, 0.6)
    assert run.periodic == [10]


def test_nothing_is_saved_where_the_epoch_s_end_follows_or_the_run_has_diverged():
    run = Run(SavePolicy(every_steps=10))
    run.call(10, may_save=False)
    assert (run.saves, run.periodic) == ([], [])


def test_the_end_of_training_waits_for_the_save_in_flight():
    run = Run(SavePolicy())
    run.callback.on_train_end()
    assert run.waits == 1


def test_the_best_epoch_survives_a_restart():
    before, after = Run(SavePolicy()), Run(SavePolicy(), global_step=5)
    before.epoch(5, 0.4)
    after.callback.set_state(before.callback.get_state())
    after.epoch(10, 0.6)
    assert after.saves == []
