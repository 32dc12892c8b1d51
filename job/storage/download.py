"""Downloads one object into a mirror: in parts, by several threads, verified at the end.

::

    copy = Copy(store, store.stat("values.npy"), path=path, mirror=mirror)
    for part in copy.parts(partial=mirror / ".partial"):
        part.fetch()
    copy.is_whole
"""

import hashlib
import os
import stat
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from job.storage.filesystem import chunks_of, crc32c_of
from job.storage.object_store import ListedObject, ObjectMissingError, ObjectStat, ObjectStore
from job.storage.os_errors import DATA, job_errors

# Each thread needs about twice as much memory.
PART_BYTES = 4 << 20


@dataclass(frozen=True)
class Part:
    """A part of an object that is to be copied.

    Attributes:
        copy: The copy it belongs to.
        start: Its first byte in the object.
        length: Length in bytes; 0 for the only part of an empty object.
    """

    copy: "Copy"
    start: int
    length: int

    def fetch(self) -> "Part":
        """Copies it; the last part completes the copy."""
        self.copy.fetch(self)
        return self


class Copy:
    """The download of one generation of an object.

    Args:
        store: The store of the object.
        source: The object.
        path: Path of the copy.
        mirror: The mirror, for messages.

    Attributes:
        is_whole: Whether the copy is verified and at its path.
    """

    def __init__(
        self, store: ObjectStore, source: ObjectStat, *, path: Path, mirror: Path
    ) -> None:
        self._store, self._source, self._path, self._mirror = store, source, path, mirror
        self._lock = threading.Lock()
        self._num_left = 0
        self._is_lost = False
        self.is_whole = False

    @property
    def name(self) -> str:
        """Name of the object."""
        return self._source.name

    @property
    def size(self) -> int:
        """Length of the object in bytes."""
        return self._source.size

    def parts(self, *, partial: Path) -> list[Part]:
        """The parts, at least one.

        Args:
            partial: Folder for incomplete downloads.
        """
        # Object names may be longer than file names.
        self._content = partial / hashlib.sha256(str(self._path).encode()).hexdigest()
        starts = range(0, max(1, self.size), PART_BYTES)
        self._num_left = len(starts)
        return [Part(self, start, min(PART_BYTES, self.size - start)) for start in starts]

    def fetch(self, part: Part) -> None:
        """Copies a part; a copy that cannot be completed is left to the next round."""
        if self._is_lost:
            return
        try:
            data = b""
            if part.length:
                data = self._store.read_range(
                    self.name,
                    start=part.start,
                    length=part.length,
                    generation=self._source.generation,
                )
        except (ObjectMissingError, ValueError):  # replaced since it was looked up
            self._is_lost = True
            return
        with self._writing():
            _write_at(self._content, data, start=part.start)
            with self._lock:
                self._num_left -= 1
                is_last = self._num_left == 0
            if is_last:
                self._complete()

    def _complete(self) -> None:
        """Verifies the content and renames it to its path."""
        with self._content.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if (size, crc32c_of(chunks_of(file))) != (self.size, self._source.crc32c):
                self._content.unlink()
                return
            os.fsync(file.fileno())
        _stamp(self._content, self._source.generation)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._content, self._path)
        self.is_whole = True

    def _writing(self) -> AbstractContextManager[None]:
        return job_errors(
            "write",
            self._path,
            folder=self._mirror,
            num_bytes=self.size,
            purpose=DATA.at("data.mirror"),
        )


def is_copy(path: Path, source: ListedObject) -> bool:
    """Whether a file is a copy of that generation, by its length and modification time."""
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (
        stat.S_ISREG(info.st_mode)
        and info.st_size == source.size
        and info.st_mtime_ns == _time_of(source.generation)
    )


def is_same(path: Path, source: ObjectStat) -> bool:
    """Whether a file has an object's content; if so, it is stamped as a copy.

    For files copied by hand, and file systems that round modification times.
    """
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode) or info.st_size != source.size:
            return False
        with path.open("rb", buffering=0) as file:
            if crc32c_of(chunks_of(file)) != source.crc32c:
                return False
        _stamp(path, source.generation)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _time_of(generation: int) -> int:
    """The modification time in ns that stands for a generation, which is in microseconds."""
    return generation * 1000 % (1 << 62)


def _stamp(path: Path, generation: int) -> None:
    time_ns = _time_of(generation)
    os.utime(path, ns=(time_ns, time_ns))


def _write_at(path: Path, data: bytes, *, start: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            num_bytes = os.pwrite(fd, rest, start)
            rest, start = rest[num_bytes:], start + num_bytes
    finally:
        os.close(fd)
