"""Keeps two processes from using the same run folder.

The lock is an `flock` on `run.lock`, not the existence of the file: the kernel releases it when
the process ends. The content of the file is the holder, for messages only::

    with RunLock(Path("runs/typos")):
        train()
"""

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from job.errors import PermissionDeniedError
from job.storage.filesystem import lock_exclusively, make_folders
from job.storage.os_errors import job_errors

NAME = "run.lock"


class RunLock:
    """Holds a run folder for this process.

    A forked child shares the lock and keeps it alive; children started with `exec` do not.

    Args:
        folder: The run's folder; made by `acquire` where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._fd: int | None = None

    @property
    def folder(self) -> Path:
        """Absolute path of the run folder."""
        return self._folder

    @property
    def is_held(self) -> bool:
        """Whether this process has the lock through this object."""
        return self._fd is not None

    def acquire(self) -> None:
        """Acquires the lock.

        Raises:
            PermissionDeniedError: Another live process holds it, or the folder is not ours.
            DiskFullError: There is no room for the lock file.
            ConfigError: The folder cannot be made, or its file system has no locks.
        """
        path = self._folder / NAME
        with job_errors("lock", path, folder=self._folder):
            make_folders(self._folder)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                if not lock_exclusively(fd, path=path, blocking=False):
                    raise PermissionDeniedError(self._refusal(os.pread(fd, 4096, 0)))
                _write_holder(fd)
            except BaseException:
                os.close(fd)
                raise
        self._fd = fd

    def release(self) -> None:
        """Releases the lock; removing the file would race with the next holder."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _refusal(self, content: bytes) -> str:
        return (
            f"the run folder '{self._folder}' is in use by {_holder(content)}. One process "
            f"at a time may train a run. Wait for it or stop it, or use another run.name."
        )


def _write_holder(fd: int) -> None:
    holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid()}) + "\n"
    os.ftruncate(fd, 0)
    os.pwrite(fd, holder.encode(), 0)


def _holder(content: bytes) -> str:
    try:
        holder = json.loads(content)
        return f"process {int(holder['pid'])} on host '{holder['host']}'"
    except (ValueError, KeyError, TypeError):
        # The holder has not written its name yet.
        return "another process that has not given its name yet"
