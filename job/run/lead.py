"""The chief's side of training with several workers: what it tells its followers.

Callbacks, validation and checkpoints run on the chief alone. What they change reaches the
followers before the next step: the learning rate always, and every variable after a restore and
wherever custom callbacks have changed one.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from job.checkpoints.serialization import state_sha256
from job.data.pipeline.prefetch import Steps
from job.distribution.group import Group
from job.distribution.messages import Message
from job.models.siamese import Siamese
from job.run.follow import BEGIN
from job.training.state import read_variables
from job.training.step import PreparedCall, StepResults, TrainStep

STEPS, VARIABLES, AVERAGES = "steps", "variables", "averages"


class Leader:
    """Tells the followers what to do; with one worker, nobody is told.

    Args:
        group: The workers.
        siamese: The model and its optimizer.
        compares: Whether callbacks may change any variable between two calls.
    """

    def __init__(self, group: Group, siamese: Siamese, *, compares: bool = False) -> None:
        self._group = group
        self._siamese = siamese
        self._compares = compares and group.num_workers > 1
        self._shared_sha256 = ""

    def begin(self, *, tick: Callable[[], object]) -> None:
        """Training begins; `tick` is called while this worker waits for another."""
        self._group.tell(Message(BEGIN))
        self._group.wait_with(tick)

    def announce(self, steps: Steps, *, global_step: int) -> None:
        """The next call, which every worker runs; it ends at a step of the run."""
        if self._group.num_workers == 1:
            return
        if self._compares and self._sha256() != self._shared_sha256:
            self.share_variables()
        rate = float(self._siamese.optimizer.learning_rate.value.numpy())
        facts = {"epoch": steps.epoch, "first": steps.first, "count": steps.count}
        self._group.tell(
            Message(STEPS, facts | {"learning_rate": rate, "global_step": global_step})
        )

    def step(self, train_step: TrainStep, call: PreparedCall) -> StepResults:
        """Runs the call that was announced."""
        results = take_together(self._group, train_step, call)
        if self._compares:
            self._shared_sha256 = self._sha256()
        return results

    def share_variables(self) -> None:
        """Gives every follower the values of all variables."""
        if self._group.num_workers == 1:
            return
        self._group.tell(Message(VARIABLES, arrays=self._values()))
        if self._compares:
            self._shared_sha256 = self._sha256()

    @contextmanager
    def as_evaluated(self) -> Iterator[None]:
        """Within the block, all workers have the weights that evaluation uses."""
        has_averages = self._siamese.averages is not None
        if has_averages:
            self._group.tell(Message(AVERAGES, {"in_use": True}))
        with self._siamese.as_evaluated():
            yield
        if has_averages:
            self._group.tell(Message(AVERAGES, {"in_use": False}))

    def _values(self) -> Mapping[str, np.ndarray[Any, Any]]:
        return read_variables(self._siamese.variables())

    def _sha256(self) -> str:
        return state_sha256(self._values())


def take_together(group: Group, train_step: TrainStep, call: PreparedCall) -> StepResults:
    """Runs a call in which all workers meet.

    Raises:
        JobError: Another worker has ended; variables are torn and must not be saved.
    """
    try:
        with group.in_step():
            return train_step(call)
    except tf.errors.OpError as error:
        if group.num_workers == 1:
            raise
        raise group.lost(error.message.partition("\n")[0]) from error
