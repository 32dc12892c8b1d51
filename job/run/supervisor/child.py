"""The training process' end of the line to its supervisor.

A process without a supervisor has no line, and nothing here does anything::

    line = line_of(os.environ)
    with Beats(line, health=health, stop=stop, step=lambda: None) as beats:
        beats.port = server.start()
"""

import contextlib
import faulthandler
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from job.errors import ConfigError, ExitCode
from job.run.supervisor.beat import FD, PORT, Beat
from job.telemetry.health import Health
from job.telemetry.metric_definitions import Phase
from job.training.signals import StopSignal

BEAT_SECONDS = 1.0


@dataclass(frozen=True)
class Line:
    """The line to the supervisor.

    Attributes:
        socket: This process' end.
        port: Where the supervisor serves metrics; 0 if it does not.
    """

    socket: socket.socket
    port: int


def line_of(env: MutableMapping[str, str]) -> Line | None:
    """The line that `env` describes, which is taken out of it; None without a supervisor.

    Raises:
        ConfigError: Somebody else set the variables.
    """
    text, port = env.pop(FD, None), env.pop(PORT, "0")
    if text is None:
        return None
    try:
        line = Line(socket.socket(fileno=int(text)), int(port))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{FD}: {text!r} is no open socket ({error}). Only a supervisor sets it: unset it."
        ) from error
    line.socket.set_inheritable(False)
    line.socket.setblocking(False)
    return line


class Beats:
    """Tells the supervisor every second that threads run here; ends with the supervisor.

    A listener of the run, for its phase.

    Args:
        line: The line; None does nothing.
        health: Answers the probes.
        stop: Knows with which code the process would leave.
        step: Returns the global step; None before training.
        leave: Ends the process with an exit code, at once.

    Attributes:
        port: Where this process serves its metrics.
    """

    def __init__(
        self,
        line: Line | None,
        *,
        health: Health,
        stop: StopSignal,
        step: Callable[[], int | None],
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self.port = 0
        self._line = line
        self._health = health
        self._stop = stop
        self._step = step
        self._leave = leave
        self._phase: Phase = "initializing"
        self._number = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beats", daemon=True)

    def set_phase(self, phase: Phase) -> None:
        """The run does something else from now on."""
        self._phase = phase

    def __enter__(self) -> Self:
        if self._line is not None:
            # Runs in the signal's handler itself: also while a thread holds Python's lock.
            faulthandler.register(
                signal.SIGUSR2, file=sys.__stderr__ or 2, all_threads=True, chain=False
            )
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._line is None:
            return
        self._ended.set()
        with contextlib.suppress(OSError):  # the supervisor may be gone
            self._line.socket.shutdown(socket.SHUT_RD)  # wakes the thread
        self._thread.join()
        self._line.socket.close()

    def _run(self) -> None:
        if self._line is None:
            return
        end = self._line.socket
        while True:
            self._send(end)
            readable, _, _ = select.select([end], [], [], BEAT_SECONDS)
            if self._ended.is_set():
                self._send(end)
                return
            if readable and _is_closed(end):
                # Nobody restarts or stops this process any more, and nobody sees its metrics.
                self._leave(ExitCode.STALLED)
                return

    def _send(self, end: socket.socket) -> None:
        self._health.alive()  # the supervisor answers `/livez` in the place of this process
        self._number += 1
        beat = Beat(
            self._number,
            activity=self._phase,
            port=self.port,
            step=self._current_step(),
            leave=int(self._stop.code_at_once(signal.SIGTERM)),
            startup=self._health.startup(),
            ready=self._health.ready(),
        )
        # A supervisor that is paused reads nothing; one that is gone is noticed by `_run`.
        with contextlib.suppress(OSError):
            end.send(beat.line())

    def _current_step(self) -> int | None:
        try:
            return self._step()
        except Exception:  # noqa: BLE001 - without beats the run would be killed
            return None


def _is_closed(end: socket.socket) -> bool:
    """Whether the other end of a readable socket is gone; it never sends anything."""
    try:
        return not end.recv(64)
    except BlockingIOError:
        return False
    except OSError:  # a reset: beats were left unread there
        return True
