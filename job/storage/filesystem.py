"""Making folders and files so that they survive a power cut.

A new folder's name is in its parent, so the parent has to be forced to disk, not the folder.
"""

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from job.errors import ConfigError
from job.storage.os_errors import NO_FLOCK, RUNS, MessageContext


def make_folders(folder: Path) -> None:
    """Makes a folder and its missing parents, durably; an existing one is left as it is.

    Raises:
        OSError: As `os.mkdir` and `os.fsync` do.
    """
    if folder.is_dir():
        return
    make_folders(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        sync_folder(folder.parent)


class NewFile:
    """A file that is being written.

    NumPy writes to any object other than a file of Python's in chunks, and an error keeps its
    errno, which `ndarray.tofile` drops.

    Attributes:
        fd: Descriptor of the open file.
        size: Bytes written.
        crc32c: Castagnoli CRC of the bytes written.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = self.crc32c = 0

    def write(self, data: bytes) -> int:
        """Appends all of `data`.

        Raises:
            OSError: As `os.write` does.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.fd, rest) :]
        self.crc32c = google_crc32c.extend(self.crc32c, bytes(data))
        self.size += len(data)
        return len(data)


@contextmanager
def durable_file(path: Path) -> Iterator[NewFile]:
    """Creates or empties a file, and forces it to disk when the block succeeds.

    Raises:
        OSError: As `os.open`, `os.write` and `os.fsync` do.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        yield NewFile(fd)
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def replacing(path: Path, *, partial: Path) -> Iterator[NewFile]:
    """Writes a file that takes the name `path` when the block succeeds, complete and on disk.

    After an error `path` is as it was. A killed process leaves `partial`.

    Args:
        path: The file; missing folders are made.
        partial: Path of the incomplete file, on the same file system.

    Raises:
        OSError: As `durable_file` and `os.rename` do.
    """
    try:
        with durable_file(partial) as file:
            yield file
        make_folders(path.parent)
        os.rename(partial, path)
        sync_folder(path.parent)
    except Exception:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Forces a folder's list of names to disk.

    Raises:
        OSError: As `os.open` and `os.fsync` do.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock_exclusively(
    fd: int, *, path: Path, blocking: bool, purpose: MessageContext = RUNS
) -> bool:
    """Locks an open file.

    Args:
        fd: Descriptor of the open file.
        path: Its path, for the message.
        blocking: Whether to wait for another holder.
        purpose: What the folder is used for.

    Returns:
        False if another process holds the lock and `blocking` is off, else True.

    Raises:
        ConfigError: The file system has no locks.
        OSError: Anything else.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno in NO_FLOCK:
            raise ConfigError(
                f"cannot lock '{path}': its file system has no flock ({error.strerror}). It is "
                f"needed so that two processes never write {purpose.content} at once. Choose "
                f"a folder on a local disk, or on a mount with locking on ({purpose.key})."
            ) from error
        raise
    return True


# Plain reads of this size: what is read leaves memory again, unlike a mapped file's pages.
CHUNK_BYTES = 1 << 20


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """What is left of a file, `CHUNK_BYTES` at a time.

    Raises:
        OSError: As reading does.
    """
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def crc32c_of(chunks: Iterable[bytes]) -> int:
    """Castagnoli CRC of the chunks one after the other, in [0, 2**32)."""
    crc = 0
    for chunk in chunks:
        crc = google_crc32c.extend(crc, chunk)
    return crc
