"""One attempt at a run: what it found, where it stands, and how it commits that.

The glue between the training state, the model's variables and the checkpoint manager.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from job.callbacks.callback_list import CallbackList, Memory
from job.checkpoints.acquire import Environment
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.policy import Retention
from job.checkpoints.records import Best, Owner
from job.checkpoints.restore import Restored
from job.checkpoints.serialization import RunState, Spec
from job.config.resume import as_record
from job.errors import JobError
from job.models.siamese import Siamese
from job.run.context import RunContext
from job.run.directory import RunDirectory, config_sha256
from job.training.state import (
    TrainingState,
    expected_spec,
    read_variables,
    write_variables,
)
from job.types import Json

log = logging.getLogger(__name__)

# Where the run's own memory lies among that of its callbacks.
_RUN = "run"


@dataclass
class Attempt:
    """A run held by this process.

    Attributes:
        session: Surroundings of the process.
        manager: Its right to commit.
        siamese: Whose variables are committed.
        state: Where training stands.
        memory: What the callbacks of the last attempt knew; None at a fresh start.
        seconds_before: Wall time of earlier attempts up to the commit this one began from.
        final_state_sha256: Fingerprint of every variable after the last step; None before it.
    """

    session: RunContext
    manager: CheckpointManager
    siamese: Siamese
    state: TrainingState = field(default_factory=TrainingState)
    memory: Memory | None = None
    seconds_before: float = 0.0
    final_state_sha256: str | None = None

    @classmethod
    def begin(
        cls,
        session: RunContext,
        *,
        siamese: Siamese,
        folder: RunDirectory,
        fingerprint: str,
        environment: Environment,
    ) -> "Attempt":
        """Takes the run over and goes on from its newest commit, if there is one."""
        session.metrics.set_phase("restoring")
        started = time.monotonic()
        manager = _acquire(
            session, folder=folder, fingerprint=fingerprint, environment=environment
        )
        attempt = cls(session, manager, siamese)
        restored = manager.restore(attempt.spec)
        if restored is not None:
            attempt.restore(restored)
            position = attempt.state.position
            log.info(
                "resumed",
                extra={
                    "attempt": manager.attempt,
                    "step": position.global_step,
                    "epoch": position.epoch,
                    "step_in_epoch": position.step_in_epoch,
                },
            )
            session.metrics.checkpoint_restored(
                position.global_step, seconds=time.monotonic() - started
            )
        session.metrics.start_attempt(manager.attempt, run_started=attempt.run_started)
        return attempt

    @property
    def spec(self) -> Spec:
        """Shape and type of every variable."""
        return expected_spec(self.siamese.variables())

    @property
    def run_started(self) -> float:
        """When the first attempt began, as far as its working time tells; Unix seconds."""
        return time.time() - self.seconds

    @property
    def seconds(self) -> float:
        """Wall time of the run over all attempts, without the time between them."""
        return self.seconds_before + self.session.seconds

    def restore(self, restored: Restored) -> None:
        """Makes model, optimizer and training state what was committed."""
        state = restored.state
        write_variables(self.siamese.variables(), state.variables)
        history = [dict(epoch) for epoch in state.history]
        self.state = TrainingState(state.position, dict(state.sums), history)
        callbacks = dict(state.callbacks)
        own = cast(Mapping[str, Any], callbacks.pop(_RUN))
        self.seconds_before = own["seconds"]
        self.memory = Memory(callbacks, own["stop_reason"])

    def load_weights(self, restored: Restored) -> None:
        """Gives the model the weights of a commit; the optimizer and the state stay."""
        model = {k: v for k, v in self.siamese.variables().items() if k.startswith("model|")}
        write_variables(model, restored.state.variables)

    def save(
        self, stack: CallbackList, *, metrics: Mapping[str, float], best: Best | None
    ) -> None:
        """Commits everything that going on from here needs.

        Raises:
            JobError: The commit failed; the one before it stands.
        """
        memory = stack.memory()
        run: Json = {"seconds": self.seconds, "stop_reason": memory.stop_reason}
        state = RunState(
            variables=read_variables(self.siamese.variables()),
            position=self.state.position,
            sums=self.state.sums,
            callbacks={**memory.callbacks, _RUN: run},
            history=self.state.history,
        )
        try:
            result = self.manager.save(state, metrics=metrics, best=best)
        except JobError:
            self.session.metrics.checkpoint_failed()
            raise
        self.session.metrics.checkpoint_saved(
            result.step,
            bytes=result.bytes,
            seconds=result.seconds,
            retained=len(self.manager.head.checkpoints),
        )


def _acquire(
    session: RunContext, *, folder: RunDirectory, fingerprint: str, environment: Environment
) -> CheckpointManager:
    record = as_record(session.config)
    owner = Owner(
        job=session.pod.job_uid if session.pod else "",
        host=socket.gethostname(),
        pid=os.getpid(),
        nonce=secrets.token_hex(8),
    )
    return CheckpointManager.acquire(
        folder.store,
        run=session.config.run.name,
        owner=owner,
        config=record,
        config_sha256=config_sha256(record),
        fingerprint=fingerprint,
        environment=environment,
        retention=Retention(session.config.checkpoint.keep_last),
        now=time.monotonic,
        nonce=lambda: secrets.token_hex(4),
    )
