import numpy as np
import pytest

from job.checkpoints.serialization import RunState
from job.training.state import TrainState
from job.types import Position


def measured(*losses):
    loss = np.array(losses, np.float32)
    return {"loss": loss, "correct": np.full(len(losses), 3, np.float32), "pairs_per_step": 4}


def test_running_means_are_over_pairs_and_do_not_depend_on_grouping():
    together, apart = TrainState(), TrainState()
    together.add_steps(**measured(0.1, 0.2, 0.7))
    for loss in (0.1, 0.2, 0.7):
        apart.add_steps(**measured(loss))
    assert together.sums == apart.sums
    assert together.running_means() == pytest.approx({"loss": 1 / 3, "accuracy": 0.75})
    assert together.position == Position(epoch=0, step_in_epoch=3, global_step=3)


def test_an_epoch_s_end_starts_the_sums_anew_and_keeps_the_step_count():
    state = TrainState(epoch_begun=True)
    state.add_steps(**measured(0.5, 0.5))
    state.end_epoch({"loss": 0.5})
    assert state.sums == {}
    assert not state.epoch_begun
    assert state.running_means() == {}
    assert state.history == [{"loss": 0.5}]
    assert state.position == Position(epoch=1, step_in_epoch=0, global_step=2)


def test_steps_whose_loss_is_not_finite_are_counted_once():
    state = TrainState()
    state.add_steps(**measured(0.5, np.nan, np.inf))
    state.add_steps(**measured(0.5))
    assert state.nonfinite_steps == 2


def test_a_state_continues_from_its_snapshot_and_does_not_change_it():
    state = TrainState(seconds=1.5, stop_reason="EarlyStopping", epoch_begun=True)
    state.add_steps(**measured(0.5))
    state.end_epoch({"loss": 0.5})
    state.add_steps(**measured(0.25))
    saved = RunState(variables={}, callbacks={}, **state.state_dict())
    loaded = TrainState.load(saved)
    assert loaded == state
    loaded.add_steps(**measured(9.0))
    loaded.end_epoch({"loss": 9.0})
    assert TrainState.load(saved) == state
