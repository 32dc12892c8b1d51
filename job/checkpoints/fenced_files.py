"""Files of a run that are not checkpoints, written by the attempt that holds the run only.

A checkpoint's name is unique, so a late write of a fenced attempt harms nothing. Files such as
`quarantine.json` have fixed names: every change checks the lease first. Results have both: an
object of a unique name, which HEAD names, and a copy under the fixed name for people::

    files = FencedFiles(store, lease)
    files.write("quarantine.json", data)
    results = files.publish({"summary.json": data}, directory="results/0007-000001-1a2b3c4d")
    EpochFiles(files, directory="activations", keep=3, key="keep_epochs").write(7, data)
"""

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress

from job.checkpoints.lease import Lease, write_if_generation
from job.errors import (
    DiskFullError,
    FencedError,
    JobError,
    StopError,
    StorageOutageError,
)
from job.storage.object_store import (
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    PreconditionFailedError,
)

log = logging.getLogger(__name__)

_TRIES = 5


class FencedFiles:
    """Changes files while this attempt holds the run.

    The file is looked up first, the lease second: what a newer attempt writes after that has
    another generation, and the change fails its precondition.

    Args:
        store: The run directory.
        lease: The right to write it.
    """

    def __init__(self, store: ObjectStore, lease: Lease) -> None:
        self._store = store
        self._lease = lease

    def write(self, name: str, data: bytes) -> None:
        """Creates or replaces a file.

        Raises:
            FencedError: A newer attempt holds the run; nothing was written.
            StorageOutageError: Something that is not an attempt keeps writing the file.
        """
        self._change(
            name,
            lambda seen: self._store.write(
                name, data, if_generation=seen.generation if seen else 0
            ),
            doing="written",
        )

    def create(self, name: str, data: bytes) -> None:
        """Writes a file that a new run does not have yet; replaces it as `write` if it exists.

        A new file takes one request: it replaces nothing of a newer attempt, so nothing is
        looked up first.

        Raises:
            FencedError: A newer attempt holds the run and has this file.
            StorageOutageError: Something that is not an attempt keeps writing the file.
        """
        try:
            self._store.write(name, data, if_generation=0)
        except PreconditionFailedError:
            self.write(name, data)

    def publish(self, files: Mapping[str, bytes], *, directory: str) -> dict[str, str]:
        """Writes results under unique names, then replaces their copies under fixed names.

        Args:
            files: Content by fixed name.
            directory: A directory that was never used before.

        Returns:
            Unique name of each file, by fixed name: for HEAD.

        Raises:
            FencedError: A newer attempt holds the run; no copy was replaced after it began.
            StorageOutageError: Something that is not an attempt keeps writing a copy.
        """
        unique = {name: f"{directory}/{name}" for name in files}
        for name, data in files.items():
            write_if_generation(self._store, unique[name], data, if_generation=0)
        seen = {one.name: one.generation for one in self._store.list("")}
        self._lease.verify()
        for name, data in files.items():
            try:
                self._store.write(name, data, if_generation=seen.get(name, 0))
            except PreconditionFailedError:
                self.write(name, data)
        return unique

    def delete(self, name: str) -> None:
        """Deletes a file that may be gone already.

        Raises:
            FencedError: A newer attempt holds the run; nothing was deleted.
            StorageOutageError: Something that is not an attempt keeps writing the file.
        """

        def remove(seen: ObjectStat | None) -> None:
            if seen is not None:
                with suppress(ObjectMissingError):
                    self._store.delete(name, if_generation=seen.generation)

        self._change(name, remove, doing="removed")

    def list(self, prefix: str) -> list[str]:
        """Names of the files that begin with `prefix`, sorted."""
        return [listed.name for listed in self._store.list(prefix)]

    def _change(
        self, name: str, change: Callable[[ObjectStat | None], object], *, doing: str
    ) -> None:
        for _ in range(_TRIES):
            seen = self._store.stat(name)
            self._lease.verify()
            try:
                change(seen)
            except PreconditionFailedError:
                continue
            return
        raise StorageOutageError(
            f"{self._store.uri}/{name} changed {_TRIES} times while it was {doing}. Only the "
            "attempt that holds the run may write it. Find the other writer and start again."
        )


class EpochFiles:
    """One file per epoch, of which the newest few are kept.

    Files of later epochs than the one written stay: an attempt that resumed from an earlier
    checkpoint replaces them when it gets there.

    Args:
        files: Writes and deletes.
        directory: Where they are in the run directory.
        keep: Newest files kept, >= 1; None for all.
        key: Configuration key to change where there is no space, for messages.
        suffix: End of their names.
    """

    def __init__(
        self,
        files: FencedFiles,
        *,
        directory: str,
        keep: int | None,
        key: str,
        suffix: str = ".npz",
    ) -> None:
        self._files = files
        self._directory = directory
        self._keep = keep
        self._key = key
        self._suffix = suffix
        self._pattern = re.compile(
            rf"{re.escape(directory)}/epoch-([0-9]{{4,}}){re.escape(suffix)}"
        )

    def write(self, epoch: int, data: bytes) -> str:
        """Writes the file of an epoch, counted from 1, then deletes those that are too old.

        A process killed in between leaves one file too many, which the next write deletes. A
        file that cannot be deleted only costs space, so it is logged.

        Returns:
            The file's name in the run directory.

        Raises:
            FencedError: A newer attempt holds the run; its files stay unchanged.
            DiskFullError: There is no space for it.
            StorageOutageError: The store is down.
        """
        written = self._name(epoch)
        try:
            self._files.write(written, data)
        except DiskFullError as error:
            raise DiskFullError(
                f"{error} Or keep the files of fewer epochs ({self._key})."
            ) from error
        oldest = -1 if self._keep is None else epoch - self._keep
        for old in self.epochs() if oldest > 0 else ():
            if old <= oldest:
                try:
                    self._files.delete(self._name(old))
                except (FencedError, StopError):
                    raise
                except JobError as error:
                    facts = {"object": self._name(old), "reason": str(error)}
                    log.warning("object not deleted", extra=facts)
                    if isinstance(error, StorageOutageError):
                        break
        return written

    def delete_after(self, epoch: int) -> None:
        """Deletes the files of later epochs, which an attempt that went back has left.

        Raises:
            FencedError: A newer attempt holds the run; its files stay unchanged.
        """
        for later in self.epochs():
            if later > epoch:
                self._files.delete(self._name(later))

    def epochs(self) -> list[int]:
        """The epochs that have a file, ascending."""
        names = self._files.list(f"{self._directory}/")
        numbers = (int(found[1]) for name in names if (found := self._pattern.fullmatch(name)))
        # A name with more leading zeros than are written here is not ours.
        return sorted(number for number in set(numbers) if self._name(number) in names)

    def _name(self, epoch: int) -> str:
        return f"{self._directory}/epoch-{epoch:04d}{self._suffix}"
