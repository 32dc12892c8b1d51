"""One object on its way into a mirror: in parts, by several threads, checked at the end.

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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from job.storage.filesystem import chunks_of, crc32c_of
from job.storage.object_store import ListedObject, ObjectMissingError, ObjectStat, ObjectStore
from job.storage.os_errors import DATA, job_errors

# Each thread holds about twice as much in memory.
PART_BYTES = 4 << 20
_DONE = b"\x01"


@dataclass(frozen=True)
class Part:
    """A part of an object that is to be copied.

    Attributes:
        copy: What it is a part of.
        number: Its place among the parts.
        length: Bytes of it; 0 for the only part of an empty object.
    """

    copy: "Copy"
    number: int
    length: int

    def fetch(self) -> "Part":
        """Copies it, and ends the copy when it was the last part missing."""
        self.copy.fetch(self)
        return self


def parts_name(path: Path) -> str:
    """What the parts of a copy are called up to a hyphen, for any generation of the object.

    Args:
        path: What the copy is to be called.
    """
    return hashlib.sha256(str(path).encode()).hexdigest()[:32]


class Copy:
    """The copying of one generation of an object.

    What has arrived is on disk with a mark for each part, so that a later process does not
    copy it again. After a power cut a mark may be there without its part: the checksum of the
    whole tells, and then nothing of it is kept.

    Args:
        store: Where the object is.
        source: Which one.
        path: What the copy is to be called.
        mirror: The mirror, for messages.

    Attributes:
        is_whole: Whether the copy is in its place.
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
        """Length of the object."""
        return self._source.size

    def parts(self, *, partial: Path) -> list[Part]:
        """The parts that have not arrived yet; at least one, so that the last one ends it.

        Args:
            partial: Folder for what has.

        Raises:
            JobError: It may not be written.
        """
        name = parts_name(self._path)
        self._content = partial / f"{name}-{self._source.generation}"
        self._marks = self._content.with_suffix(".parts")
        num_parts = max(1, -(-self.size // PART_BYTES))
        numbers = list(range(num_parts))
        with self._writing():
            if num_parts > 1:
                arrived = self._arrived()
                numbers = [number for number in numbers if number not in arrived]
                numbers = numbers or [num_parts - 1]
        self._num_left = len(numbers)
        return [
            Part(self, number, min(PART_BYTES, self.size - number * PART_BYTES))
            for number in numbers
        ]

    def fetch(self, part: Part) -> None:
        """Copies a part; a copy that cannot be made whole is given up in silence."""
        if self._is_lost:
            return
        start = part.number * PART_BYTES
        try:
            data = b""
            if part.length:
                data = self._store.read_range(
                    self.name,
                    start=start,
                    length=part.length,
                    generation=self._source.generation,
                )
        except (ObjectMissingError, ValueError):  # replaced since it was looked at
            self._is_lost = True
            return
        with self._writing():
            _write_at(self._content, data, start=start)
            if self.size > PART_BYTES:
                _write_at(self._marks, _DONE, start=part.number)
            with self._lock:
                self._num_left -= 1
                is_last = self._num_left == 0
            if is_last:
                self._end()

    def _arrived(self) -> set[int]:
        """Numbers of the parts that an earlier process has copied."""
        marks = self._marks.read_bytes() if self._marks.exists() else b""
        return {number for number, mark in enumerate(marks) if mark == _DONE[0]}

    def _end(self) -> None:
        """Checks what has arrived and gives it its name."""
        with self._content.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if (size, crc32c_of(chunks_of(file))) == (self.size, self._source.crc32c):
                os.fsync(file.fileno())
                self.is_whole = True
        self._marks.unlink(missing_ok=True)
        if not self.is_whole:
            self._content.unlink()
            return
        _stamp(self._content, self._source.generation)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._content, self._path)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with job_errors(
            "write",
            self._path,
            folder=self._mirror,
            num_bytes=self.size,
            purpose=DATA.at("data.mirror"),
        ):
            yield


def is_copy(path: Path, source: ListedObject) -> bool:
    """Whether a file is a copy of that generation, by its length and time alone."""
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
    """Whether a file has an object's content, by reading it; it counts as a copy then.

    As after copying by hand, or on a file system that keeps times less exactly.
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
    """The modification time in ns that says a generation, which is in microseconds."""
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
