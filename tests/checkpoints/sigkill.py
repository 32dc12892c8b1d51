"""Kills processes that train in a folder, each at another call to the operating system.

    python -m tests.checkpoints.sigkill FOLDER [--every N]

A call of a store is several of the system: a file is opened, written, forced to disk, renamed.
Each process is killed before call number 1, 2, ... or, where that writes, with half of the
bytes written. The run that is left is then trained to its end. Prints how many were killed.

They fork from this one, which is a program of its own because of that: it has one thread, and
has imported everything.
"""

import argparse
import itertools
import mmap
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from job.storage.local import FileStore
from tests.checkpoints.enumeration import STOP_AT, check_found
from tests.checkpoints.tiny_run import Attempt

CALLS = (
    "open", "write", "pwrite", "ftruncate", "fsync", "utime", "rename", "mkdir", "unlink",
    "rmdir", "scandir", "close",
)  # fmt: skip


class Killed:
    """A process that is killed at call number `kill_at` of the system, counted from 1."""

    def __init__(self, kill_at: int) -> None:
        self._left = kill_at

    def install(self) -> None:
        """Watches the calls that a store makes."""
        for name in CALLS:
            setattr(os, name, self._watched(getattr(os, name), is_write=name == "write"))

    def _watched(self, call: Callable[..., Any], *, is_write: bool) -> Callable[..., Any]:
        def watched(*args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                if is_write:
                    call(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **options)

        return watched


class NotingAttempt(Attempt):
    """Writes the step of each save that has returned to memory that outlives the process."""

    def _save(self, *args: Any) -> None:
        super()._save(*args)
        DURABLE[0] = self.durable


# Shared with the processes.
DURABLE = mmap.mmap(-1, 1)


def train_and_die(folder: Path, kill_at: int) -> bool:
    """Whether the process was killed; else the run has ended before."""
    DURABLE[0] = 0
    process = os.fork()
    if process == 0:
        code = 1
        try:
            Killed(kill_at).install()
            store = FileStore(folder)
            NotingAttempt(store, "first", stop_at=STOP_AT).train()
            NotingAttempt(store, "second").train()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    assert status in (0, signal.SIGKILL), f"the process ended with {status}"
    return status == signal.SIGKILL


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills processes that train in a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--every", type=int, default=1, help="7: at the first call, the 8th ..."
    )
    arguments = parser.parse_args()
    # A process that dies takes nothing with it that the kernel has; only a power cut would.
    os.fsync = lambda fd: None
    for kill_at in itertools.count(1, arguments.every):
        folder = arguments.folder / f"{kill_at}"
        if not train_and_die(folder, kill_at):
            break
        check_found(FileStore(folder), durable=DURABLE[0])
        shutil.rmtree(folder)
    print((kill_at - 1) // arguments.every)  # noqa: T201 - its one output


if __name__ == "__main__":
    main()
