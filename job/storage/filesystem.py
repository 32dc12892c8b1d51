"""Making folders and files so that they survive a power cut.

A new folder's name is in its parent, so the parent has to be forced to disk, not the folder.
"""

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
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


def write_all(fd: int, data: bytes) -> None:
    """Writes all of `data` to an open file.

    Raises:
        OSError: As `os.write` does.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


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
