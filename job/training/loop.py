"""The training loop: epochs, calls of several steps, validation, callbacks, stops.

Every hook, save and stop in its place (`callbacks/callback_list.py` has the order)::

    on_train_begin
    on_epoch_begin(epoch)                    only a resume inside an epoch
    on_train_batch_begin(first)              only a resume inside a block
    put back the stored state                only a resume: variables, callbacks, generators
    while epoch < epochs and nobody asked to end training:
        commit and leave if a signal arrived exit code 75 or 130
        on_epoch_begin(epoch)                unless it has run
        while the epoch has steps left, and at a block's end nobody asked to end training:
            likewise
            on_train_batch_begin(first)      at a block's begin
            optimizer steps                  one call of a tf.function
            on_train_batch_end(last, logs)   at a block's end
            on_call_end                      the checkpoint callback saves if a save is due
            raise if the loss is not finite and TerminateOnNaN is active
            validate, on_validation      where evaluation.every_steps says so
        validate                             likewise
        close the epoch                      history, position
        on_epoch_end(epoch, logs)            plateau, early stopping, custom, then a save
    on_train_end                             also after an error

Batch hooks run on the grid of `training/grid.py`; calls may be shorter than its blocks.

On a resume the begin hooks run before the stored state is put back. The state already contains
what these hooks changed, so no change is made twice.

The loop trains; callbacks save, log and decide. Keras' `fit` can neither resume inside an epoch
nor run on several workers (docs/adr/0002).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import Literal, Protocol

import numpy as np

from job.callbacks.callback_list import CallbackList, TrainCall
from job.checkpoints.policy import SavePolicy
from job.data.dataset import ItemTable
from job.data.pipeline.batches import ALL, PairArrays, pair_arrays
from job.data.pipeline.collators import Collator
from job.data.pipeline.prefetch import Prefetcher, Steps
from job.data.sampling.epochs import BatchSampler
from job.errors import DivergedError, StopError
from job.training.grid import HookGrid, steps_of_call
from job.training.signals import StopSignal
from job.training.state import TrainState
from job.training.step import PreparedCall, StepResults, TrainStep

Outcome = Literal["finished", "stopped_early", "interrupted"]
Calls = Prefetcher[PairArrays, PreparedCall]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training pairs in the order they are used, and their items.

    Attributes:
        pairs: Chooses the pairs of every batch.
        feed: Collates items into arrays.
        items: The items of the dataset; their classes are read.
        global_batch_size: Pairs in one optimizer step.
        seed: Seed of the augmentation.
        threads: Batches prepared in parallel.
        max_steps: Optimizer steps in an epoch, at most; None for all whole batches.
        are_items_stored: Whether the devices hold all items, so that batches need none.
        encoded: The pairs of each batch whose items this worker encodes.
    """

    pairs: BatchSampler
    feed: Collator
    items: ItemTable
    global_batch_size: int
    seed: int
    threads: int = 1
    max_steps: int | None = None
    are_items_stored: bool = False
    encoded: slice = field(default_factory=lambda: ALL)

    @property
    def steps_in_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return min(self.pairs.num_steps, self.max_steps or self.pairs.num_steps)

    @property
    def largest_batch_bytes(self) -> int:
        """Upper bound for the size of the items of a batch."""
        item = self.feed.input
        longest = int(self.items.values.lengths.max(initial=1))
        size = math.prod(longest if length is None else length for length in item.shape)
        return 2 * self.global_batch_size * size * np.dtype(item.dtype).itemsize

    def calls(
        self, join: Callable[[Sequence[PairArrays]], PreparedCall], *, epochs: int
    ) -> Prefetcher[PairArrays, PreparedCall]:
        """The batches of all epochs, joined into calls."""
        # Threads ask for steps of two neighbouring epochs.
        epoch_of = lru_cache(maxsize=2)(self.pairs.epoch)

        def batch(epoch: int, step: int) -> PairArrays:
            return pair_arrays(
                epoch_of(epoch).batch(step),
                feed=None if self.are_items_stored else self.feed,
                items=self.items,
                seed=self.seed,
                epoch=epoch,
                encoded=self.encoded,
            )

        return Prefetcher(
            batch,
            join,
            steps_in_epoch=self.steps_in_epoch,
            epochs=epochs,
            threads=self.threads,
        )


