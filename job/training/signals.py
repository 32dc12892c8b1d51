"""Turns SIGTERM and Ctrl-C into a stop at the next safe point.

The handler only records the signal; `raise_if_requested` raises it where the state is
consistent. A second signal to this process exits at once; that of another worker does not
count. A SIGTERM that Kubernetes sends because a probe failed ends in `StalledError`, which
counts as a failure. TensorFlow may replace the handlers when it opens the devices, so `install`
is called again after that.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from job.errors import (
    ExitCode,
    InterruptedByUserError,
    JobError,
    PreemptedError,
    StalledError,
)

# How much of the 15 s that spot nodes grant may be spent waiting for a store to come back.
_WAIT_LIMIT_SECONDS = 8.0
_POLL_SECONDS = 0.1

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Whether this process was asked to stop, and by which signal.

    Long-running functions take `check_stop`: pass `raise_if_requested`. The main thread polls
    at every safe point, so the time of the last poll tells whether it makes progress.

    Attributes:
        polled_at: Monotonic time of the main thread's last poll.
        is_noticed: Whether the main thread knows of the signal and is ending.
    """

    def __init__(self) -> None:
        self.polled_at = time.monotonic()
        self.is_noticed = False
        self._signal: signal.Signals | None = None
        self._is_received = False
        self._received_at: float | None = None
        self._cause = ""
        self._find_cause: Callable[[], str] = lambda: ""
        self._is_committed = False
        self._waited_seconds = 0.0
        self._is_interruptible = False

    def install(self) -> None:
        """Handles SIGTERM and SIGINT from now on; main thread only.

        A supervisor starts the process with both blocked: those that came before arrive now.
        """
        for number in _SIGNALS:
            signal.signal(number, self._receive)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def look_for_cause(self, find_cause: Callable[[], str]) -> None:
        """Has `find_cause` called when SIGTERM arrives, in the handler or in another thread.

        Args:
            find_cause: Returns for what fault of this process Kubernetes ends it; "" for none.
        """
        self._find_cause = find_cause

    def mark_committed(self) -> None:
        """Everything up to the last finished step is committed; nothing more is written."""
        self._is_committed = True

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._is_received:
            os._exit(self.code_at_once(signal.Signals(number)))
        self._is_received = True
        self.request(number)  # that of another worker may have come first
        if number == signal.SIGTERM:
            self._cause = self._find_cause()
        if self._is_interruptible:
            self.raise_if_requested()

    def request(self, number: int) -> None:
        """Stops as if this process had got a signal that another worker got."""
        if self._signal is None:
            self._received_at = time.monotonic()
            self._signal = signal.Signals(number)

    @property
    def number(self) -> int:
        """Number of the signal that arrived; 0 if none has."""
        return int(self._signal or 0)

    @property
    def cause_of_sigterm(self) -> str:
        """For what fault Kubernetes ends this process; "" for none.

        The handler cannot look for it while the main thread is stuck in native code.
        """
        return self._cause if self._signal is not None else self._find_cause()

    def code_at_once(self, second: signal.Signals) -> ExitCode:
        """The code of a process that ends without waiting for a safe point."""
        if second is signal.SIGINT:
            return ExitCode.INTERRUPTED
        if self.cause_of_sigterm:
            return ExitCode.STALLED
        return ExitCode.PREEMPTED if self._is_committed else ExitCode.TERMINATED

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside the block a signal raises immediately: nothing can be left half done.

        Raises:
            PreemptedError: After SIGTERM.
            StalledError: After SIGTERM for a cause.
            InterruptedByUserError: After Ctrl-C.
        """
        self._is_interruptible = True
        try:
            self.raise_if_requested()
            yield
        finally:
            self._is_interruptible = False

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived."""
        self.note_progress()
        if self._signal is not None:
            self.is_noticed = True
        return self._signal is not None

    @property
    def seconds_since(self) -> float:
        """Time since the signal arrived; 0 if none has."""
        return 0.0 if self._received_at is None else time.monotonic() - self._received_at

    def note_progress(self) -> None:
        """The main thread is at a safe point, or waits for something that has its own limit."""
        if threading.current_thread() is threading.main_thread():
            self.polled_at = time.monotonic()

    @property
    def name(self) -> str:
        """Name of the signal that arrived, for logs; "" if none has."""
        return self._signal.name if self._signal else ""

    def error(self, done: str) -> JobError:
        """The error that ends the process; `done` says what is safe by now."""
        if self._signal is signal.SIGINT:
            return InterruptedByUserError(f"Interrupted (Ctrl-C). {done}")
        if self._cause:
            return StalledError(f"Stopped by SIGTERM: {self._cause}. {done}")
        return PreemptedError(f"Stopped by SIGTERM. {done}")

    def raise_if_requested(self) -> None:
        """Raises if a signal has arrived.

        Raises:
            PreemptedError: After SIGTERM.
            StalledError: After SIGTERM for a cause.
            InterruptedByUserError: After Ctrl-C.
        """
        if self.requested:
            raise self.error("The same command resumes from the last checkpoint, if any.")

    def sleep(self, seconds: float) -> None:
        """Waits for an external service; a signal cuts the wait short.

        Raises:
            PreemptedError: SIGTERM arrived and the service did not come back in time.
            InterruptedByUserError: The same for Ctrl-C.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0.0:
            step = min(left, _POLL_SECONDS)
            self.note_progress()
            if self._signal is not None:
                # Time spent waiting counts, not time since the signal: a commit that takes long
                # and meets one error on its way is not an outage.
                self._waited_seconds += step
                if self._waited_seconds > _WAIT_LIMIT_SECONDS:
                    raise self.error(
                        "The bucket does not answer, so steps after the last checkpoint may be "
                        "lost; the same command resumes from there."
                    )
            time.sleep(step)
