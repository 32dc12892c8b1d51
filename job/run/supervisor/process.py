"""The training process: started, listened to, signalled and reaped.

::

    process = TrainingProcess.start(["python", "-m", "job", "train", ...], env=env)
    for beat in process.beats(): ...
    process.signal(signal.SIGTERM)
    process.reap()   # None while it runs, then its exit code
"""

import contextlib
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Self

from job.run.supervisor.beat import FD, Beat, BeatReader

_RECEIVE_BYTES = 65_536


class TrainingProcess:
    """A process with a socket to it.

    Args:
        pid: Its id.
        end: This end of the socket.
    """

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self._end: socket.socket | None = end
        self._reader = BeatReader()

    @classmethod
    def start(cls, command: Sequence[str], *, env: Mapping[str, str]) -> Self:
        """Starts a process with its standard streams those of this one.

        It has a process group of its own, so a terminal's Ctrl-C reaches it once: from here.
        SIGTERM and SIGINT are blocked in it until it has handlers for them (see
        `training.signals`), so none is lost and none ends it halfway.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.set_inheritable(True)
            pid = os.posix_spawn(
                command[0],
                list(command),
                {**env, FD: str(theirs.fileno())},
                setpgroup=0,
                setsigmask=(signal.SIGTERM, signal.SIGINT),
            )
        ours.setblocking(False)
        return cls(pid, ours)

    @property
    def socket(self) -> socket.socket | None:
        """What becomes readable when there are beats; None once the process closed it."""
        return self._end

    def beats(self) -> list[Beat]:
        """The beats that arrived."""
        if self._end is None:
            return []
        try:
            data = self._end.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            data = b""
        if not data:
            self._end.close()
            self._end = None
        return self._reader.feed(data)

    def signal(self, number: int) -> None:
        """Sends a signal; one that has ended and is not reaped yet takes any."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it and what it started, whatever they do."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs.

        Process 1 of a container inherits orphans, so every child that has ended is reaped.
        """
        code = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return code
            if pid == 0:
                return code
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Lets go of the socket; a process that still runs ends itself."""
        if self._end is not None:
            self._end.close()
            self._end = None
