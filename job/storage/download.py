"""Downloads one object to one file, which is then known to be its copy.

The modification time of a copy stands for the generation of the object::

    if not is_copy(path, seen):
        download(store, seen, path=path, partial=partial, check=check)
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from job.storage.filesystem import chunks_of, crc32c_of, replacing
from job.storage.object_store import ListedObject, ObjectMissingError, ObjectStat, ObjectStore

# Each thread needs about twice as much memory.
PART_BYTES = 8 << 20


class _DamagedError(Exception):
    """The content that arrived is not the object's."""


def download(
    store: ObjectStore,
    source: ObjectStat,
    *,
    path: Path,
    partial: Path,
    received: Callable[[int], None],
) -> bool:
    """Copies an object to a file, which is replaced when all of the content is verified.

    Args:
        store: The store of the object.
        source: The object.
        path: Path of the copy.
        partial: Path of the incomplete copy.
        received: Called with the length of each part; an exception ends the download.

    Returns:
        Whether it was copied; False if it was replaced meanwhile or arrived damaged.

    Raises:
        JobError: The store fails.
        OSError: The file cannot be written.
    """
    try:
        with replacing(path, partial=partial) as file:
            for start in range(0, source.size, PART_BYTES):
                length = min(PART_BYTES, source.size - start)
                data = store.read_range(
                    source.name, start=start, length=length, generation=source.generation
                )
                file.write(data)
                received(length)
            if (file.size, file.crc32c) != (source.size, source.crc32c):
                raise _DamagedError
            _stamp(file.fd, source.generation)
    except (ObjectMissingError, ValueError, _DamagedError):
        return False
    return True


def is_copy(path: Path, source: ListedObject) -> bool:
    """Whether a file is a copy of that generation, by its length and modification time."""
    info = _info(path)
    return (
        info is not None
        and info.st_size == source.size
        and info.st_mtime_ns == _time_of(source.generation)
    )


def is_same(path: Path, source: ObjectStat) -> bool:
    """Whether a file has an object's content; if so, it is stamped as a copy.

    For files copied by hand, and file systems that round modification times.
    """
    info = _info(path)
    if info is None or info.st_size != source.size:
        return False
    with path.open("rb", buffering=0) as file:
        if crc32c_of(chunks_of(file)) != source.crc32c:
            return False
    _stamp(path, source.generation)
    return True


def _info(path: Path) -> os.stat_result | None:
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info if stat.S_ISREG(info.st_mode) else None


def _time_of(generation: int) -> int:
    """The modification time in ns that stands for a generation, which is in microseconds."""
    return generation * 1000 % (1 << 62)


def _stamp(file: int | Path, generation: int) -> None:
    time_ns = _time_of(generation)
    os.utime(file, ns=(time_ns, time_ns))
