from job.callbacks.best_epoch import BestEpoch
from job.callbacks.callback_list import TrainCall
from job.callbacks.checkpoint import CheckpointCallback
from job.checkpoints.policy import SavePolicy
from job.checkpoints.records import Best
from job.types import Position


class Run:
    """A made-up training: its position, and what it was asked to save."""

    def __init__(self, *, every_steps, global_step=0):
        self.step = global_step
        self.saves = []
        self.waits = 0
        self.callback = CheckpointCallback(
            self,
            policy=SavePolicy(every_steps),
            position=lambda: Position(0, self.step, self.step),
            best=BestEpoch("val_loss"),
        )

    def snapshot(self):
        return self.step

    def save(self, snapshot, *, metrics, best):
        self.saves.append((snapshot, metrics, best))

    def wait(self):
        self.waits += 1

    def call(self, step, *, may_save=True):
        steps, self.step = step - self.step, step
        self.callback.on_call_end(TrainCall(steps, 0.1, {"loss": 0.5}, may_save))

    def epoch(self, step, val_loss):
        self.step = step
        self.callback.on_epoch_end(0, {"loss": 0.5, "val_loss": val_loss})


def test_saves_at_multiples_of_the_step_count_only():
    run = Run(every_steps=10)
    for step in (4, 9, 10, 14, 20, 23):
        run.call(step)
    assert [step for step, _, _ in run.saves] == [10, 20]


def test_a_restart_saves_where_an_undisturbed_run_would():
    run = Run(every_steps=10, global_step=13)
    for step in (14, 19, 20):
        run.call(step)
    assert [step for step, _, _ in run.saves] == [20]


def test_an_epoch_s_end_is_always_saved_and_marked_when_it_is_the_best():
    run = Run(every_steps=100)
    run.epoch(5, 0.4)
    run.epoch(10, 0.6)
    (_, first, best), (_, _, none) = run.saves
    assert first["val_loss"] == 0.4
    assert best == Best(step=5, epoch=1, monitor="val_loss", value=0.4)
    assert none is None


def test_nothing_is_saved_where_the_epoch_s_end_follows_or_the_run_has_diverged():
    run = Run(every_steps=10)
    run.call(10, may_save=False)
    assert run.saves == []


def test_the_best_epoch_survives_a_restart():
    before, after = Run(every_steps=100), Run(every_steps=100, global_step=5)
    before.epoch(5, 0.4)
    after.callback.set_state(before.callback.get_state())
    after.epoch(10, 0.6)
    assert after.saves[0][2] is None


def test_the_end_of_training_waits_until_saves_are_durable():
    run = Run(every_steps=10)
    run.callback.on_train_end()
    assert run.waits == 1
