"""The right to write a run, held by compare-and-swap on one object.

HEAD.json carries the number of the attempt that may write. Taking over means writing a larger
number; an older attempt notices at its next write, because the generation it expects is gone.
No clock is involved, and it makes no difference how long the older one was away.
"""

import logging
from dataclasses import replace

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import HEAD
from job.checkpoints.records import RECORD_LIMIT_BYTES, Head, NewerSchemaError, dumps, parse
from job.errors import FencedError, StorageOutageError
from job.storage.object_store import (
    ObjectMissingError,
    ObjectStore,
    ObjectTooLargeError,
    PreconditionFailedError,
)

log = logging.getLogger(__name__)

_TRIES = 10


class Lease:
    """HEAD.json as this attempt last wrote it.

    Args:
        store: Where the run lives.
        head: What was written to take the run over.
        generation: Generation of that write.
    """

    def __init__(self, store: ObjectStore, head: Head, *, generation: int) -> None:
        self._store = store
        self._head = head
        self._generation = generation

    @property
    def head(self) -> Head:
        return self._head

    def write(self, wanted: Head) -> None:
        """Replaces HEAD, if this attempt still holds the run.

        What this attempt wrote last is the truth as long as nobody took over, so damage, an
        older copy of its own record or nothing at all is written over.

        Args:
            wanted: The new record; its `seq` is set here.

        Raises:
            FencedError: Another attempt holds the run.
            StorageOutageError: HEAD kept changing under us without another attempt.
        """
        wanted = replace(wanted, seq=self._head.seq + 1)
        data = dumps(wanted)
        for _ in range(_TRIES):
            try:
                written = self._store.write(HEAD, data, if_generation=self._generation)
            except PreconditionFailedError:
                if self._settle(data):
                    break
            else:
                self._generation = written.generation
                break
        else:
            raise StorageOutageError(
                f"{self._store.uri}/{HEAD} changed {_TRIES} times while it was written. Only "
                f"this attempt ({self._head.token}) may write it. Find what else does, and "
                f"start again: the run goes on from its last commit."
            )
        self._head = wanted

    def _settle(self, data: bytes) -> bool:
        """Finds out who changed HEAD: True if it was this very write, its answer lost."""
        try:
            found = self._store.read(HEAD, limit_bytes=RECORD_LIMIT_BYTES)
        except ObjectMissingError:
            self._generation = 0
            return False
        except ObjectTooLargeError:
            listed = self._store.list(HEAD)
            self._generation = listed[0].generation if listed else 0
            return False
        self._generation = found.generation
        if found.data == data:
            return True
        try:
            other = parse(Head, found.data)
        except NewerSchemaError as error:
            raise self._fenced_by_newer_version() from error
        except DamagedError as error:
            log.warning("head replaced", extra={"store": self._store.uri, "reason": str(error)})
            return False
        self._require_own(other)
        return False

    def verify(self) -> None:
        """Looks whether this attempt still holds the run; writes nothing.

        Raises:
            FencedError: Another attempt holds it.
        """
        try:
            found = self._store.read(HEAD, limit_bytes=RECORD_LIMIT_BYTES)
            other = parse(Head, found.data)
        except NewerSchemaError as error:
            raise self._fenced_by_newer_version() from error
        except (ObjectMissingError, ObjectTooLargeError, DamagedError):
            return  # no other attempt's record: the next write of HEAD puts it right
        self._require_own(other)

    def _fenced_by_newer_version(self) -> FencedError:
        # Not damage: this attempt's own version never wrote such a record.
        return FencedError(
            f"run '{self._head.run}': an attempt of a later version of the program took over "
            f"from attempt {self._head.token}. Only the newest attempt may write. Nothing is "
            f"lost: leave it to that one."
        )

    def _require_own(self, other: Head) -> None:
        mine = self._head
        if other.owner.nonce != mine.owner.nonce:
            raise FencedError(
                f"run '{mine.run}': attempt {other.token} on host '{other.owner.host}' (pid "
                f"{other.owner.pid}) took over from attempt {mine.token}. Only the newest "
                f"attempt may write. Nothing is lost: leave it to that one."
            )
