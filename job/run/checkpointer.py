"""Connects the run to its checkpoints: acquire, restore, put back, snapshot, save, wait.

`CheckpointManager` knows records and stores; this class knows the model, the training state and
the callbacks. A snapshot is a copy on the host, and `save` needs nothing but the snapshot: an
asynchronous save is `save` in a thread that `wait` joins.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping
from typing import Self

from job.callbacks.callback_list import CallbackList
from job.checkpoints.fenced_files import FencedFiles
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.policy import Retention
from job.checkpoints.records import Best, BestCheckpoint, Owner, Provenance, Status
from job.checkpoints.serialization import MODEL, RunState, state_sha256
from job.config.resume import as_record
from job.data.dataset import Dataset
from job.distribution.hardware import describe_environment
from job.errors import JobError
from job.models.siamese import Siamese
from job.run.components import Components, library_versions
from job.run.context import RunContext
from job.run.directory import RunDirectory
from job.training.state import (
    TrainState,
    expected_spec,
    read_random_state,
    read_variables,
    write_random_state,
    write_variables,
)
from job.types import Json, Position

log = logging.getLogger(__name__)


class RunCheckpointer:
    """The run as this process holds it; only the chief writes.

    `acquire`, then `restore`, `attach` and `put_back`; from then on `snapshot` and `save`.

    Attributes:
        state: The training state that snapshots contain.
    """

    def __init__(
        self, run: RunContext, *, manager: CheckpointManager, siamese: Siamese
    ) -> None:
        self.state = TrainState()
        self._run = run
        self._manager = manager
        self._siamese = siamese
        self._callbacks: CallbackList | None = None
        self._restored: RunState | None = None
        self._committed: Position | None = None
        self._earlier_seconds = 0.0
        self._last_state_sha256: str | None = None

    @classmethod
    def acquire(
        cls,
        run: RunContext,
        directory: RunDirectory,
        components: Components,
        dataset: Dataset,
    ) -> Self:
        """Takes the run over from an earlier attempt, or starts it.

        Raises:
            ConfigError: The run was started with other data.
            CheckpointError: Checkpoints exist and HEAD cannot be rebuilt from them.
            FencedError: Other attempts kept taking the run at the same time.
        """
        run.listener.set_phase("restoring")
        environment = describe_environment(
            libraries=library_versions(dataset.kind),
            num_replicas=components.strategy.num_replicas_in_sync,
            global_batch_size=run.config.training.global_batch_size,
            devices=components.device_kind,
        )
        manager = CheckpointManager.acquire(
            directory.store,
            owner=Owner(
                job=run.pod.job_uid if run.pod else "",
                host=socket.gethostname(),
                pid=os.getpid(),
                nonce=secrets.token_hex(8),
            ),
            provenance=Provenance(
                run.config.run.name,
                as_record(run.config),
                dataset.fingerprint,
                versions={name: str(one) for name, one in environment["versions"].items()},
                topology=environment["topology"],
            ),
            retention=Retention(run.config.checkpoint.keep_last),
            now=time.monotonic,
            nonce=lambda: secrets.token_hex(4),
        )
        return cls(run, manager=manager, siamese=components.siamese)

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self._manager.attempt

    @property
    def best(self) -> BestCheckpoint | None:
        """The best epoch and its checkpoint, as committed."""
        return self._manager.head.best

    @property
    def files(self) -> FencedFiles:
        """The other files of the run directory, under the same lease."""
        return self._manager.files

    @property
    def seconds(self) -> float:
        """Wall time of the run over all attempts, without the time between them."""
        return self._earlier_seconds + self._run.seconds

    def restore(self) -> TrainState:
        """Reads the newest checkpoint, if any; `put_back` applies it to model and callbacks.

        Raises:
            CheckpointError: Checkpoints exist and none can be used.
        """
        started = time.monotonic()
        restored = self._manager.restore(expected_spec(self._siamese.variables()))
        if restored is not None:
            self._restored = saved = restored.state
            self._committed = saved.position
            self.state = TrainState.load(saved)
            self._earlier_seconds = saved.seconds
            log.info(
                "resumed",
                extra={
                    "attempt": self.attempt,
                    "step": saved.position.global_step,
                    "epoch": saved.position.epoch,
                    "step_in_epoch": saved.position.step_in_epoch,
                },
            )
            self._run.listener.checkpoint_restored(
                saved.position.global_step, seconds=time.monotonic() - started
            )
        self._run.listener.start_attempt(self.attempt, run_started=time.time() - self.seconds)
        return self.state

    def attach(self, callbacks: CallbackList) -> None:
        """Adds the state of callbacks to what is stored and restored."""
        self._callbacks = callbacks

    def put_back(self) -> None:
        """Puts variables, callbacks and random generators into the restored state, if any.

        The loop calls it after the begin hooks: the state contains what they changed.
        """
        restored, self._restored = self._restored, None
        if restored is None:
            return
        write_variables(self._siamese.variables(), restored.variables)
        if self._callbacks is not None:
            self._callbacks.load_state_dict(
                restored.callbacks, stop_reason=restored.stop_reason
            )
        write_random_state(restored.random)

    def snapshot(self) -> RunState:
        """Copies everything that a resume needs to host memory."""
        callbacks: dict[str, Json] = {}
        if self._callbacks is not None:
            callbacks = self._callbacks.state_dict()
            self.state.stop_reason = self._callbacks.stop_reason
        self.state.seconds = self.seconds
        return RunState(
            variables=read_variables(self._siamese.variables()),
            callbacks=callbacks,
            random=read_random_state(),
            **self.state.state_dict(),
        )

    def save(
        self, snapshot: RunState, *, metrics: Mapping[str, float], best: Best | None
    ) -> None:
        """Commits a snapshot, unless its position is committed already.

        Args:
            snapshot: From `snapshot`.
            metrics: Metrics of the epoch that just finished; empty within an epoch.
            best: The best epoch, if it is the one that just finished.

        Raises:
            JobError: The commit failed; the one before it is intact.
        """
        if not self._run.cluster.is_chief or snapshot.position == self._committed:
            return
        try:
            result = self._manager.save(snapshot, metrics=metrics, best=best)
        except JobError:
            self._run.listener.checkpoint_failed()
            raise
        self._committed = snapshot.position
        self._run.listener.checkpoint_saved(
            result.step,
            bytes=result.bytes,
            seconds=result.seconds,
            retained=len(self._manager.head.checkpoints),
        )

    def wait(self) -> None:
        """Returns once every save is durable; saves are synchronous, so at once."""

    def state_sha256(self) -> str:
        """Fingerprint of every variable after the last step."""
        if self._last_state_sha256 is not None:
            return self._last_state_sha256
        return state_sha256(read_variables(self._siamese.variables()))

    @property
    def is_final(self) -> bool:
        """Whether training has ended and the last state is known."""
        return self._last_state_sha256 is not None

    def load_best_weights(self) -> None:
        """Loads the weights that `evaluation.weights` selects; training has ended.

        `state_sha256` stays that of the last step.

        Raises:
            CheckpointError: The best checkpoint cannot be used.
        """
        self._last_state_sha256 = self.state_sha256()
        head = self._manager.head
        if self._run.config.evaluation.weights == "last" or head.best is None:
            return
        if head.best.dir != head.last:
            variables = self._siamese.variables()
            best = self._manager.load(head.best.dir, expected=expected_spec(variables))
            model = {k: v for k, v in variables.items() if k.startswith(f"{MODEL}|")}
            write_variables(model, best.state.variables)
        log.info(
            "weights of the best epoch",
            extra={"epoch": head.best.epoch, head.best.monitor: round(head.best.value, 4)},
        )

    def finish(self, status: Status, reason: str, **facts: Json) -> None:
        """Enters in HEAD how the attempt ended.

        Raises:
            FencedError: A newer attempt holds the run.
        """
        if self._run.cluster.is_chief:
            self._manager.finish(status, reason, **facts)
