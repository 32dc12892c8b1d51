"""The training loop: epochs, calls of several steps, validation, callbacks, stops.

Every hook, save and stop in its place (`run/callbacks.py` has the order of the callbacks)::

    on_train_begin                           then callbacks get their restored state
    while epoch < epochs and nobody asked to end training:
        on_epoch_begin(epoch)                also for an epoch that a restart finishes
        while the epoch has steps left:
            leave if a signal arrived        run/train.py commits; exit code 75 or 130
            end the epoch if a callback set model.stop_training
            on_train_batch_begin(first)
            K optimizer steps                one tf.function; never past the next save
            on_train_batch_end(last, logs)   the checkpoint callback saves every_steps
            raise if the loss is not finite and TerminateOnNaN is active
        validate                             leave if a signal arrives
        close the epoch                      history, position
        on_epoch_end(epoch, logs)            plateau, early stopping, custom, then a save
    on_train_end                             also after an error

The loop trains; callbacks save, log and decide. Keras' `fit` can neither resume inside an epoch
nor run on several workers (docs/adr/0002).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Literal

import numpy as np

from job.callbacks.callback_list import CallbackList
from job.checkpoints.policy import SavePolicy
from job.data.dataset import ItemTable
from job.data.pipeline.batches import PairArrays, pair_arrays
from job.data.pipeline.collators import Collator
from job.data.pipeline.prefetch import Prefetcher
from job.data.sampling.epochs import BatchSampler
from job.errors import DivergedError, InterruptedByUserError, PreemptedError
from job.training.signals import StopSignal
from job.training.state import TrainState
from job.training.step import StepResults, TrainStep
from job.types import Position

# A stop is noticed between calls: together with a save this must fit a 15 s grace period.
CALL_SECONDS = 2.0
# A call has its batches in memory, a copy of them, and those of the next call.
CALL_BYTES = 128 << 20

Outcome = Literal["finished", "stopped_early", "interrupted"]


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
    """

    pairs: BatchSampler
    feed: Collator
    items: ItemTable
    global_batch_size: int
    seed: int
    threads: int = 1

    @property
    def steps_in_epoch(self) -> int:
        """Whole global batches in one epoch."""
        return self.pairs.num_steps

    def batches(self, epoch: int) -> Prefetcher[PairArrays]:
        """The batches of an epoch, by step."""
        chosen = self.pairs.epoch(epoch)
        return Prefetcher(
            lambda step: pair_arrays(
                chosen.batch(step),
                feed=self.feed,
                items=self.items,
                seed=self.seed,
                epoch=epoch,
            ),
            stop=chosen.num_steps,
            threads=self.threads,
        )


@dataclass(frozen=True)
class Schedule:
    """How long to train and when to return to Python.

    Attributes:
        epochs: Epochs of the whole run.
        steps_per_call: Largest number of optimizer steps in one call.
        saves: The policy of the checkpoint callback; a call ends where it saves.
    """

    epochs: int
    steps_per_call: int
    saves: SavePolicy


@dataclass(frozen=True)
class StepCost:
    """Measured cost of a step.

    Attributes:
        seconds: Wall time.
        num_bytes: Size of the items of its batch.
    """

    seconds: float
    num_bytes: int


def steps_per_call(
    position: Position, *, steps_in_epoch: int, schedule: Schedule, cost: StepCost | None
) -> int:
    """Steps to run in the next call of the training function.

    Args:
        position: Inside an epoch.
        steps_in_epoch: Steps of a whole epoch.
        schedule: Bounds the call by its limit and the next save.
        cost: Of a step; None while unknown.

    Returns:
        At least 1; at most the rest of the epoch.
    """
    if cost is None:
        return 1
    return max(
        1,
        min(
            schedule.steps_per_call,
            int(CALL_SECONDS / max(cost.seconds, 1e-9)),
            CALL_BYTES // max(cost.num_bytes, 1),
            schedule.saves.steps_until_save(position.global_step),
            steps_in_epoch - position.step_in_epoch,
        ),
    )


class TrainingLoop:
    """Trains until the last epoch, an early stop or a signal.

    Args:
        step: Runs optimizer steps.
        data: What they run on.
        schedule: How long and how often.
        callbacks: Keras callbacks; they receive plain floats.
        validate: Measures the model on the validation pairs, each exactly once.
        stop: Polled between calls and by `validate`.
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
    ) -> None:
        self._step = step
        self._data = data
        self._schedule = schedule
        self._callbacks = callbacks
        self._validate = validate
        self._stop = stop
        self._cost: StepCost | None = None
        self._is_traced = False

    def run(self, state: TrainState) -> Outcome:
        """Trains from `state` on, and updates it.

        Returns:
            `finished`, `stopped_early` (a callback asked for it) or `interrupted` (a signal;
            `state` is then between two steps and can be saved).

        Raises:
            DivergedError: The loss is not finite and `TerminateOnNaN` is active.
        """
        self._callbacks.begin()
        try:
            while state.position.epoch < self._schedule.epochs:
                # A stop requested inside an epoch still lets that epoch validate and end.
                if self._callbacks.stop_reason and not state.position.step_in_epoch:
                    break
                if not self._run_epoch(state):
                    return "interrupted"
            state.stop_reason = self._callbacks.stop_reason
            return "stopped_early" if state.stop_reason else "finished"
        finally:
            self._callbacks.end()

    def _run_epoch(self, state: TrainState) -> bool:
        """Finishes the current epoch; False if a signal came first."""
        epoch = state.position.epoch
        self._callbacks.hooks.on_epoch_begin(epoch)
        with self._data.batches(epoch) as batches:
            while state.position.step_in_epoch < self._data.steps_in_epoch:
                if self._stop.requested:
                    return False
                if self._callbacks.stop_reason:
                    break
                self._run_call(state, batches=batches)
        try:
            validation = self._validate()
        except (PreemptedError, InterruptedByUserError):
            return False
        logs = state.running_means() | dict(validation)
        logs["learning_rate"] = self._callbacks.learning_rate()
        state.end_epoch(logs)
        self._callbacks.hooks.on_epoch_end(epoch, logs)
        return True

    def _run_call(self, state: TrainState, *, batches: Prefetcher[PairArrays]) -> None:
        first = state.position.step_in_epoch
        steps = steps_per_call(
            state.position,
            steps_in_epoch=self._data.steps_in_epoch,
            schedule=self._schedule,
            cost=self._cost,
        )
        self._callbacks.hooks.on_train_batch_begin(first)
        started = monotonic()
        taken = batches.take(first=first, count=steps)
        results = self._step(taken)
        if self._is_traced:
            num_bytes = max(batch.items.nbytes for batch in taken)
            self._cost = StepCost((monotonic() - started) / steps, num_bytes)
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

    def _refuse_divergence(self, results: StepResults, *, state: TrainState) -> None:
        if not self._callbacks.stop_reason or np.isfinite(results.loss).all():
            return
        bad = int(np.flatnonzero(~np.isfinite(results.loss))[0])
        step = state.position.global_step - len(results.loss) + bad + 1
        raise DivergedError(
            f"The loss became {results.loss[bad]} at step {step} (epoch "
            f"{state.position.epoch + 1}). Lower training.optimizer.learning_rate or check the "
            "data (siamese-job data inspect); callbacks.terminate_on_nan: false continues."
        )
