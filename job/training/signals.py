"""Turns SIGTERM and Ctrl-C into a wish that the program grants at the next safe point.

A handler only notes the signal; `check` raises it where the state is whole. A second signal
leaves at once. TensorFlow may replace the handlers when a strategy is built, so `install` is
called again after that.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from job.errors import ExitCode, InterruptedByUserError, JobError, PreemptedError

# Time between tries, of the 15 s that spot nodes grant, for a store that may come back.
_PATIENCE_SECONDS = 8.0
_POLL_SECONDS = 0.1

_CODES = {signal.SIGTERM: ExitCode.PREEMPTED, signal.SIGINT: ExitCode.INTERRUPTED}


class StopSignal:
    """Whether somebody asked this process to stop, and how."""

    def __init__(self) -> None:
        self._signal: signal.Signals | None = None
        self._waited_seconds = 0.0
        self._is_immediate = False

    def install(self) -> None:
        """Handles SIGTERM and SIGINT from now on; main thread only."""
        for number in _CODES:
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(_CODES[signal.Signals(number)])
        self._signal = signal.Signals(number)
        if self._is_immediate:
            self.check()

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """For the block a signal raises where it arrives: nothing there can be left half done.

        Raises:
            PreemptedError: After SIGTERM.
            InterruptedByUserError: After Ctrl-C.
        """
        self._is_immediate = True
        try:
            self.check()
            yield
        finally:
            self._is_immediate = False

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return self._signal is not None

    @property
    def name(self) -> str:
        """Name of the signal that arrived, for logs; "" when none has."""
        return self._signal.name if self._signal else ""

    def error(self, done: str) -> JobError:
        """The error this stop ends the process with.

        Args:
            done: What is safe by now, for the message.
        """
        if self._signal is signal.SIGINT:
            return InterruptedByUserError(f"Interrupted (Ctrl-C). {done}")
        return PreemptedError(f"Stopped by SIGTERM. {done}")

    def check(self) -> None:
        """Raises when a signal has arrived.

        Raises:
            PreemptedError: After SIGTERM.
            InterruptedByUserError: After Ctrl-C.
        """
        if self._signal is not None:
            raise self.error("The same command goes on from the last checkpoint, if any.")

    def sleep(self, seconds: float) -> None:
        """Waits for something outside, and soon no more once a signal has arrived.

        Raises:
            PreemptedError: SIGTERM arrived, and what is waited for did not come back.
            InterruptedByUserError: Ctrl-C, likewise.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            step = min(left, _POLL_SECONDS)
            if self.requested:
                # Waiting counts, not the time since the signal: a commit that takes long and
                # meets one error on its way is no outage.
                self._waited_seconds += step
                if self._waited_seconds > _PATIENCE_SECONDS:
                    raise self.error(
                        "The bucket does not answer, so steps after the last checkpoint may be "
                        "lost; the same command goes on from there."
                    )
            time.sleep(step)
