"""Copies objects of a bucket into a folder of this machine, so readers open local files only.

The path of a copy is the mirror, the bucket and the object's name. A copy with the size and
generation of its object is not downloaded again. A download is verified by the bucket's
checksum and then renamed to its path. Objects that a killed process had completed are kept; an
object that it was downloading starts again::

    mirror = open_mirror(
        "gs://sets/faces", folder=None, access=ParallelDownloader(), key="data.root")
    found = mirror.fetch(["a.png", "b.png"])
"""

import functools
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from job.config.uris import scheme_of
from job.errors import (
    ConfigError,
    DataError,
    JobError,
    PermissionDeniedError,
    StorageOutageError,
)
from job.storage.download import download, is_copy, is_same
from job.storage.filesystem import lock_exclusively, make_folders
from job.storage.object_store import ListedObject, ObjectStat, ObjectStore
from job.storage.os_errors import DATA, job_errors
from job.storage.parallel import ParallelDownloader

log = logging.getLogger(__name__)

KEY = "data.mirror"
# Bucket names do not begin with a dot, so these are never copies.
_LOCK = ".lock"
_PARTIAL = ".partial"
# An object may be replaced or damaged while it is copied, but not every time.
_TRIES = 3
_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_LOCKS = 0.5


@dataclass(frozen=True)
class FileProblem:
    """Why a path leads to no file that may be read.

    Attributes:
        reason: `outside` data.root, or `missing`: there is no such file, or it is none.
        detail: What was received and what is wrong with it.
        advice: What to do; a sentence or two.
    """

    reason: Literal["outside", "missing"]
    detail: str
    advice: str

    def error(self, key: str) -> JobError:
        """The error for a path of the configuration, given under `key`."""
        kind = ConfigError if self.reason == "outside" else DataError
        return kind(f"{key}: {self.detail}. {self.advice}")


