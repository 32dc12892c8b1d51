import json

import keras
import numpy as np
import pytest

from job.callbacks.callback_list import RunCallback
from job.errors import ConfigError, DivergedError, PreemptedError
from job.training.signals import StopSignal
from job.training.state import TrainState, write_variables
from job.types import Position
from tests.training.conftest import BATCH, STEPS


class Recorder(keras.callbacks.Callback):
    """Notes every hook with its arguments."""

    def __init__(self, on_step=None):
        super().__init__()
        self.calls = []
        self.on_step = on_step

    def on_train_begin(self, logs=None):
        self.calls.append("train_begin")

    def on_train_end(self, logs=None):
        self.calls.append("train_end")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch_begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch_end", epoch, dict(logs)))

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(("batch_begin", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("batch_end", batch))
        if self.on_step:
            self.on_step(batch)

    def named(self, name):
        return [call for call in self.calls if call[0] == name]


def carried(loop):
    """Puts the state of an earlier loop's callbacks into a later loop, by way of JSON."""
    before = loop._callbacks
    state, reason = json.dumps(before.state_dict()), before.stop_reason

    def into(later):
        return lambda: later._callbacks.load_state_dict(json.loads(state), stop_reason=reason)

    return into


def same(first, second):
    return first.keys() == second.keys() and all(
        np.array_equal(first[key], second[key]) for key in first
    )


def test_training_visits_every_epoch_and_calls_the_hooks_of_keras_in_order(toy):
    recorder = Recorder()
    outcome, state = toy().train(
        epochs=2, callbacks=[recorder], validate=lambda: {"val_loss": 0.5}
    )
    assert outcome == "finished"
    assert state.position == Position(epoch=2, step_in_epoch=0, global_step=2 * STEPS)
    assert recorder.calls[0] == "train_begin"
    assert recorder.calls[-1] == "train_end"
    assert [call[1] for call in recorder.named("epoch_end")] == [0, 1]
    ends = [call[1] for call in recorder.named("batch_end")]
    assert ends[-1] == STEPS - 1
    assert len(ends) == len(recorder.named("batch_begin"))


def test_logs_are_plain_floats_under_the_names_of_keras(toy):
    recorder = Recorder()
    toy().train(epochs=1, callbacks=[recorder], validate=lambda: {"val_loss": 0.5})
    (_, _, logs), *_ = recorder.named("epoch_end")
    assert set(logs) == {"loss", "accuracy", "val_loss", "learning_rate"}
    assert all(type(value) is float for value in logs.values())


def test_loss_falls_on_a_task_that_can_be_learned(toy):
    _, state = toy(learning_rate=0.03).train(epochs=100)
    assert state.history[-1]["loss"] < 0.5 * state.history[0]["loss"]


def test_grouping_steps_into_calls_never_changes_a_weight(toy):
    results = []
    for grid_steps in (1, 4, 16):
        run = toy()
        _, state = run.train(epochs=3, grid_steps=grid_steps)
        results.append((run.weights(), state.history))
    assert all(same(results[0][0], weights) for weights, _ in results)
    assert all(history == results[0][1] for _, history in results)


class Measurements(RunCallback):
    """Notes the validations inside epochs."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_validation(self, measured):
        self.found.append(dict(measured))


def test_validation_inside_epochs_is_for_observers_and_changes_nothing(toy):
    undisturbed = toy()
    _, expected = undisturbed.train(epochs=2, validate=lambda: {"val_loss": 0.5})
    measured, notes, steps = toy(), Measurements(), []

    def validate():
        steps.append(state.position.global_step)
        return {"val_loss": 0.5}

    state = TrainState()
    loop = measured.loop(epochs=2, callbacks=[notes], validate=validate, validate_every=3)
    loop.run(state)
    ends = [STEPS, 2 * STEPS]
    assert steps == sorted({*range(3, 2 * STEPS, 3), *ends})
    assert len(notes.found) == len(steps) - len(ends)
    assert state.history == expected.history
    assert same(measured.weights(), undisturbed.weights())


def test_a_signal_during_a_validation_inside_an_epoch_stops_at_its_step(toy):
    state = TrainState()

    def validate():
        raise PreemptedError("stopped")

    loop = toy().loop(epochs=1, callbacks=[], validate=validate, validate_every=2)
    assert loop.run(state) == "interrupted"
    assert state.position.global_step == 2


@pytest.mark.parametrize("stop_after", [1, 3, STEPS, STEPS + 2, 3 * STEPS - 1])
def test_a_run_stopped_at_any_step_and_restored_ends_in_the_same_bits(toy, stop_after):
    straight = toy()
    _, whole = straight.train(epochs=3)
    expected = straight.weights()

    first, stop = toy(), StopSignal()

    def pull(_):
        if state.position.global_step >= stop_after:
            stop._receive(15, None)

    state = TrainState()
    loop = first.loop(
        epochs=3, callbacks=[Recorder(pull)], stop=stop, grid_steps=1, every_steps=1
    )
    assert loop.run(state) == "interrupted"
    assert state.position.global_step == stop_after

    saved = first.weights()
    second = toy()
    write_variables(second.siamese.variables(), saved)
    restored = TrainState(
        state.position, json.loads(json.dumps(state.sums)), list(state.history)
    )
    outcome, resumed = second.train(restored, epochs=3)
    assert outcome == "finished"
    assert same(second.weights(), expected)
    assert resumed.history == whole.history


def test_a_signal_during_validation_leaves_the_epoch_open_and_nothing_is_lost(toy):
    straight = toy()
    _, whole = straight.train(epochs=1, validate=lambda: {"val_loss": 1.0})
    expected = straight.weights()
    run, stop, state = toy(), StopSignal(), TrainState()

    def interrupted_validation():
        stop._receive(15, None)
        stop.raise_if_requested()

    loop = run.loop(epochs=1, validate=interrupted_validation, stop=stop)
    assert loop.run(state) == "interrupted"
    assert state.position == Position(epoch=0, step_in_epoch=STEPS, global_step=STEPS)
    assert state.history == []
    run.loop(epochs=1, validate=lambda: {"val_loss": 1.0}).run(state)
    assert state.history == whole.history
    assert same(run.weights(), expected)


@pytest.mark.parametrize(
    ("position", "epoch_begun", "before", "after"),
    [
        (Position(1, 0, STEPS), False, [], [("epoch_begin", 1), ("batch_begin", 0)]),
        (Position(1, 0, STEPS), True, [("epoch_begin", 1)], [("batch_begin", 0)]),
        (
            Position(0, 2, 2),
            True,
            [("epoch_begin", 0), ("batch_begin", 0)],
            [("batch_end", 3), ("batch_begin", 4)],
        ),
        (Position(0, 4, 4), True, [("epoch_begin", 0)], [("batch_begin", 4)]),
        (
            Position(0, STEPS - 1, STEPS - 1),
            True,
            [("epoch_begin", 0), ("batch_begin", 4)],
            [("batch_end", STEPS - 1), ("epoch_end", 0)],
        ),
        (Position(0, STEPS, STEPS), True, [("epoch_begin", 0)], [("epoch_end", 0)]),
    ],
)
def test_state_is_put_back_after_the_begin_hooks_of_what_is_under_way(
    toy, position, epoch_begun, before, after
):
    recorder = Recorder()
    state = TrainState(position, epoch_begun=epoch_begun)
    if position.step_in_epoch:
        state.sums = {"loss": 1.0, "correct": 1.0, "pairs": 2.0}
    loop = toy().loop(callbacks=[recorder], grid_steps=4)
    loop.run(state, put_back=lambda: recorder.calls.append("put back"))
    calls = [call[:2] if isinstance(call, tuple) else call for call in recorder.calls]
    begun = ["train_begin", *before, "put back"]
    assert calls[: len(begun)] == begun
    assert calls[len(begun) :][: len(after)] == after


def test_a_stop_is_noticed_before_the_next_epoch_begins(toy):
    recorder, stop, state = Recorder(), StopSignal(), TrainState()
    stop._receive(15, None)
    assert toy().loop(callbacks=[recorder], stop=stop).run(state) == "interrupted"
    assert recorder.calls == ["train_begin", "train_end"]
    assert not state.epoch_begun


def test_a_loss_that_is_not_finite_ends_its_block_and_is_not_saved(toy):
    class Calls(RunCallback):
        def __init__(self):
            super().__init__()
            self.calls = []

        def on_call_end(self, call):
            self.calls.append((call.steps, call.may_save))

    recorder, calls = Recorder(), Calls()
    nan = keras.callbacks.TerminateOnNaN()
    with pytest.raises(DivergedError, match="at step 2 "):
        # The first two calls of a process have one step each.
        toy(learning_rate=1e38).train(callbacks=[nan, recorder, calls], grid_steps=4)
    assert recorder.named("batch_end") == [("batch_end", 1)]
    assert calls.calls == [(1, True), (1, False)]


def test_early_stopping_continues_counting_after_a_restart(toy):
    def worse_every_epoch():
        values = iter(np.linspace(0.1, 1.0, 20))
        return lambda: {"val_loss": float(next(values))}

    def stopping():
        return keras.callbacks.EarlyStopping("val_loss", mode="min", patience=4)

    straight_outcome, straight = toy().train(
        epochs=20, callbacks=[stopping()], validate=worse_every_epoch()
    )
    run, state, validate = toy(), TrainState(), worse_every_epoch()
    first = run.loop(epochs=3, callbacks=[stopping()], validate=validate)
    assert first.run(state) == "finished"
    put_back = carried(first)
    second = run.loop(epochs=20, callbacks=[stopping()], validate=validate)
    outcome = second.run(state, put_back=put_back(second))
    assert straight_outcome == outcome == "stopped_early"
    assert state.position.epoch == straight.position.epoch == 5
    assert second._callbacks.stop_reason == "EarlyStopping"


def test_a_stop_decided_before_the_restart_still_applies_and_more_patience_lifts_it(toy):
    def stopping(patience):
        return [keras.callbacks.EarlyStopping("val_loss", mode="min", patience=patience)]

    constant = {"validate": lambda: {"val_loss": 1.0}}
    run, state = toy(), TrainState()
    first = run.loop(epochs=9, callbacks=stopping(2), **constant)
    assert first.run(state) == "stopped_early"
    assert state.stop_reason == "EarlyStopping"
    stopped_at, put_back = state.position, carried(first)
    again = run.loop(epochs=9, callbacks=stopping(2), **constant)
    assert again.run(state, put_back=put_back(again)) == "stopped_early"
    assert state.position == stopped_at
    patient = run.loop(epochs=9, callbacks=stopping(4), **constant)
    assert patient.run(state, put_back=put_back(patient)) == "stopped_early"
    assert state.position.epoch == stopped_at.epoch + 2


def test_plateau_cuts_the_learning_rate_at_the_same_epoch_after_a_restart(toy):
    def plateau():
        return [keras.callbacks.ReduceLROnPlateau("val_loss", mode="min", patience=2)]

    constant = {"validate": lambda: {"val_loss": 1.0}}
    _, straight = toy().train(epochs=5, callbacks=plateau(), **constant)
    run, state = toy(), TrainState()
    first = run.loop(epochs=2, callbacks=plateau(), **constant)
    first.run(state)
    put_back = carried(first)
    second = run.loop(epochs=5, callbacks=plateau(), **constant)
    second.run(state, put_back=put_back(second))
    rates = [epoch["learning_rate"] for epoch in state.history]
    assert rates == [epoch["learning_rate"] for epoch in straight.history]
    assert rates[-1] < rates[0]


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(toy):
    run, recorder = toy(learning_rate=1e38), Recorder()
    with pytest.raises(DivergedError, match=r"at step \d+ \(epoch 1\).*learning_rate"):
        run.train(callbacks=[keras.callbacks.TerminateOnNaN(), recorder])
    assert recorder.calls[-1] == "train_end"


def test_without_terminate_on_nan_training_continues(toy):
    outcome, state = toy(learning_rate=1e38).train(epochs=2)
    assert outcome == "finished"
    assert np.isnan(state.history[-1]["loss"])


def test_a_callback_that_stops_inside_an_epoch_ends_that_epoch(toy):
    class Stopper(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    outcome, state = toy().train(callbacks=[Stopper()], validate=lambda: {"val_loss": 1.0})
    assert outcome == "stopped_early"
    assert state.position == Position(epoch=1, step_in_epoch=0, global_step=4)  # one block


def test_callbacks_are_closed_after_an_error(toy):
    def fail(_):
        raise RuntimeError("disk on fire")

    recorder = Recorder(fail)
    with pytest.raises(RuntimeError, match="disk on fire"):
        toy().train(callbacks=[recorder])
    assert recorder.calls[-1] == "train_end"


def test_replicas_must_share_the_batch_equally(toy):
    class TwoPlusOne:
        num_replicas_in_sync = 3

    run = toy()
    with pytest.raises(ConfigError, match=rf"{BATCH} does not divide by the 3 replicas"):
        type(run.step)(run.siamese, strategy=TwoPlusOne(), global_batch_size=BATCH)
