"""The training loop: epochs of K-step calls, validation, callbacks and stops.

It knows how to train, not what else happens: callbacks save, log and decide, `validate` is
given, a stop is polled. Keras' own `fit` can neither resume inside an epoch nor run on several
workers (docs/adr/0002)::

    loop = TrainingLoop(step=step, data=data, schedule=schedule, callbacks=callbacks,
                        validate=validate, stop=stop)
    outcome = loop.run(state)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Literal

import numpy as np
import numpy.typing as npt

from job.callbacks.stack import CallbackStack
from job.checkpoints.policy import SavePolicy
from job.data.batches import training_block
from job.data.feeds import Feed
from job.data.order import epoch_order, steps_in_epoch
from job.data.tables import PairTable
from job.errors import DivergedError, InterruptedByUserError, PreemptedError
from job.training.pace import steps_this_call
from job.training.state import TrainingState
from job.training.step import StepResults, TrainStep
from job.training.stop import StopRequest

Outcome = Literal["finished", "stopped_early", "interrupted"]


@dataclass(frozen=True)
class TrainingData:
    """The pairs of the training split and the order they are seen in.

    Attributes:
        feed: Gives the items.
        pairs: Training pairs, as numbers of items.
        global_batch_size: Pairs in one optimizer step.
        seed: The run's seed; the order of epoch e is a function of (seed, e).
        item_class: `Dataset.item_class`.
    """

    feed: Feed
    pairs: PairTable
    global_batch_size: int
    seed: int
    item_class: npt.NDArray[np.int64] | None = None

    @property
    def steps_in_epoch(self) -> int:
        """Whole global batches in one pass."""
        return steps_in_epoch(len(self.pairs), self.global_batch_size)

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """Row numbers of the pairs in the order that `epoch` visits them, int64 (P,)."""
        return epoch_order(len(self.pairs), seed=self.seed, epoch=epoch)


@dataclass(frozen=True)
class Schedule:
    """How far to train and how often to look up.

    Attributes:
        epochs: Passes over the training pairs.
        steps_per_call: Most optimizer steps between two returns to Python.
        saves: Says how far it is to the next checkpoint.
    """

    epochs: int
    steps_per_call: int
    saves: SavePolicy


class TrainingLoop:
    """Trains until the last epoch, an early stop or a signal.

    Args:
        step: Runs optimizer steps.
        data: What they run on.
        schedule: How far and how often.
        callbacks: Keras callbacks; they get plain floats.
        validate: Measures the model on the validation pairs, each exactly once.
        stop: Polled between calls and by `validate`.
    """

    def __init__(
        self,
        *,
        step: TrainStep,
        data: TrainingData,
        schedule: Schedule,
        callbacks: CallbackStack,
        validate: Callable[[], Mapping[str, float]],
        stop: StopRequest,
    ) -> None:
        self._step = step
        self._data = data
        self._schedule = schedule
        self._callbacks = callbacks
        self._validate = validate
        self._stop = stop
        self._seconds_per_step: float | None = None
        self._is_traced = False

    def run(self, state: TrainingState) -> Outcome:
        """Goes on from `state` and moves it along.

        Returns:
            `finished`, `stopped_early` (a callback asked for it) or `interrupted` (a signal;
            `state` then lies between two steps and can be saved).

        Raises:
            DivergedError: The loss is not finite and `TerminateOnNaN` is in the stack.
        """
        self._callbacks.begin()
        try:
            while state.position.epoch < self._schedule.epochs:
                # A stop asked for inside an epoch still lets that epoch validate and end.
                if self._callbacks.stop_reason and not state.position.step_in_epoch:
                    break
                if not self._run_epoch(state):
                    return "interrupted"
            return "stopped_early" if self._callbacks.stop_reason else "finished"
        finally:
            self._callbacks.end()

    def _run_epoch(self, state: TrainingState) -> bool:
        """Finishes the epoch under way; False when a signal came first."""
        epoch = state.position.epoch
        order = self._data.order(epoch)
        self._callbacks.hooks.on_epoch_begin(epoch)
        while state.position.step_in_epoch < self._data.steps_in_epoch:
            if self._stop.requested:
                return False
            if self._callbacks.stop_reason:
                break
            self._run_call(state, order=order)
        try:
            validation = self._validate()
        except (PreemptedError, InterruptedByUserError):
            return False
        logs = state.running_means() | dict(validation)
        logs["learning_rate"] = self._callbacks.learning_rate()
        state.end_epoch(logs)
        self._callbacks.hooks.on_epoch_end(epoch, logs)
        return True

    def _run_call(self, state: TrainingState, *, order: npt.NDArray[np.int64]) -> None:
        position = state.position
        steps = steps_this_call(
            position,
            steps_in_epoch=self._data.steps_in_epoch,
            until_save=self._schedule.saves.steps_until_save(position.global_step),
            limit=self._schedule.steps_per_call,
            seconds_per_step=self._seconds_per_step,
        )
        self._callbacks.hooks.on_train_batch_begin(position.step_in_epoch)
        started = monotonic()
        block = training_block(
            self._data.feed,
            self._data.pairs,
            order,
            first_step=position.step_in_epoch,
            num_steps=steps,
            global_batch_size=self._data.global_batch_size,
            item_class=self._data.item_class,
        )
        results = self._step(block)
        if self._is_traced:
            self._seconds_per_step = (monotonic() - started) / steps
        self._is_traced = True
        state.add_steps(
            loss=results.loss,
            correct=results.correct,
            pairs_per_step=self._data.global_batch_size,
        )
        self._callbacks.hooks.on_train_batch_end(
            state.position.step_in_epoch - 1, state.running_means()
        )
        self._refuse_divergence(results, state=state)

    def _refuse_divergence(self, results: StepResults, *, state: TrainingState) -> None:
        if not self._callbacks.stop_reason or np.isfinite(results.loss).all():
            return
        bad = int(np.flatnonzero(~np.isfinite(results.loss))[0])
        step = state.position.global_step - len(results.loss) + bad + 1
        raise DivergedError(
            f"The loss became {results.loss[bad]} at step {step} (epoch "
            f"{state.position.epoch + 1}). Lower training.optimizer.learning_rate or look at "
            "the data (siamese-job data inspect); callbacks.terminate_on_nan: false trains on."
        )