class Mirror:
    """Copies of the objects below one URI.

    Args:
        store: The objects.
        folder: The mirror; several stores may share it.
        place: Folder below the mirror for the copies of this store: bucket and prefix.
        access: How to wait, and when to stop.
    """

    def __init__(
        self, store: ObjectStore, *, folder: Path, place: str, access: ParallelDownloader
    ) -> None:
        self.store, self._access = store, access
        self._mirror = folder.absolute()
        self.folder = self._mirror / place

    def fetch(self, names: Iterable[str]) -> dict[str, Path | FileProblem]:
        """Downloads objects unless the mirror has their current generation.

        Args:
            names: Names below the store, repeats allowed.

        Returns:
            For each name its copy, or why there is none.

        Raises:
            ConfigError: There is no such bucket, or something is in the mirror's way.
            DiskFullError: There is no room for a copy.
            PermissionDeniedError: The bucket or the mirror refuses.
            StorageOutageError: The bucket does not answer.
        """
        with self._locked():
            return self._fetched(dict.fromkeys(names))

    def fetch_below(self, prefix: str) -> int:
        """Makes a folder of the mirror equal to the bucket: downloads, and removes the rest.

        Args:
            prefix: Folder below the store, without a slash at its end; "" for all of it.

        Returns:
            The number of objects.

        Raises:
            JobError: As `fetch` does.
        """
        with self._locked():
            listed = {one.name: one for one in self.store.list(f"{prefix}/" if prefix else "")}
            self._remove_others(self.folder / prefix, listed)
            self._fetched(listed)
        return len(listed)

    def _fetched(
        self, wanted: Mapping[str, ListedObject | None]
    ) -> dict[str, Path | FileProblem]:
        started = self._access.monotonic()
        found: dict[str, Path | FileProblem] = {}
        absent: list[ObjectStat] = []
        for name, seen in self._access.in_parallel(self._look, wanted.items()):
            if isinstance(seen, ObjectStat):
                absent.append(seen)
            else:
                found[name] = seen
        self._remove_partial()
        progress = _Progress(self.store.uri, absent, access=self._access)
        copy = functools.partial(self._copy, progress=progress)
        num_bytes = num_copied = 0
        for name, result, size in self._access.in_parallel(copy, absent):
            found[name] = result
            num_bytes += size
            num_copied += isinstance(result, Path)
        log.info(
            "data mirrored",
            extra={
                "source": self.store.uri,
                "folder": str(self.folder),
                "files": len(found),
                "copied": num_copied,
                "bytes": num_bytes,
                "seconds": round(self._access.monotonic() - started, 3),
            },
        )
        return found

    def _look(
        self, item: tuple[str, ListedObject | None]
    ) -> tuple[str, Path | FileProblem | ObjectStat]:
        """The copy of an object, or the object if it has to be downloaded."""
        name, listed = item
        path = self.folder / name
        with job_errors("read", path, folder=self._mirror, purpose=DATA.at(KEY)):
            if listed is not None and is_copy(path, listed):
                return name, path
            seen = self.store.stat(name)
            if seen is None:
                detail = f"there is no object {name!r} in {self.store.uri}"
                return name, FileProblem("missing", detail, "Check the path and the bucket.")
            return name, path if is_copy(path, seen) or is_same(path, seen) else seen

    def _copy(
        self, source: ObjectStat, *, progress: "_Progress"
    ) -> tuple[str, Path | FileProblem, int]:
        """Downloads an object: its name, its copy or why there is none, and its length."""
        name, path = source.name, self.folder / source.name
        seen: Path | FileProblem | ObjectStat = source
        for _ in range(_TRIES):
            if not isinstance(seen, ObjectStat):  # deleted since it was looked up
                return name, seen, 0
            with job_errors(
                "write", path, folder=self._mirror, num_bytes=seen.size, purpose=DATA.at(KEY)
            ):
                # Each thread writes one file at a time; a name in a bucket may be too long.
                partial = self._mirror / _PARTIAL / str(threading.get_ident())
                if download(
                    self.store, seen, path=path, partial=partial, received=progress.add
                ):
                    return name, path, seen.size
            _, seen = self._look((name, None))
        raise StorageOutageError(
            f"{self.store.uri}/{name} was damaged or replaced each of the {_TRIES} times it "
            "was copied. Nobody may write there meanwhile. Check it and the network, and "
            "start again."
        )

    def _remove_partial(self) -> None:
        """Removes incomplete downloads of a killed process."""
        partial = self._mirror / _PARTIAL
        with job_errors("delete", partial, folder=self._mirror, purpose=DATA.at(KEY)):
            for path in partial.iterdir():
                path.unlink()

    def _remove_others(self, folder: Path, listed: Mapping[str, ListedObject]) -> None:
        """Removes copies of what the bucket no longer has."""
        with job_errors("delete", folder, folder=self._mirror, purpose=DATA.at(KEY)):
            for parent, folders, files in os.walk(folder, topdown=False):
                for name in files:
                    path = Path(parent, name)
                    if path.relative_to(self.folder).as_posix() not in listed:
                        path.unlink()
                for name in folders:
                    path = Path(parent, name)
                    if not path.is_symlink() and not any(path.iterdir()):
                        path.rmdir()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Locks the mirror: one process downloads, the others wait and find the copies."""
        path = self._mirror / _LOCK
        with job_errors("lock", path, folder=self._mirror, purpose=DATA.at(KEY)):
            make_folders(self._mirror / _PARTIAL)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            is_logged = False
            while not lock_exclusively(fd, path=path, blocking=False, purpose=DATA.at(KEY)):
                if not is_logged:
                    is_logged = True
                    log.info("mirror in use, waiting", extra={"folder": str(self._mirror)})
                self._access.check_stop()
                self._access.sleep(_SECONDS_BETWEEN_LOCKS)
            yield
        finally:
            os.close(fd)


class _Progress:
    """Logs from time to time how much was downloaded."""

    def __init__(
        self, source: str, absent: Iterable[ObjectStat], *, access: ParallelDownloader
    ) -> None:
        self._source, self._access = source, access
        self._of_bytes = sum(one.size for one in absent)
        self._lock = threading.Lock()
        self._done = 0
        self._logged = access.monotonic()

    def add(self, num_bytes: int) -> None:
        """Counts a part that a thread received; an exception ends the thread's download."""
        self._access.check_halted()
        with self._lock:
            self._done += num_bytes
            now = self._access.monotonic()
            if now - self._logged < _SECONDS_BETWEEN_LINES:
                return
            self._logged = now
            facts = {"bytes": self._done, "of_bytes": self._of_bytes}
            log.info("mirroring", extra={"source": self._source, **facts})


def open_mirror(
    uri: str, *, folder: str | None, access: ParallelDownloader, key: str
) -> Mirror:
    """The mirror of a URI; downloads nothing.

    Args:
        uri: `gs://bucket/prefix`.
        folder: `data.mirror`, relative to the working directory; None: a folder of the
            system's temporary folder.
        access: How the bucket is reached.
        key: Setting that names the URI, for messages.

    Raises:
        ConfigError: The URI names no bucket, an emulator is not allowed, or there is no
            temporary folder.
        PermissionDeniedError: The temporary folder's mirror is another user's.
    """
    store = access.open(uri, key=key)
    place = store.uri.removeprefix(scheme_of(store.uri))
    where = Path(folder) if folder is not None else _temporary_folder(store.uri)
    return Mirror(store, folder=where, place=place, access=access)


def _temporary_folder(uri: str) -> Path:
    """A folder of this user alone, the same for the same URI."""
    user = os.geteuid()
    digest = hashlib.sha256(f"{user} {uri}".encode()).hexdigest()[:16]
    try:
        folder = Path(tempfile.gettempdir(), f"siamese-data-{digest}")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{KEY}: is null, and this system has no temporary folder that can be written "
            f"({error}). Set {KEY} to a folder for copies of {uri}."
        ) from error
    with job_errors("write", folder, folder=folder.parent, purpose=DATA.at(KEY)):
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.lstat()
    # Every user may create names in there: a folder of another user is not trusted, nor is a
    # link, whose mode is 777.
    if info.st_uid != user or info.st_mode & 0o022:
        raise PermissionDeniedError(
            f"{KEY}: is null, and '{folder}' is not a folder of this user (id {user}) alone. "
            f"Remove it, or set {KEY} to a folder for copies of {uri}."
        )
    return folder
