"""Objects as files below a folder, with the same guarantees as a bucket.

A write goes to a temporary file, is forced to disk and renamed. A reader sees the old object or
the new one, and a crash or power cut leaves one of the two. Compare-and-swap holds between
processes on all machines that share the folder and its locks::

    store = FileStore(Path("runs/typos"))
    store.write("HEAD.json", b"{}", if_generation=0)

The first write creates the folder; reads never do. Names beginning with a dot are reserved for
the lock and the file being written.

Generations. The generation of an object is the modification time of its file in nanoseconds; a
second file could disagree with the first. The clock alone is not enough: two writes may fall
into one tick, and clocks go backwards. Every write therefore takes the store's lock and stamps
the file with the later of the clock and one tick after the object it replaces. A delete raises
the modification time of the lock file to that of the deleted object, and later writes exceed
both, so no generation is used twice.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from job.errors import ConfigError
from job.storage.filesystem import (
    chunks_of,
    crc32c_of,
    lock_exclusively,
    make_folders,
    replacing,
)
from job.storage.object_store import (
    ListedObject,
    ObjectMissingError,
    ObjectStat,
    ObjectTooLargeError,
    PreconditionFailedError,
    StoredObject,
    checked_name,
    checked_prefix,
    checked_range,
)
from job.storage.os_errors import job_errors

_LOCK = ".store-lock"
# One name is enough because all writes happen under the lock. The next write overwrites what a
# killed process left.
_PARTIAL = ".partial"
# Resolution of modification times: ext4 and xfs, SMB, old NFS servers.
_TICKS_NS = (1, 1_000, 1_000_000, 1_000_000_000)


class FileStore:
    """An `ObjectStore` in a folder.

    Args:
        folder: Where the objects are; a relative path is resolved now.
        now_ns: Wall clock in nanoseconds since the epoch.
    """

    def __init__(self, folder: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._folder = folder.absolute()
        self._now_ns = now_ns

    @property
    def uri(self) -> str:
        return self._folder.as_uri()

    def read(self, name: str, *, limit_bytes: int | None = None) -> StoredObject:
        path = self._path(name)
        with job_errors("read", path, folder=self._folder), self._opened(path) as fd:
            info = os.fstat(fd)
            if limit_bytes is not None and info.st_size > limit_bytes:
                raise ObjectTooLargeError(f"{name}: {info.st_size} bytes, limit {limit_bytes}")
            # The content cannot change: a write replaces the file.
            with open(fd, "rb", closefd=False) as file:
                return StoredObject(file.read(), info.st_mtime_ns)

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        path = self._path(name)
        with job_errors("read", path, folder=self._folder), self._opened(path) as fd:
            if os.fstat(fd).st_mtime_ns != generation:
                raise ObjectMissingError(f"{name}: generation {generation}")
            with open(fd, "rb", closefd=False) as file:
                file.seek(start)
                return checked_range(name, file.read(length), length)

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        path = self._path(name)
        with job_errors("write", path, folder=self._folder, num_bytes=len(data)):
            return self._write(name, (data,), if_generation)

    def write_file(self, name: str, path: Path, *, if_generation: int | None) -> ObjectStat:
        target = self._path(name)
        with job_errors("read", path, folder=path.parent), path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            with job_errors("write", target, folder=self._folder, num_bytes=size):
                return self._write(name, chunks_of(file), if_generation)

    def list(self, prefix: str) -> list[ListedObject]:
        checked_prefix(prefix)
        start = self._folder / prefix.rpartition("/")[0]
        with job_errors("list", start, folder=self._folder):
            found = [one for one in self._walk(start) if one.name.startswith(prefix)]
        return sorted(found, key=lambda one: one.name)

    def delete(self, name: str, *, if_generation: int | None) -> None:
        path = self._path(name)
        with job_errors("delete", path, folder=self._folder):
            if not self._folder.is_dir():
                raise ObjectMissingError(name)
            with self._locked() as lock:
                present = _generation(path)
                if present == 0:
                    raise ObjectMissingError(name)
                _checked_generation(path, if_generation)
                newest = max(present, os.fstat(lock).st_mtime_ns)
                os.utime(lock, ns=(newest, newest))
                path.unlink()
                self._prune(path.parent)

    def stat(self, name: str) -> ObjectStat | None:
        path = self._path(name)
        try:
            with job_errors("read", path, folder=self._folder), self._opened(path) as fd:
                info = os.fstat(fd)
                with open(fd, "rb", buffering=0, closefd=False) as file:
                    crc32c = crc32c_of(chunks_of(file))
        except ObjectMissingError:
            return None
        return ObjectStat(name, info.st_size, info.st_mtime_ns, crc32c)

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        try:
            # A link is not an object: following it would read files outside the run.
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ObjectMissingError(path.name) from None
        except NotADirectoryError:
            if self._folder.is_dir():
                raise ObjectMissingError(path.name) from None
            raise
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ObjectMissingError(path.name)
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        path = self._folder / _LOCK
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            lock_exclusively(lock, path=path, blocking=True)
            yield lock
        finally:
            os.close(lock)

    def _write(
        self, name: str, chunks: Iterable[bytes], if_generation: int | None
    ) -> ObjectStat:
        path = self._path(name)
        make_folders(self._folder)
        with self._locked() as lock:
            present = _checked_generation(path, if_generation)
            newest = max(present, os.fstat(lock).st_mtime_ns)
            try:
                with replacing(path, partial=self._folder / _PARTIAL) as file:
                    for chunk in chunks:
                        file.write(chunk)
                    generation = self._stamp(file.fd, newest=newest)
            except OSError:
                self._prune(path.parent)
                raise
            if _generation(path) != generation:
                raise ConfigError(
                    f"'{path}' was stamped {generation} ns and reads {_generation(path)} ns. A "
                    "run needs a file system that stores modification times exactly. Choose "
                    "another folder (run.root)."
                )
        return ObjectStat(name, file.size, generation, file.crc32c)

    def _stamp(self, fd: int, *, newest: int) -> int:
        """Sets the file's time to a generation above `newest` that the file system can keep."""
        for tick in _TICKS_NS:
            wanted = max(self._now_ns(), newest + tick)
            os.utime(fd, ns=(wanted, wanted))
            kept = os.fstat(fd).st_mtime_ns
            if kept > newest:
                return kept
        raise ConfigError(
            f"the file system of '{self._folder}' keeps no modification times later than "
            f"{newest} ns. A run tells old from new by them. Choose another folder (run.root)."
        )

    def _walk(self, folder: Path) -> Iterator[ListedObject]:
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        except NotADirectoryError:
            if self._folder.is_dir():
                return
            raise
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # deleted since the folder was read
                    info = entry.stat(follow_symlinks=False)
                    name = Path(entry.path).relative_to(self._folder).as_posix()
                    yield ListedObject(name, info.st_size, info.st_mtime_ns)

    def _prune(self, folder: Path) -> None:
        """Removes empty folders, which a bucket does not have."""
        with suppress(OSError):
            while folder != self._folder:
                folder.rmdir()
                folder = folder.parent


def _checked_generation(path: Path, if_generation: int | None) -> int:
    present = _generation(path)
    if if_generation is not None and present != if_generation:
        raise PreconditionFailedError(f"{path}: generation {present}, expected {if_generation}")
    return present


def _generation(path: Path) -> int:
    """Generation of a file; 0 if there is none."""
    try:
        # NFS answers `stat` from a cache that is seconds old, and asks the server at `open`.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        if error.errno == errno.ELOOP:
            return 0  # a link is not an object
        raise
    try:
        info = os.fstat(fd)
    finally:
        os.close(fd)
    return info.st_mtime_ns if stat.S_ISREG(info.st_mode) else 0
