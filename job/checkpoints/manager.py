"""The checkpoints of one attempt: take the run over, restore, save, finish.

A start restores the newest state that verifies; a save makes it durable before it counts;
HEAD.json says at any moment which checkpoints exist and how the run stands::

    manager = CheckpointManager.acquire(store, run="typos", owner=owner, ...)
    restored = manager.restore(spec_of(variables))
    ...
    manager.save(state, metrics={"val_loss": 0.3}, best=None)
    manager.finish("completed", "all epochs done", epochs=3)

The order of writes is the protocol (docs/adr/0003-checkpoint-format.md): data, COMMIT.json,
HEAD.json, deletes.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Self

from job.checkpoints.acquire import (
    Environment,
    ensure_config,
    find_head,
    next_head,
    none_usable,
    reject,
    warn_if_environment_changed,
    with_checkpoints,
)
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.commit import (
    Origin,
    SaveResult,
    apply_retention,
    delete_checkpoints,
    sweep,
    updated_best,
    write_checkpoint,
)
from job.checkpoints.layout import HEAD, CheckpointDir
from job.checkpoints.lease import Lease
from job.checkpoints.policy import Retention
from job.checkpoints.records import Best, Head, Owner, Status, dumps
from job.checkpoints.restore import Restored, load_entry
from job.checkpoints.serialization import RunState, Spec
from job.errors import FencedError, StorageOutageError
from job.storage.object_store import (
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    PreconditionFailedError,
)
from job.types import Json

log = logging.getLogger(__name__)

_ACQUIRE_TRIES = 20
_RESULT_TRIES = 5


class CheckpointManager:
    """Reads and writes the checkpoints of a run that this attempt holds.

    Made by `acquire`; not safe between threads.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        lease: Lease,
        origin: Origin,
        retention: Retention,
        now: Callable[[], float],
        nonce: Callable[[], str],
    ) -> None:
        self._store = store
        self._lease = lease
        self._origin = origin
        self._retention = retention
        self._now = now
        self._nonce = nonce

    @classmethod
    def acquire(
        cls,
        store: ObjectStore,
        *,
        run: str,
        owner: Owner,
        config: Mapping[str, Json],
        config_sha256: str,
        fingerprint: str,
        environment: Environment,
        retention: Retention,
        now: Callable[[], float],
        nonce: Callable[[], str],
    ) -> Self:
        """Takes the run over from whatever attempt held it; the newest one wins.

        The caller compares `read_stored_config` with its own configuration before.

        Args:
            store: Where the run lives.
            run: Name of the run.
            owner: This process; its nonce must be new.
            config: Resolved configuration, stored if the run is new.
            config_sha256: Its fingerprint, hexadecimal.
            fingerprint: Fingerprint of the training data.
            environment: "versions" of libraries and "topology", by name.
            retention: What is kept.
            now: Monotonic clock in seconds.
            nonce: Source of eight fresh hexadecimal digits.

        Raises:
            ConfigError: The folder is another run's, or the data are not the run's.
            CheckpointError: There are checkpoints, HEAD is lost and none can be used; or a
                later version of the program wrote them.
            FencedError: Other attempts kept taking the run at the same time.
        """
        for _ in range(_ACQUIRE_TRIES):
            found = find_head(store, run=run)
            head = next_head(store, found, run=run, owner=owner)
            ensure_config(
                store, config=config, config_sha256=config_sha256, fingerprint=fingerprint
            )
            try:
                written = store.write(HEAD, dumps(head), if_generation=found.generation)
            except PreconditionFailedError:
                again = find_head(store, run=run)
                if again.head is None or again.head.owner.nonce != owner.nonce:
                    continue
                head, generation = again.head, again.generation  # its answer was lost
            else:
                generation = written.generation
            lease = Lease(store, head, generation=generation)
            sweep(store, head)
            origin = Origin(run, config_sha256, fingerprint, environment)
            return cls(
                store, lease=lease, origin=origin, retention=retention, now=now, nonce=nonce
            )
        raise FencedError(
            f"run '{run}': other attempts took it over {_ACQUIRE_TRIES} times while this one "
            f"tried. One attempt at a time may hold a run. Start it in one place only."
        )

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1; the fencing token."""
        return self._lease.head.token

    @property
    def head(self) -> Head:
        """The run as this attempt last wrote it."""
        return self._lease.head

    def restore(self, expected: Spec) -> Restored | None:
        """Returns the newest checkpoint that verifies, or None for a run without any.

        What cannot be used is entered in HEAD's list of rejected ones, with a warning, so
        that it is not tried again and a person can look at it.

        Args:
            expected: (shape, dtype) of every variable, by key.

        Raises:
            CheckpointError: There are checkpoints and none can be used.
            FencedError: A newer attempt took the run over.
        """
        head = self.head
        for entry in reversed(head.checkpoints):
            try:
                restored = load_entry(self._store, entry, run=head.run, expected=expected)
            except DamagedError as error:
                head = reject(head, entry.dir, reason=str(error))
                continue
            if head is not self.head:
                usable = self.head.checkpoints[: self.head.checkpoints.index(entry) + 1]
                self._lease.write(with_checkpoints(head, usable, best=restored.commit.best))
            warn_if_environment_changed(restored.commit, self._origin.environment)
            return restored
        if head.rejected:
            raise none_usable(self._store, head.rejected)
        return None

    def save(
        self, state: RunState, *, metrics: Mapping[str, float], best: Best | None = None
    ) -> SaveResult:
        """Commits the state; when this returns, it survives anything.

        Args:
            state: Everything to go on from here.
            metrics: Measurements at this point; may be empty.
            best: The best epoch so far. If it ends at this step, this checkpoint holds it and
                is kept; an earlier one, or None, leaves HEAD's best as it is.

        Raises:
            FencedError: A newer attempt holds the run; nothing was entered or deleted.
            ValueError: The state is older than the newest checkpoint.
        """
        started = self._now()
        step = state.position.global_step
        if self.head.checkpoints and step < self.head.checkpoints[-1].step:
            raise ValueError(
                f"step {step} is older than {self.head.last}; restore before saving"
            )
        folder = CheckpointDir(step, self.attempt, self._nonce())
        kept_best = updated_best(self.head.best, best, folder=folder)
        written = write_checkpoint(
            self._store, folder, state, origin=self._origin, metrics=metrics, best=kept_best
        )
        before = self.head.checkpoints
        kept = apply_retention(before, written.entry, best=kept_best, retention=self._retention)
        self._lease.write(with_checkpoints(self.head, kept, best=kept_best))
        seconds = self._now() - started
        log.info(
            "checkpoint committed",
            extra={
                "step": step,
                "dir": folder.path,
                "bytes": written.num_bytes,
                "seconds": seconds,
            },
        )
        dropped = [one for one in before if one not in kept]
        delete_checkpoints(self._store, dropped, run=self.head.run)
        return SaveResult(folder.path, step, written.num_bytes, seconds)

    def write_result(self, name: str, data: bytes) -> None:
        """Replaces something that the run leaves beside its checkpoints, such as a report.

        An attempt that was away for long must not write over what a newer one left. What is
        there is looked at first, then who holds the run: whatever a newer attempt writes
        after that has another generation, and is met with a precondition that fails.

        Raises:
            FencedError: A newer attempt holds the run; nothing was written.
            StorageOutageError: Something that is no attempt keeps writing it.
        """
        self._change_result(
            name,
            lambda seen: self._store.write(
                name, data, if_generation=seen.generation if seen else 0
            ),
            doing="written",
        )

    def delete_result(self, name: str) -> None:
        """Removes what `write_result` left, as carefully; it may be gone already.

        Raises:
            FencedError: A newer attempt holds the run; nothing was removed.
            StorageOutageError: Something that is no attempt keeps writing it.
        """

        def remove(seen: ObjectStat | None) -> None:
            if seen is not None:
                with suppress(ObjectMissingError):
                    self._store.delete(name, if_generation=seen.generation)

        self._change_result(name, remove, doing="removed")

    def results(self, prefix: str) -> list[str]:
        """Names of what lies in the run folder and begins with `prefix`, sorted."""
        return [listed.name for listed in self._store.list(prefix)]

    def _change_result(
        self, name: str, change: Callable[[ObjectStat | None], object], *, doing: str
    ) -> None:
        for _ in range(_RESULT_TRIES):
            seen = self._store.stat(name)
            self._lease.verify()
            try:
                change(seen)
            except PreconditionFailedError:
                continue
            return
        raise StorageOutageError(
            f"{self._store.uri}/{name} changed {_RESULT_TRIES} times while it was {doing}. "
            f"Only the attempt that holds the run may write it. Find what else does, and start "
            f"again."
        )

    def finish(self, status: Status, reason: str, **facts: Json) -> None:
        """Enters in HEAD how the attempt ended, so that a later start can tell from HEAD alone.

        Args:
            status: How the run stands now.
            reason: Why, for people.
            **facts: What a later start needs to know: outcome, epochs, global_step.

        Raises:
            FencedError: A newer attempt holds the run.
        """
        self._lease.write(replace(self.head, status=status, reason=reason, facts=facts))
