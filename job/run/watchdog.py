"""Ends a process whose main thread makes no progress, with the stacks of all threads.

The main thread polls `StopSignal` at every safe point. A thread of its own looks at the time of
the last poll, so it also notices a main thread that is stuck in native code::

    with Watchdog(stop, stall_seconds=300.0) as watchdog:
        ...
        watchdog.set_phase("training")

Two limits: no poll for too long ends in exit code 77, which counts as a failure, or in 76 if
another worker is what this one waits for; a SIGTERM that
is not noticed in time ends in 143: a preempted node does not wait for a long step, and the last
commit is as good as any. Ctrl-C waits for the step: a person can press it again.
"""

import faulthandler
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from job.errors import ExitCode
from job.telemetry.metric_definitions import Phase
from job.telemetry.termination_message import write_termination_message
from job.training.signals import StopSignal

log = logging.getLogger(__name__)

# Spot nodes grant 15 s from SIGTERM to SIGKILL. Whoever notices late still has to save.
NOTICE_SECONDS = 9.0
# Loading data, importing and compiling have no safe points for longer than a step.
SLOW_PHASE_FACTOR = 6.0
_QUICK_PHASES: tuple[Phase, ...] = ("training", "validating")
_TICK_SECONDS = 1.0
# Ticks that are further apart than this: the process was paused (Ctrl-Z, SIGSTOP, a frozen
# machine). It made no progress because nobody let it.
_PAUSE_SECONDS = 10.0
# Longest time for the last words: a log that nobody reads blocks whoever writes to it.
_LAST_WORDS_SECONDS = 5.0


class Watchdog:
    """Watches the main thread; a context manager entered on it.

    Args:
        stop: Polled by the main thread.
        stall_seconds: Longest time without progress in a step; None never ends the process.
        now: Monotonic clock in seconds.
        leave: Ends the process with an exit code, at once.
    """

    def __init__(
        self,
        stop: StopSignal,
        *,
        stall_seconds: float | None,
        now: Callable[[], float] = time.monotonic,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._stop = stop
        self._stall_seconds = stall_seconds
        self._now = now
        self._leave = leave
        self._phase: Phase = "initializing"
        self._waits_for_others: Callable[[], bool] = lambda: False
        self._checked_at = self._resumed_at = now()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._old_fd = -1
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def set_phase(self, phase: Phase) -> None:
        """The run does something else from now on."""
        self._phase = phase

    def watch_peers(self, waits_for_others: Callable[[], bool]) -> None:
        """Several workers train: asks whether this one waits for another in a step."""
        self._waits_for_others = waits_for_others

    def __enter__(self) -> Self:
        # Python's own handler runs once the main thread is back in the interpreter; the byte
        # arrives at once.
        self._old_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._old_fd)
        self._ended.set()
        os.write(self._writer, b"\0")
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    @property
    def limit_seconds(self) -> float | None:
        """Longest time without a poll in the current phase."""
        if self._stall_seconds is None:
            return None
        factor = 1.0 if self._phase in _QUICK_PHASES else SLOW_PHASE_FACTOR
        return self._stall_seconds * factor

    def _run(self) -> None:
        terminated_at: float | None = None
        while not self._ended.is_set():
            if self._wait_for_sigterm() and terminated_at is None:
                terminated_at = self._now()
            self.check(terminated_at)

    def _wait_for_sigterm(self) -> bool:
        readable, _, _ = select.select([self._reader], [], [], _TICK_SECONDS)
        numbers = os.read(self._reader, 64) if readable else b""
        return signal.SIGTERM in numbers

    def check(self, terminated_at: float | None) -> None:
        """Ends the process if it has to end.

        Args:
            terminated_at: When SIGTERM arrived; None if it has not.
        """
        if (
            terminated_at is not None
            and not self._stop.is_noticed
            and self._now() - terminated_at >= NOTICE_SECONDS
        ):
            cause = self._stop.cause_of_sigterm
            self.end(
                self._stop.code_at_once(signal.SIGTERM),
                f"SIGTERM was not noticed within {NOTICE_SECONDS:.0f} s"
                + (f", after {cause}" if cause else ""),
            )
        now, limit = self._now(), self.limit_seconds
        if now - self._checked_at > _PAUSE_SECONDS:
            self._resumed_at = now
        self._checked_at = now
        seconds = now - max(self._stop.polled_at, self._resumed_at)
        if limit is not None and seconds >= limit:
            waits = self._waits_for_others()
            self.end(
                ExitCode.PEER_LOST if waits else ExitCode.STALLED,
                f"no progress for {seconds:.0f} s ({self._phase})"
                + (", waiting for another worker" if waits else ""),
            )

    def end(self, code: ExitCode, reason: str, *, with_stacks: bool = True) -> None:
        """Ends the process at once; from any thread.

        Args:
            code: Its exit code.
            reason: Why, for people.
            with_stacks: Whether the stacks of all threads may tell why.
        """
        last_words = threading.Timer(_LAST_WORDS_SECONDS, self._leave, (code,))
        last_words.daemon = True
        last_words.start()
        if with_stacks:
            faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
        log.error("process ended by the watchdog", extra={"reason": reason, "exit_code": code})
        write_termination_message(code, f"{reason}; the last commit is intact")
        last_words.cancel()
        self._leave(code)
