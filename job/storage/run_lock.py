"""Keeps two processes from using the same run folder.

The lock is an `flock` on `run.lock`, not the existence of the file: the kernel releases it when
the process ends. The content of the file is the holder, for messages only::

    with RunLock(Path("runs/typos")):
        train()
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from job.errors import LockHeldError
from job.storage.filesystem import lock_exclusively, make_folders
from job.storage.os_errors import job_errors

log = logging.getLogger(__name__)

NAME = "run.lock"
WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.5


class RunLock:
    """Holds a run folder for this process.

    A forked child shares the lock and keeps it alive; children started with `exec` do not.

    Args:
        folder: The run's folder; made by `acquire` where it is missing.
        host: Name of where this process runs; "" for the host's own name.
        job_uid: UID of the Kubernetes Job of this process; "" outside a cluster.
        wait_seconds: How long `acquire` waits for another holder.
        check_stop: Called while waiting; may raise to stop.
        sleep: Waits for so many seconds.
        monotonic: Clock in seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "",
        job_uid: str = "",
        wait_seconds: float = WAIT_SECONDS,
        check_stop: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder.absolute()
        self._host = host or socket.gethostname()
        self._job_uid = job_uid
        self._wait_seconds = wait_seconds
        self._check_stop, self._sleep, self._monotonic = check_stop, sleep, monotonic
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
        """Acquires the lock; waits for another holder, and logs once that it does.

        Raises:
            LockHeldError: Another live process still holds it after `wait_seconds`.
            PermissionDeniedError: The folder is not ours.
            DiskFullError: There is no room for the lock file.
            ConfigError: The folder cannot be made, or its file system has no locks.
        """
        path = self._folder / NAME
        with job_errors("lock", path, folder=self._folder):
            make_folders(self._folder)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                self._wait_for_lock(fd, path=path)
                self._write_holder(fd)
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

    def _wait_for_lock(self, fd: int, *, path: Path) -> None:
        # Polled, not blocking: a blocking flock has no time limit.
        started = self._monotonic()
        is_logged = False
        while not lock_exclusively(fd, path=path, blocking=False):
            left = started + self._wait_seconds - self._monotonic()
            holder = _holder(os.pread(fd, 4096, 0))
            if left <= 0.0:
                raise LockHeldError(
                    f"the run folder '{self._folder}' is in use by {holder}, also after "
                    f"waiting for {self._wait_seconds:.0f} s. One process at a time may train "
                    f"a run. Stop that process or wait for its end, or use another run.name."
                )
            if not is_logged:
                is_logged = True
                log.warning(
                    "run folder in use, waiting",
                    extra={
                        "folder": str(self._folder),
                        "holder": holder,
                        "wait_seconds": self._wait_seconds,
                    },
                )
            self._check_stop()
            self._sleep(min(left, _POLL_SECONDS))

    def _write_holder(self, fd: int) -> None:
        holder = {"host": self._host, "pid": os.getpid(), "job": self._job_uid}
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{json.dumps(holder)}\n".encode(), 0)


def _holder(content: bytes) -> str:
    try:
        holder = json.loads(content)
        job = f" of Job {holder['job']}" if holder.get("job") else ""
        return f"process {int(holder['pid'])} on host '{holder['host']}'{job}"
    except (ValueError, KeyError, TypeError, AttributeError):
        # The holder has not written its name yet.
        return "another process that has not given its name yet"
