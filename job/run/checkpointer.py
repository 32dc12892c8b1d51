"""Connects the run to its checkpoints: acquire, restore, put back, save, stop.

`CheckpointManager` knows records and stores; this class knows the model, the training state and
the callbacks. A save copies all state to host memory and commits the copy in the background.
"""

import logging
import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Self

from job.callbacks.callback_list import CallbackList
from job.checkpoints.background import BackgroundSaves
from job.checkpoints.commit import SaveResult
from job.checkpoints.fenced_files import FencedFiles
from job.checkpoints.layout import CheckpointDir
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.provenance import Identity, Provenance
from job.checkpoints.records import Best, BestEntry, Status
from job.checkpoints.serialization import RunState, num_bytes_of, state_sha256
from job.checkpoints.surroundings import Surroundings
from job.errors import CheckpointError, JobError
from job.models.siamese import Siamese
from job.run.context import RunContext
from job.run.describe_attempt import owner_of
from job.run.directory import RunDirectory, require_same_config
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

# Cloud Storage accepts about one write a second to one name, and answers 429 beyond that.
_BUCKET_HEAD_SECONDS = 1.0


class RunCheckpointer:
    """The run as this process holds it; of several workers, the chief does.

    `acquire`, then `restore`, `attach` and `put_back`; from then on `save` and `save_if_idle`,
    and at the end `stop` or `finish`. Used from the main thread.

    Attributes:
        state: The training state that snapshots contain.
        save_cost_seconds: What the newest save cost training: the time of the copy and the
            processor time of the rest. None before the first.
    """

    def __init__(
        self, run: RunContext, *, manager: CheckpointManager, siamese: Siamese
    ) -> None:
        self.state = TrainState()
        self.save_cost_seconds: float | None = None
        self._run = run
        self._manager = manager
        self._saves = BackgroundSaves(manager)
        self._siamese = siamese
        self._callbacks: CallbackList | None = None
        self._restored: RunState | None = None
        self._newest: Position | None = None
        self._blocked_seconds = 0.0
        self._bytes_per_second: float | None = None
        self._earlier_seconds = 0.0
        self._last_state_sha256: str | None = None

    @classmethod
    def acquire(
        cls,
        run: RunContext,
        directory: RunDirectory,
        *,
        provenance: Provenance,
        siamese: Siamese,
    ) -> Self:
        """Takes the run over from an earlier attempt, or starts it.

        Args:
            run: The surroundings of the process.
            directory: Where the run is stored.
            provenance: What this process runs.
            siamese: The model and its optimizer.

        Raises:
            ConfigError: The run was started with another configuration or other data.
            PermissionDeniedError: The run belongs to another release.
            NoProgressError: Too many attempts trained and committed nothing new.
            CheckpointError: Checkpoints exist and HEAD cannot be rebuilt from them.
            FencedError: Other attempts kept taking the run at the same time.
        """
        run.listener.set_phase("restoring")
        config, is_bucket = run.config, directory.lock is None
        manager = CheckpointManager.acquire(
            directory.store,
            owner=owner_of(run),
            provenance=provenance,
            keep_last=config.checkpoint.keep_last,
            check=partial(require_same_config, config=config, uri=directory.uri),
            takeover=config.run.takeover,
            around=Surroundings(head_seconds=_BUCKET_HEAD_SECONDS if is_bucket else 0.0),
        )
        return cls(run, manager=manager, siamese=siamese)

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self._manager.attempt

    @property
    def best(self) -> BestEntry | None:
        """The best epoch and its checkpoint, as committed."""
        return self._manager.head.best

    @property
    def origin(self) -> tuple[Identity, Provenance]:
        """What the run is, and what this attempt runs."""
        return self._manager.identity, self._manager.provenance

    @property
    def files(self) -> FencedFiles:
        """The other files of the run directory, under the same lease."""
        return self._manager.files

    @property
    def seconds(self) -> float:
        """Wall time of the run over all attempts, without the time between them."""
        return self._earlier_seconds + self._run.seconds

    def restore(self, *, from_step: int | None = None) -> TrainState:
        """Reads the newest checkpoint, if any; `put_back` applies it to model and callbacks.

        With `from_step` it reads the one of that step, and drops later ones.

        Raises:
            JobError: There is no checkpoint of `from_step`, or none can be used.
        """
        started = time.monotonic()
        if from_step is not None:
            self._manager.rewind(from_step)
        restored = self._manager.restore(expected_spec(self._siamese.variables()))
        if restored is not None:
            self._restored = saved = restored.state
            self._newest = saved.position
            self.state = TrainState.load(saved)
            self._earlier_seconds = saved.seconds
            log.info(
                "resumed",
                extra={
                    "attempt": self.attempt,
                    "step": saved.position.global_step,
                    "epoch": saved.position.epoch + 1,
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

    def begin_training(self) -> None:
        """Enters in HEAD that this attempt trains, and deletes what earlier ones left.

        Raises:
            FencedError: A newer attempt holds the run.
        """
        self._manager.begin_training()
        self._saves.collect_garbage()

    def save(self, *, metrics: Mapping[str, float], best: Best | None) -> None:
        """Saves in the background; waits for the save in flight, if there is one.

        Nothing is saved if the position is saved already.

        Args:
            metrics: Metrics of the epoch that just finished; empty within an epoch.
            best: The best epoch, if it is the one that just finished.

        Raises:
            JobError: The save before failed; the commit before that is intact.
        """
        if self._has_news():
            self.wait()
            self._submit(metrics=metrics, best=best)

    def save_if_idle(self, *, metrics: Mapping[str, float]) -> None:
        """Saves in the background, unless a save is in flight: then none is needed.

        Raises:
            JobError: The save before failed; the commit before that is intact.
        """
        self.poll()
        if not self._has_news():
            return
        if self._saves.is_busy:
            self._run.listener.checkpoint_skipped()
            return
        self._submit(metrics=metrics, best=None)

    def poll(self) -> None:
        """Takes note of a save that has ended.

        Raises:
            JobError: It failed; the commit before it is intact.
        """
        if not self._saves.is_busy:
            self.wait()

    def wait(self) -> None:
        """Returns once the save in flight is durable.

        Raises:
            JobError: It failed; the commit before it is intact.
        """
        try:
            result = self._saves.wait(tick=self._run.stop.note_progress)
        except JobError:
            self._run.listener.checkpoint_failed()
            raise
        if result is not None:
            self._note(result)

    def stop(self, reason: str, *, seconds_left: float) -> int:
        """Commits the state after a signal, if there is time for it.

        Args:
            reason: Why training stops.
            seconds_left: Time until the process is killed.

        Returns:
            Optimizer steps since the newest commit: 0 if the state is committed.

        Raises:
            JobError: The commit failed; the one before it is intact.
        """
        began = time.monotonic()
        self.wait()
        left = seconds_left - (time.monotonic() - began)
        if self._has_news() and self._fits(left):
            self._submit(metrics={}, best=None, status="preempted", reason=reason)
            self.wait()
        else:
            self.finish("preempted", reason)
        last = CheckpointDir.parse(self._manager.head.last or "")
        return self.state.position.global_step - (last.step if last else 0)

    def _fits(self, seconds: float) -> bool:
        """Whether a save of the measured speed takes less than so many seconds."""
        if self._bytes_per_second is None:
            return True
        spec = expected_spec(self._siamese.variables())
        return num_bytes_of(spec) / self._bytes_per_second < seconds

    def _has_news(self) -> bool:
        return self.state.position != self._newest

    def _submit(
        self,
        *,
        metrics: Mapping[str, float],
        best: Best | None,
        status: Status | None = None,
        reason: str = "",
    ) -> None:
        began = time.monotonic()
        snapshot = self.snapshot()
        self._saves.submit(snapshot, metrics=metrics, best=best, status=status, reason=reason)
        self._newest = snapshot.position
        self._blocked_seconds = time.monotonic() - began

    def _note(self, result: SaveResult) -> None:
        self.save_cost_seconds = self._blocked_seconds + self._saves.cpu_seconds
        self._bytes_per_second = result.bytes / max(result.seconds, 1e-3)
        self._run.listener.checkpoint_saved(
            result.step,
            bytes=result.bytes,
            seconds=result.seconds,
            retained=len(self._manager.head.checkpoints),
        )

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
        """Loads the weights that `evaluation.weights` selects, or the averages of them.

        Training has ended; `state_sha256` stays that of the last step. Weights of the best
        epoch that cannot be read are replaced by those of the last, with a warning: the run
        ends with a model.
        """
        self._last_state_sha256 = self.state_sha256()
        best = self._manager.head.best
        if self._run.config.evaluation.weights == "best" and best is not None:
            self._load(best)
        if self._siamese.averages:
            self._siamese.averages.apply()

    def _load(self, best: BestEntry) -> None:
        if best.dir != self._manager.head.last:
            variables = self._siamese.variables()
            try:
                weights = self._manager.load_best_weights(expected=expected_spec(variables))
            except CheckpointError as error:
                facts = {"epoch": best.epoch, "reason": str(error), "instead": "last epoch"}
                log.warning("best checkpoint lost", extra=facts)
                return
            write_variables({key: variables[key] for key in weights or {}}, weights or {})
        log.info(
            "weights of the best epoch",
            extra={"epoch": best.epoch, best.monitor: round(best.value, 4)},
        )

    @property
    def results_directory(self) -> str:
        """A directory for results that no other process writes to."""
        step = self.state.position.global_step
        return f"results/{step:012d}-{self.attempt:06d}-{secrets.token_hex(4)}"

    def finish(
        self,
        status: Status,
        reason: str,
        *,
        results: Mapping[str, str] | None = None,
        facts: Mapping[str, Json] | None = None,
    ) -> None:
        """Enters in HEAD how the attempt ended.

        Args:
            status: The status of the run.
            reason: Why, for people.
            results: From `RunArtifacts.publish`.
            facts: What a later start needs to know.

        Raises:
            FencedError: A newer attempt holds the run.
        """
        self._manager.finish(status, reason, results=results, facts=facts or {})
        if results:  # those before them are not needed any more
            self._saves.collect_garbage()

    def close(self) -> None:
        """Waits for the background thread; a stop request cuts its deletes short."""
        self._saves.close()
