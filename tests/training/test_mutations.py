"""With the grid of hooks or the order of a restore disabled, a test of this folder fails."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from job.run import checkpointer
from job.training import grid, loop
from job.training.grid import HookGrid
from job.training.loop import TrainingLoop
from job.training.state import TrainState
from tests.mutations import Mutation, check_noticed, setting
from tests.training import test_steering_callbacks

KILLED = partial(
    test_steering_callbacks.test_a_run_stopped_or_killed_anywhere_ends_in_the_same_bits,
    kills=True,
)
SPEED = test_steering_callbacks.test_neither_speed_nor_saves_move_a_hook


_PUT_BACK = TrainingLoop._put_back


@dataclass(frozen=True)
class GridFrom(HookGrid):
    """Blocks count from a step that is not 0."""

    first: int = 0

    def begin(self, step: int) -> int:
        return max(0, step - (step - self.first) % self.block_steps)


def grid_from_here(
    self: TrainingLoop, state: TrainState, *, put_back: Callable[[], None]
) -> None:
    self._grid = GridFrom(
        self._grid.block_steps, self._grid.steps_in_epoch, state.position.step_in_epoch
    )
    _PUT_BACK(self, state, put_back=put_back)


def hooks_after_put_back(
    self: TrainingLoop, state: TrainState, *, put_back: Callable[[], None]
) -> None:
    put_back()
    _PUT_BACK(self, state, put_back=lambda: None)


def forget_that_the_epoch_has_begun(patch: pytest.MonkeyPatch) -> None:
    load = TrainState.load

    def forgetful(saved: object) -> TrainState:
        state = load(saved)
        state.epoch_begun = False
        return state

    patch.setattr(TrainState, "load", forgetful)


MUTATIONS = [
    Mutation("grid", "hooks enclose calls, wherever these end",
             setting(HookGrid, "is_edge", lambda self, step: True), SPEED),
    Mutation("grid", "begins anew in each epoch, not in each process",
             setting(TrainingLoop, "_put_back", grid_from_here), KILLED),
    Mutation("order of restore", "begin hooks first",
             setting(TrainingLoop, "_put_back", hooks_after_put_back), KILLED),
    Mutation("order of restore", "an epoch begins once", forget_that_the_epoch_has_begun,
             KILLED),
    Mutation("state", "of callbacks",
             setting(loop.CallbackList, "load_state_dict", lambda self, state, **_: None),
             KILLED),
    Mutation("state", "of random generators",
             setting(checkpointer, "write_random_state", lambda state: None), KILLED),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "CALL_SECONDS", 0.0)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_disabled_step_is_noticed(mutation: Mutation, request: pytest.FixtureRequest) -> None:
    check_noticed(mutation, request)