@dataclass(frozen=True)
class Schedule:
    """How long to train, and when hooks run and saves are due.

    Attributes:
        epochs: Epochs of the whole run.
        grid_steps: Optimizer steps between two batch hooks, see `HookGrid`.
        saves: The policy of the checkpoint callback; a call ends where it saves.
        validate_every_steps: Optimizer steps between two validations inside an epoch; None if
            only its end is validated.
    """

    epochs: int
    grid_steps: int
    saves: SavePolicy
    validate_every_steps: int | None = None

    def steps_until_validation(self, global_step: int) -> int | None:
        """Steps to the next validation inside an epoch; None if there is none."""
        if self.validate_every_steps is None:
            return None
        return self.validate_every_steps - global_step % self.validate_every_steps


class Lead(Protocol):
    """What several workers do together, led by this one."""

    def announce(self, steps: Steps, *, global_step: int) -> None:
        """The next call, which ends at a step of the run."""

    def step(self, train_step: TrainStep, call: PreparedCall) -> StepResults:
        """Runs the call that was announced."""

    def share_variables(self) -> None:
        """All workers continue from the variables of this one."""


class TrainingLoop:
    """Trains until the last epoch, an early stop or a signal.

    Args:
        step: Runs optimizer steps.
        data: What they run on.
        schedule: How long and how often.
        callbacks: Keras callbacks; they receive plain floats.
        validate: Measures the model on the validation pairs, each exactly once.
        stop: Polled between calls and by `validate`.
        lead: Takes the other workers along.
    """

    def __init__(
        self,
        *,
        step: TrainStep,
        data: TrainingData,
        schedule: Schedule,
        callbacks: CallbackList,
        validate: Callable[[], Mapping[str, float]],
        stop: StopSignal,
        lead: Lead,
    ) -> None:
        self._lead = lead
        self._step = step
        self._data = data
        self._schedule = schedule
        self._callbacks = callbacks
        self._validate = validate
        self._stop = stop
        self._grid = HookGrid(schedule.grid_steps, data.steps_in_epoch)
        self._seconds_per_step: float | None = None
        self._is_traced = False

    def run(
        self,
        state: TrainState,
        *,
        put_back: Callable[[], None] = lambda: None,
        commit: Callable[[], object] = lambda: None,
    ) -> Outcome:
        """Trains from `state` on, and updates it.

        Args:
            state: Of a fresh run, or restored.
            put_back: Puts variables and callbacks into their stored state, if there is one.
            commit: Commits the state after a signal, before `on_train_end`: what that hook
                changes is no part of an unfinished run. It may raise.

        Returns:
            `finished`, `stopped_early` (a callback asked for it) or `interrupted` (a signal;
            `state` is then between two steps and can be saved).

        Raises:
            DivergedError: The loss is not finite and `TerminateOnNaN` is active.
        """
        self._callbacks.hooks.on_train_begin()
        try:
            self._put_back(state, put_back=put_back)
            with self._data.calls(self._step.prepare, epochs=self._schedule.epochs) as calls:
                if not self._run_epochs(state, calls=calls):
                    commit()
                    return "interrupted"
            state.stop_reason = self._callbacks.stop_reason
            return "stopped_early" if state.stop_reason else "finished"
        finally:
            self._callbacks.end()

    def _run_epochs(self, state: TrainState, *, calls: Calls) -> bool:
        """Trains to the last epoch or an early stop; False if a signal came first."""
        while state.position.epoch < self._schedule.epochs:
            # A stop requested inside an epoch still lets that epoch validate and end.
            if self._callbacks.stop_reason and not state.epoch_begun:
                break
            if not self._run_epoch(state, calls=calls):
                return False
        return True

    def _put_back(self, state: TrainState, *, put_back: Callable[[], None]) -> None:
        """Calls the begin hooks of the epoch and block under way, then puts the state back."""
        hooks, position = self._callbacks.hooks, state.position
        if state.epoch_begun:
            hooks.on_epoch_begin(position.epoch)
        if not self._grid.is_edge(position.step_in_epoch):
            hooks.on_train_batch_begin(self._grid.begin(position.step_in_epoch))
        put_back()
        self._lead.share_variables()
        self._callbacks.on_state_ready()

    def _run_epoch(self, state: TrainState, *, calls: Calls) -> bool:
        """Finishes the current epoch; False if a signal came first."""
        epoch = state.position.epoch
        if self._stop.requested:
            return False
        if not state.epoch_begun:
            self._callbacks.hooks.on_epoch_begin(epoch)
            state.epoch_begun = True
        while not self._are_steps_done(state.position.step_in_epoch):
            if self._stop.requested:
                return False
            self._run_call(state, calls=calls)
            if not self._validate_if_due(state):
                return False
        try:
            validation = self._validate()
        except StopError:
            return False
        logs = state.running_means() | dict(validation)
        logs["learning_rate"] = self._callbacks.learning_rate()
        state.end_epoch(logs)
        self._callbacks.hooks.on_epoch_end(epoch, logs)
        return True

    def _validate_if_due(self, state: TrainState) -> bool:
        """Measures the model inside an epoch, for observers only; False if a signal came."""
        position, every = state.position, self._schedule.validate_every_steps
        if every is None or position.global_step % every:
            return True
        if self._are_steps_done(position.step_in_epoch):
            return True  # the epoch's end is validated anyway
        try:
            measured = self._validate()
        except StopError:
            return False
        self._callbacks.on_validation(measured)
        return True

    def _are_steps_done(self, step: int) -> bool:
        """Whether the epoch has no further steps, or a callback ended it at a block's end."""
        if self._callbacks.stop_reason and self._grid.is_edge(step):
            return True
        return step == self._grid.steps_in_epoch

    def _run_call(self, state: TrainState, *, calls: Calls) -> None:
        callbacks, first = self._callbacks, state.position.step_in_epoch
        if self._grid.is_edge(first):
            callbacks.hooks.on_train_batch_begin(first)
        steps = steps_of_call(
            steps_left=self._grid.end(first) - first,
            steps_until_save=self._schedule.saves.steps_until_save(state.position.global_step),
            steps_until_validation=self._schedule.steps_until_validation(
                state.position.global_step
            ),
            seconds_per_step=self._seconds_per_step,
        )
        started, wanted = monotonic(), Steps(state.position.epoch, first, steps)
        self._lead.announce(wanted, global_step=state.position.global_step + steps)
        results = self._lead.step(self._step, calls.take(wanted))
        seconds = monotonic() - started if self._is_traced else None
        self._is_traced = True
        self._seconds_per_step = None if seconds is None else seconds / steps
        state.add_steps(
            loss=results.loss,
            correct=results.correct,
            pairs_per_step=self._data.global_batch_size,
        )
        step, means = state.position.step_in_epoch, state.running_means()
        is_finite = bool(np.isfinite(results.loss).all())
        if self._grid.is_edge(step) or (callbacks.terminates_on_nan and not is_finite):
            callbacks.hooks.on_train_batch_end(step - 1, means)
        has_diverged = bool(callbacks.stop_reason) and not is_finite
        may_save = not (has_diverged or self._are_steps_done(step))
        callbacks.on_call_end(TrainCall(steps, seconds, means, may_save))
        if has_diverged:
            raise _diverged(results, state=state)


def _diverged(results: StepResults, *, state: TrainState) -> DivergedError:
    bad = int(np.flatnonzero(~np.isfinite(results.loss))[0])
    step = state.position.global_step - len(results.loss) + bad + 1
    return DivergedError(
        f"The loss became {results.loss[bad]} at step {step} (epoch "
        f"{state.position.epoch + 1}). Lower training.optimizer.learning_rate or check the "
        "data (siamese-job data inspect); callbacks.terminate_on_nan: false continues."
    )
