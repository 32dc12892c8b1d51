"""The checkpoints of one attempt: take the run over, restore, save, finish.

A start restores the newest state that verifies; a save is durable before it counts; HEAD.json
always says which checkpoints exist and what the status of the run is::

    manager = CheckpointManager.acquire(store, owner=owner, provenance=provenance, ...)
    restored = manager.restore(spec_of(variables))
    ...
    manager.save(state, metrics={"val_loss": 0.3}, best=None)
    manager.finish("completed", "all epochs done", epochs=3)

The order of writes is the protocol (docs/adr/0003-checkpoint-format.md): data, COMMIT.json,
HEAD.json, deletes.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from job.checkpoints.acquire import (
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
    apply_retention,
    collect_garbage,
    delete_checkpoints,
    updated_best,
    write_checkpoint,
)
from job.checkpoints.fenced_files import FencedFiles
from job.checkpoints.layout import HEAD, CheckpointDir
from job.checkpoints.lease import Lease, write_if_generation
from job.checkpoints.policy import Retention
from job.checkpoints.records import Best, Head, Owner, Provenance, Status, dumps
from job.checkpoints.restore import Restored, load_dir, load_entry
from job.checkpoints.serialization import RunState, Spec
from job.errors import FencedError
from job.storage.object_store import ObjectStore
from job.types import Json

log = logging.getLogger(__name__)

_ACQUIRE_TRIES = 20


@dataclass(frozen=True)
class SaveResult:
    """What a save did.

    Attributes:
        dir: Directory of the checkpoint.
        step: Optimizer steps taken.
        bytes: Size of its data.
        seconds: Time from the call to the durable entry in HEAD, without deletes.
    """

    dir: str
    step: int
    bytes: int
    seconds: float


class CheckpointManager:
    """Reads and writes the checkpoints of a run that this attempt holds.

    Created by `acquire`; not thread-safe.

    Attributes:
        files: The other files of the run directory, under the same lease.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        lease: Lease,
        provenance: Provenance,
        retention: Retention,
        now: Callable[[], float],
        nonce: Callable[[], str],
    ) -> None:
        self.files = FencedFiles(store, lease)
        self._store = store
        self._lease = lease
        self._provenance = provenance
        self._retention = retention
        self._now = now
        self._nonce = nonce

    @classmethod
    def acquire(
        cls,
        store: ObjectStore,
        *,
        owner: Owner,
        provenance: Provenance,
        retention: Retention,
        now: Callable[[], float],
        nonce: Callable[[], str],
    ) -> Self:
        """Takes the run over from any attempt that holds it; the newest attempt wins.

        The caller compares the stored configuration with its own before. The nonce of `owner`
        must be new; `now` is a monotonic clock in seconds, and `nonce` returns eight fresh
        hexadecimal digits.

        Raises:
            ConfigError: The directory belongs to another run, or the data differs.
            CheckpointError: Checkpoints exist, HEAD is lost and none can be used; or a newer
                version of the program wrote them.
            FencedError: Other attempts kept taking the run at the same time.
        """
        run = provenance.run
        for _ in range(_ACQUIRE_TRIES):
            found = find_head(store, run=run)
            head = next_head(store, found, run=run, owner=owner)
            ensure_config(store, provenance)
            written = write_if_generation(
                store, HEAD, dumps(head), if_generation=found.generation
            )
            if written is None:
                continue
            lease = Lease(store, head, generation=written.generation)
            collect_garbage(store, head)
            return cls(
                store,
                lease=lease,
                provenance=provenance,
                retention=retention,
                now=now,
                nonce=nonce,
            )
        raise FencedError(
            f"run '{run}': other attempts took it over {_ACQUIRE_TRIES} times while this one "
            "tried. One attempt at a time may hold a run. Start it in one place only."
        )

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1; the fencing token."""
        return self._lease.head.token

    @property
    def head(self) -> Head:
        """HEAD as this attempt last wrote it."""
        return self._lease.head

    def restore(self, expected: Spec) -> Restored | None:
        """Loads the newest checkpoint that verifies; None for a run without checkpoints.

        An unusable checkpoint is entered in HEAD's list of rejected ones, with a warning, so
        that it is not tried again and stays for inspection.

        Args:
            expected: (shape, dtype) of every variable, by key.

        Raises:
            CheckpointError: Checkpoints exist and none can be used.
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
            warn_if_environment_changed(restored.commit, self._provenance)
            return restored
        if head.rejected:
            raise none_usable(self._store, head.rejected)
        return None

    def load(self, dir: str, *, expected: Spec) -> Restored:
        """Loads one checkpoint of HEAD.

        Raises:
            CheckpointError: It is not in HEAD, or cannot be used.
        """
        return load_dir(self._store, self.head, dir=dir, expected=expected)

    def save(
        self, state: RunState, *, metrics: Mapping[str, float], best: Best | None = None
    ) -> SaveResult:
        """Commits the state; it is durable when this returns.

        Args:
            state: A snapshot of the run.
            metrics: Metrics at this point; may be empty.
            best: The best epoch so far. If it ends at this step, this checkpoint becomes HEAD's
                best; an earlier one, or None, leaves it unchanged.

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
        dir = CheckpointDir(step, self.attempt, self._nonce())
        new_best = updated_best(self.head.best, best, dir=dir)
        written = write_checkpoint(
            self._store,
            dir,
            state,
            provenance=self._provenance,
            metrics=metrics,
            best=new_best,
        )
        before = self.head.checkpoints
        kept = apply_retention(before, written.entry, best=new_best, retention=self._retention)
        self._lease.write(with_checkpoints(self.head, kept, best=new_best))
        result = SaveResult(dir.path, step, written.num_bytes, self._now() - started)
        log.info(
            "checkpoint committed",
            extra={
                "step": step,
                "dir": result.dir,
                "bytes": result.bytes,
                "seconds": result.seconds,
            },
        )
        dropped = [one for one in before if one not in kept]
        delete_checkpoints(self._store, dropped, run=self.head.run)
        return result

    def finish(self, status: Status, reason: str, **facts: Json) -> None:
        """Enters in HEAD how the attempt ended; a later start decides from HEAD alone.

        Args:
            status: The status of the run.
            reason: Why, for people.
            **facts: What a later start needs to know: outcome, epochs, global_step.

        Raises:
            FencedError: A newer attempt holds the run.
        """
        self._lease.write(replace(self.head, status=status, reason=reason, facts=facts))
