"""The right to write a run, held by compare-and-swap on one object.

HEAD.json carries the number of the attempt that may write. A takeover writes a larger number;
the older attempt notices at its next write, because the generation it expects is gone. No clock
is involved, and the time an attempt was paused for does not matter.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

import google_crc32c

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import CONFIG, HEAD
from job.checkpoints.records import RECORD_LIMIT_BYTES, Head, NewerSchemaError, dumps, parse
from job.checkpoints.restore import read_stored
from job.checkpoints.surroundings import Surroundings
from job.errors import CheckpointError, FencedError, StorageOutageError
from job.storage.object_store import (
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    ObjectTooLargeError,
    PreconditionFailedError,
)

log = logging.getLogger(__name__)

_TRIES = 10


def write_if_generation(
    store: ObjectStore, name: str, data: bytes, *, if_generation: int
) -> ObjectStat | None:
    """Writes an object, and recognises an own write whose response was lost.

    A repeated request fails its precondition when the first one got through. Then the object
    has exactly these bytes: every record contains a nonce, and no two saves share a name.

    Returns:
        What the store holds now; None if the precondition failed because of another writer.
    """
    try:
        return store.write(name, data, if_generation=if_generation)
    except PreconditionFailedError:
        found = store.stat(name)
    if found is None or (found.size, found.crc32c) != (len(data), google_crc32c.value(data)):
        return None
    if len(data) > RECORD_LIMIT_BYTES:
        return found
    # A CRC is not proof enough for HEAD, which every attempt writes.
    try:
        stored = store.read(name, limit_bytes=len(data))
    except (ObjectMissingError, ObjectTooLargeError):
        return None
    return replace(found, generation=stored.generation) if stored.data == data else None


class Lease:
    """HEAD.json as this attempt last wrote it; safe to use from several threads.

    Args:
        store: The run directory.
        head: The record that took the run over.
        generation: Generation of that write.
        around: Clocks, and the least time between two writes of HEAD.
    """

    def __init__(
        self,
        store: ObjectStore,
        head: Head,
        *,
        generation: int,
        around: Surroundings,
    ) -> None:
        self._store = store
        self._head = head
        self._generation = generation
        self._around = around
        self._written = around.now()
        self._lock = threading.Lock()

    @property
    def head(self) -> Head:
        return self._head

    def update(self, change: Callable[[Head], Head]) -> Head:
        """Replaces HEAD if this attempt still holds the run.

        This attempt's last HEAD is the truth until another attempt takes over. Damage or an
        older copy of that record is therefore overwritten. A missing HEAD is written again only
        if config.json of this run is still there.

        Args:
            change: The new record from the current one; `seq` and `written` are set here.

        Returns:
            The record as written.

        Raises:
            FencedError: Another attempt holds the run, or the run was removed.
            StorageOutageError: Something that is not an attempt kept changing HEAD.
        """
        with self._lock:
            early = self._written + self._around.head_seconds - self._around.now()
            if early > 0.0:
                self._around.sleep(early)
            self._written = self._around.now()
            wanted = replace(
                change(self._head), seq=self._head.seq + 1, written=self._around.timestamp()
            )
            self._generation = self._write(dumps(wanted))
            self._head = wanted
            return wanted

    def _write(self, data: bytes) -> int:
        generation = self._generation
        for _ in range(_TRIES):
            written = write_if_generation(self._store, HEAD, data, if_generation=generation)
            if written is not None:
                return written.generation
            generation = self._require_no_other_attempt(replaces=True)
        raise StorageOutageError(
            f"{self._store.uri}/{HEAD} changed {_TRIES} times during one write. Only attempt "
            f"{self._head.token} may write it. Find the other writer and start again; the run "
            "resumes from its last commit."
        )

    def verify(self) -> None:
        """Checks that this attempt still holds the run; writes nothing.

        Raises:
            FencedError: Another attempt holds it, or the run was removed.
        """
        with self._lock:
            self._require_no_other_attempt(replaces=False)

    def _require_no_other_attempt(self, *, replaces: bool) -> int:
        """Returns the generation of HEAD, 0 if missing; raises if another attempt wrote it."""
        try:
            found = self._store.read(HEAD, limit_bytes=RECORD_LIMIT_BYTES)
        except ObjectMissingError:
            self._require_not_removed()
            return 0
        except ObjectTooLargeError:
            listed = self._store.list(HEAD)
            return listed[0].generation if listed else 0
        try:
            self._require_own(parse(Head, found.data))
        except NewerSchemaError as error:
            # Not damage: this version of the program never wrote such a record.
            raise FencedError(
                f"run '{self._head.run}': an attempt of a newer version of the program took "
                f"over from attempt {self._head.token}. Only the newest attempt may write. "
                "Nothing is lost; let that attempt continue."
            ) from error
        except DamagedError as error:
            if replaces:
                facts = {"store": self._store.uri, "reason": str(error)}
                log.warning("head replaced", extra=facts)
        return found.generation

    def _require_not_removed(self) -> None:
        """Tells a lost HEAD from a deleted run, whose successor must not inherit anything."""
        try:
            stored = read_stored(self._store)
        except CheckpointError:
            return  # damaged, so not removed
        if stored is None or stored.lineage != self._head.lineage:
            raise FencedError(
                f"run '{self._head.run}': the run was removed from {self._store.uri} while "
                f"this process trained it ({HEAD} and this run's {CONFIG} are gone). Nothing "
                "more is written. Start the run again if that was a mistake."
            )

    def _require_own(self, other: Head) -> None:
        mine = self._head
        if other.owner.nonce != mine.owner.nonce:
            raise FencedError(
                f"run '{mine.run}': attempt {other.token} on host '{other.owner.host}' (pid "
                f"{other.owner.pid}) took over from attempt {mine.token}. Only the newest "
                "attempt may write. Nothing is lost; let that attempt continue."
            )
