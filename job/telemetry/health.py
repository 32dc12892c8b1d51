"""Whether a run is alive, started and ready, as its probes see it.

The parts of a run say what they do; `telemetry.server` answers the probes::

    health = Health()
    health.waiting_for("reading the data")
    health.finish_startup()
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a probe is told.

    Attributes:
        ok: 200 when true, 503 when not.
        reason: One line for the person who reads the probe's answer.
    """

    ok: bool
    reason: str


class Health:
    """The answers to the three probes; safe to use from every thread.

    A run is alive from its start, and started and ready once training has begun.

    Args:
        now: Monotonic clock in seconds.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._alive_at: float | None = None
        # Reentrant: the handler of SIGTERM asks while the main thread may hold it.
        self._lock = threading.RLock()
        self._startup = Answer(ok=False, reason="starting")
        self._ready = Answer(ok=False, reason="starting")

    def waiting_for(self, what: str) -> None:
        """Says what stands between now and the first training step."""
        with self._lock:
            if not self._startup.ok:
                self._startup = Answer(ok=False, reason=f"not started yet: {what}")
                self._ready = Answer(ok=False, reason=f"not ready yet: {what}")

    def finish_startup(self) -> None:
        """Training has begun: the run is started for good, and ready."""
        with self._lock:
            self._alive_at = self._now()
            self._startup = Answer(ok=True, reason="started")
            self._ready = Answer(ok=True, reason="ready")

    def stop_being_ready(self, reason: str) -> None:
        """The run is ending, for `reason`; it stays started and alive."""
        with self._lock:
            self._ready = Answer(ok=False, reason=reason)

    def alive(self) -> Answer:
        """The answer to `/livez`, or a beat in its place: a process that can answer is alive.

        One whose main thread makes no progress is ended by the watchdog.
        """
        with self._lock:
            self._alive_at = self._now()
        return Answer(ok=True, reason="alive")

    @property
    def silent_seconds(self) -> float:
        """Time since the last call of `alive`, or since the startup; 0 before that."""
        with self._lock:
            return 0.0 if self._alive_at is None else self._now() - self._alive_at

    def startup(self) -> Answer:
        """The answer to `/startupz`."""
        with self._lock:
            return self._startup

    def ready(self) -> Answer:
        """The answer to `/readyz`."""
        with self._lock:
            return self._ready
