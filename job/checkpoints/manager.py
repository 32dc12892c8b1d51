"""The checkpoints of one attempt: take the run over, restore, save, finish.

A start restores the newest state that verifies; a save is durable before it counts; HEAD.json
always says which checkpoints exist and what the status of the run is::

    manager = CheckpointManager.acquire(store, owner=owner, provenance=provenance, ...)
    restored = manager.restore(spec_of(variables))
    ...
    manager.save(state, metrics={"val_loss": 0.3}, best=None)
    manager.finish("completed", "all epochs done", facts={"epochs": 3})

The order of writes is the protocol (docs/adr/0003-checkpoint-format.md): data, COMMIT.json,
HEAD.json, deletes.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from job.checkpoints import garbage
from job.checkpoints.acquire import take_over, warn_if_environment_changed
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.commit import SaveResult, apply_retention, write_checkpoint
from job.checkpoints.fenced_files import FencedFiles
from job.checkpoints.layout import COMMIT, RESULTS, CheckpointDir, DirListing
from job.checkpoints.lease import Lease
from job.checkpoints.provenance import Identity, Provenance
from job.checkpoints.rebuild import best_among, none_usable, reject, with_checkpoints
from job.checkpoints.records import (
    Best,
    BestCheckpoint,
    CheckpointEntry,
    Head,
    Owner,
    Status,
    StoredConfig,
)
from job.checkpoints.restore import Restored, load_entry, load_weights
from job.checkpoints.rewind import rewound
from job.checkpoints.serialization import RunState, Spec, Variables
from job.checkpoints.surroundings import Surroundings
from job.errors import CheckpointError
from job.storage.object_store import ObjectStore
from job.types import Json

log = logging.getLogger(__name__)


class CheckpointManager:
    """Reads and writes the checkpoints of a run that this attempt holds.

    Created by `acquire`. One thread at a time may call `save` and `collect_garbage`; `files`
    and `finish` may be used from another.

    Attributes:
        files: The other files of the run directory, under the same lease.
        identity: The run's.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        lease: Lease,
        identity: Identity,
        provenance: Provenance,
        keep_last: int,
        around: Surroundings,
        unneeded: Sequence[str],
        objects: Mapping[str, Sequence[str]],
    ) -> None:
        self.files = FencedFiles(store, lease)
        self.identity = identity
        self._store = store
        self._lease = lease
        self.provenance = provenance
        self._keep_last = keep_last
        self._around = around
        self._garbage = list(unneeded)
        self._objects = dict(objects)

    @classmethod
    def acquire(
        cls,
        store: ObjectStore,
        *,
        owner: Owner,
        provenance: Provenance,
        keep_last: int,
        check: Callable[[StoredConfig], None] = lambda stored: None,
        takeover: bool = False,
        around: Surroundings | None = None,
    ) -> Self:
        """Takes the run over from an earlier attempt, or starts it; the newest attempt wins.

        Args:
            store: The run directory.
            owner: This process; its nonce is new.
            provenance: What this process runs.
            keep_last: Newest checkpoints kept in addition to the best, >= 1.
            check: Raises ConfigError if the stored configuration does not allow this one.
            takeover: Whether the unfinished run of another release may be taken over.
            around: Clocks and random numbers.

        Raises:
            ConfigError: The directory belongs to another run, or configuration or data differ.
            PermissionDeniedError: The run belongs to another release.
            NoProgressError: Too many attempts trained and committed nothing new.
            CheckpointError: Checkpoints exist, HEAD is lost and none can be used; config.json
                is lost; or a newer version of the program wrote them.
            FencedError: Other attempts kept taking the run at the same time.
        """
        around = around or Surroundings()
        taken = take_over(
            store,
            owner=owner,
            provenance=provenance,
            check=check,
            takeover=takeover,
            around=around,
        )
        head, identity = taken.lease.head, taken.identity
        unneeded = garbage.left_behind(
            store, taken.listing, head, identity=identity, is_rebuilt=taken.is_rebuilt
        )
        return cls(
            store,
            lease=taken.lease,
            identity=identity,
            provenance=provenance,
            keep_last=keep_last,
            around=around,
            unneeded=list(unneeded),
            objects=_listed_in(head, taken.listing),
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
                restored = load_entry(
                    self._store, entry, identity=self.identity, expected=expected
                )
            except DamagedError as error:
                head = reject(head, entry.dir, reason=str(error))
                continue
            if head is not self.head:
                usable = self.head.checkpoints[: self.head.checkpoints.index(entry) + 1]
                self._enter_usable(head, usable, known=restored.commit.best)
            warn_if_environment_changed(restored.commit, self.provenance)
            return restored
        if head.rejected:
            self._lease.verify()
            raise none_usable(self._store, head.rejected)
        return None

    def _enter_usable(
        self,
        judged: Head,
        usable: Sequence[CheckpointEntry],
        *,
        known: BestCheckpoint | None,
    ) -> None:
        best = judged.best
        rejected = {one.dir for one in judged.rejected}
        if best is not None and (best.dir in rejected or best.step > usable[-1].step):
            log.warning("best checkpoint lost", extra={"dir": best.dir, "epoch": best.epoch})
            # The best epoch at the restored step, which its callback remembers too.
            best = best_among(known, usable)
        self._lease.update(
            lambda head: with_checkpoints(
                replace(head, rejected=judged.rejected), usable, best=best
            )
        )

    def rewind(self, step: int) -> None:
        """Makes an older checkpoint the newest; later ones become garbage.

        Raises:
            ConfigError: There is no checkpoint of that step.
            CheckpointError: It is damaged; nothing was changed.
            FencedError: A newer attempt took the run over; it may have deleted it.
        """
        with self._fenced_if_lost():
            kept, best = rewound(self._store, self.head, step, identity=self.identity)
        head = self._lease.update(lambda head: with_checkpoints(head, kept, best=best))
        log.info("rewound", extra={"step": step, "dir": head.last})
        self._drop_unneeded(head)

    def load_best_weights(self, *, expected: Spec) -> Variables | None:
        """Loads the weights of the best epoch; None if no epoch was measured.

        Raises:
            CheckpointError: They cannot be used.
            FencedError: A newer attempt took the run over; it may have deleted them.
        """
        if self.head.best is None:
            return None
        with self._fenced_if_lost():
            return load_weights(
                self._store, self.head.best, identity=self.identity, expected=expected
            )

    @contextmanager
    def _fenced_if_lost(self) -> Iterator[None]:
        """Raises FencedError where a newer attempt may have deleted what cannot be read."""
        try:
            yield
        except CheckpointError:
            self._lease.verify()
            raise

    def save(
        self,
        state: RunState,
        *,
        metrics: Mapping[str, float],
        best: Best | None = None,
        status: Status | None = None,
        reason: str = "",
    ) -> SaveResult:
        """Commits the state; it is durable when this returns.

        Args:
            state: A snapshot of the run.
            metrics: Metrics at this point; may be empty.
            best: The best epoch so far. If it ends at this step, this checkpoint becomes HEAD's
                best; an earlier one, or None, leaves it unchanged.
            status: The status of the run once this is committed; None leaves it and its reason
                as they are: it may have failed while this was written.
            reason: Why, for people.

        Raises:
            FencedError: A newer attempt holds the run; nothing was entered or deleted.
            ValueError: The state is older than the newest checkpoint.
        """
        started = self._around.now()
        step = state.position.global_step
        before = self.head
        if before.checkpoints and step < before.checkpoints[-1].step:
            raise ValueError(f"step {step} is older than {before.last}; restore before saving")
        dir = CheckpointDir(step, self.attempt, self._around.nonce())
        written = write_checkpoint(
            self._store,
            dir,
            state,
            head=before,
            provenance=self.provenance,
            metrics=metrics,
            best=best,
            created=self._around.timestamp(),
            uploads=self._around.uploads,
        )
        kept = apply_retention(before.checkpoints, written.entry, keep_last=self._keep_last)

        def entered(head: Head) -> Head:
            head = with_checkpoints(head, kept, best=written.best)
            return head if status is None else replace(head, status=status, reason=reason)

        head = self._lease.update(entered)
        result = SaveResult(dir.path, step, written.num_bytes, self._around.now() - started)
        log.info(
            "checkpoint committed",
            extra={
                "step": step,
                "dir": result.dir,
                "bytes": result.bytes,
                "seconds": result.seconds,
            },
        )
        self._objects[dir.path] = written.names
        self._drop_unneeded(head)
        return result

    def _drop_unneeded(self, head: Head) -> None:
        unneeded = garbage.unneeded(self._objects, head)
        self._garbage += unneeded
        self._objects = garbage.without(self._objects, unneeded)

    def collect_garbage(self) -> None:
        """Deletes what is not needed any more; a failure is logged and costs only space.

        Raises:
            PreemptedError: SIGTERM arrived while the store did not answer.
            InterruptedByUserError: The same for Ctrl-C.
        """
        unneeded, self._garbage = self._garbage, []
        garbage.delete_objects(self._store, unneeded)

    def begin_training(self) -> None:
        """Enters in HEAD that this attempt trains: it must commit something, or it counts.

        Raises:
            FencedError: A newer attempt holds the run.
        """
        self._lease.update(lambda head: replace(head, has_trained=True))

    def finish(
        self,
        status: Status,
        reason: str,
        *,
        results: Mapping[str, str] | None = None,
        facts: Mapping[str, Json] | None = None,
    ) -> None:
        """Enters in HEAD how the attempt ended; a later start decides from HEAD alone.

        Args:
            status: The status of the run.
            reason: Why, for people.
            results: Newest version of result files, by fixed name, from `files.publish`.
            facts: What a later start needs to know: outcome, epochs, global_step, settings.

        Raises:
            FencedError: A newer attempt holds the run.
        """
        self._lease.update(
            lambda head: replace(
                head,
                status=status,
                reason=reason,
                facts=facts or {},
                results={**head.results, **(results or {})},
            )
        )
        if results:
            listed = [one.name for one in self._store.list(RESULTS)]
            self._garbage += garbage.old_results(listed, self.head)


def _listed_in(head: Head, listing: DirListing) -> dict[str, Sequence[str]]:
    dirs = head.referenced_dirs - {one.dir for one in head.rejected}
    return {dir: listing.objects.get(dir, (COMMIT,)) for dir in dirs}
