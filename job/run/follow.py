"""A run from the point of view of a follower: it does what the chief says, and decides nothing.

It reads the data, builds the same model on its devices and takes part in every step, so the
global batch is divided among all workers. Checkpoints, callbacks, evaluation and reports are
the chief's; a follower encodes its share of the items that are evaluated.
"""

import logging
import os
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from job.data.dataset import Dataset
from job.data.pipeline.prefetch import Steps
from job.distribution.channel import LEAVE
from job.distribution.group import Group, shared_error
from job.distribution.messages import Message
from job.errors import ExitCode
from job.run.context import RunContext
from job.run.read_data import read_data
from job.run.workers import joined_group, require_same_data
from job.telemetry.logs.setup import quieten_tensorflow

if TYPE_CHECKING:
    from job.data.pipeline.batches import PairArrays
    from job.data.pipeline.prefetch import Prefetcher
    from job.evaluation.evaluate import SplitScorer
    from job.models.siamese import Siamese
    from job.training.step import PreparedCall, TrainStep

log = logging.getLogger(__name__)

# How far the chief is.
BUILD, BEGIN = "build", "begin"


def follow(run: RunContext) -> None:
    """Takes part in a run until the chief ends it.

    Raises:
        JobError: The run ends otherwise than finished; with the chief's exit code where it
            holds for all workers.
    """
    with joined_group(run) as group:
        if group.is_dismissed:
            log.info(
                "the chief has finished the run", extra={"reason": "it was finished before"}
            )
            return
        run.listener.waiting_for("reading the data")
        dataset = read_data(run)
        require_same_data(group, fingerprint=dataset.fingerprint)
        run.listener.waiting_for("loading TensorFlow")
        quieten_tensorflow(os.environ)
        _follow(run, group, dataset)


def _follow(run: RunContext, group: Group, dataset: Dataset) -> None:
    """The part that needs TensorFlow."""
    from job.run.prepare_training import build_model
    from job.run.quality import split_scorer

    stop = run.stop
    components, training = build_model(run, dataset, group.receive(BUILD).facts)
    splits = split_scorer(
        run.config, components, dataset, check_stop=stop.note_progress, group=group
    )
    group.receive(BEGIN)
    # From here on the chief decides when to stop: a signal is told to it, and obeyed with it.
    group.wait_with(lambda: stop.requested)
    run.listener.finish_startup()
    data, step = training.data, training.step
    with data.calls(step.prepare, epochs=training.schedule.epochs) as calls:
        _Follower(run, group, components.siamese, step, calls, splits).run()


class _Follower:
    """Obeys the chief's messages."""

    def __init__(
        self,
        run: RunContext,
        group: Group,
        siamese: "Siamese",
        step: "TrainStep",
        calls: "Prefetcher[PairArrays, PreparedCall]",
        splits: "SplitScorer",
    ) -> None:
        self._run = run
        self._group = group
        self._siamese = siamese
        self._step = step
        self._calls = calls
        self._splits = splits
        self._averages = ExitStack()
        self._is_first = True
        self._global_step = 0
        run.logging.track_step(lambda: self._global_step)

    def run(self) -> None:
        obey = {
            "steps": self._take_steps,
            "variables": self._take_variables,
            "averages": self._use_averages,
            "embed": self._embed,
        }
        # The first step is traced, for which the watchdog allows more time.
        self._run.listener.set_phase("compiling")
        while (message := self._group.receive(*obey, LEAVE)).kind != LEAVE:
            obey[message.kind](message)
        _end(message)

    def _take_steps(self, message: Message) -> None:
        from job.run.lead import take_together

        facts = message.facts
        steps = Steps(facts["epoch"], facts["first"], facts["count"])
        rate = self._siamese.optimizer.learning_rate
        if float(rate.value.numpy()) != facts["learning_rate"]:
            rate.assign(facts["learning_rate"])
        call, started = self._calls.take(steps), monotonic()
        results = take_together(self._group, self._step, call)
        seconds = None if self._is_first else monotonic() - started
        self._is_first = False
        self._run.listener.set_phase("training")
        self._global_step = facts["global_step"]
        self._run.metrics.observe_steps(
            steps.count,
            seconds=seconds,
            examples=steps.count * self._run.config.training.global_batch_size,
            nonfinite=int(np.count_nonzero(~np.isfinite(results.loss))),
        )

    def _take_variables(self, message: Message) -> None:
        from job.training.state import write_variables

        write_variables(self._siamese.variables(), message.arrays)

    def _use_averages(self, message: Message) -> None:
        if message.facts["in_use"]:
            self._averages.enter_context(self._siamese.as_evaluated())
        else:
            self._averages.close()

    def _embed(self, message: Message) -> None:
        self._splits.embed_share(message.arrays["rows"])


def _end(leave: Message) -> None:
    """Ends as the chief did."""
    if leave.facts["code"] != ExitCode.FINISHED:
        raise shared_error(leave, who="the chief")
    log.info("the chief has finished the run", extra={"reason": leave.facts["message"]})
