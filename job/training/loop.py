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

from job.callbacks.callback_list import CallbackList
from job.checkpoints.policy import SavePolicy
from job.data.dataset import ItemTable
from job.data.pipeline.batches import PairArrays, pair_arrays
from job.data.pipeline.collators import Collator
from job.data.pipeline.prefetch import Prefetcher
from job.data.sampling.epochs import BatchSampler
from job.errors import DivergedError, InterruptedByUserError, PreemptedError
from job.training.signals import StopSignal
from job.training.state import TrainingState
from job.training.step import StepResults, TrainStep
from job.types import Position

# A stop is noticed between calls: together with a save this must fit a 15 s grace period.
CALL_SECONDS = 2.0
# A call has its batches in memory, a copy of them, and those of the next call.
CALL_BYTES = 128 << 20


@dataclass(frozen=True)
class StepCost:
    """What a step was seen to take.

    Attributes:
        seconds: Wall time.
        num_bytes: Length of the items of its batch.
    """

    seconds: float
    num_bytes: int


def steps_per_call(
    position: Position,
    *,
    steps_in_epoch: int,
    until_save: int,
    limit: int,
    cost: StepCost | None,
) -> int:
    """Steps to run in the next call of the training function.

    Args:
        position: Where training stands; inside an epoch.
        steps_in_epoch: Steps of a whole epoch.
        until_save: Steps to the next checkpoint, >= 1; a call never runs past it.
        limit: `training.steps_per_call`.
        cost: Of a step, or None while it is not known.

    Returns:
        At least 1; at most what is left of the epoch.
    """
    if cost is None:
        return 1
    in_time = int(CALL_SECONDS / max(cost.seconds, 1e-9))
    in_memory = CALL_BYTES // max(cost.num_bytes, 1)
    left = steps_in_epoch - position.step_in_epoch
    return max(1, min(limit, in_time, in_memory, until_save, left))


Outcome = Literal["finished", "stopped_early", "interrupted"]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The pairs to train on, in the order they are seen, and their items.

    Attributes:
        pairs: Gives the pairs of every batch.
        feed: Gives the items.
        items: The items of the data set; their classes are read.
        global_batch_size: Pairs in one optimizer step.
        seed: The run's seed.
        threads: How many batches are prepared at a time.
    """

    pairs: BatchSampler
    feed: Collator
    items: ItemTable
    global_batch_size: int
    seed: int
    threads: int = 1

    @property
    def steps_in_epoch(self) -> int:
        """Whole global batches in one pass."""
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

    def _run_call(self, state: TrainingState, *, batches: Prefetcher[PairArrays]) -> None:
        position = state.position
        steps = steps_per_call(
            position,
            steps_in_epoch=self._data.steps_in_epoch,
            until_save=self._schedule.saves.steps_until_save(position.global_step),
            limit=self._schedule.steps_per_call,
            cost=self._cost,
        )
        self._callbacks.hooks.on_train_batch_begin(position.step_in_epoch)
        started = monotonic()
        taken = batches.take(first=position.step_in_epoch, count=steps)
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
