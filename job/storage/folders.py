"""Making folders and files so that they survive a power cut.

A new folder's name is in its parent, so the parent has to be forced to disk, not the folder.
"""

import os
from contextlib import suppress
from pathlib import Path


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
