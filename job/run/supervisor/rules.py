"""What a supervisor does about its training process, decided without a process or a clock.

::

    ward = Ward(Limits(frozen_seconds=30.0, restarts=3, grace_seconds=120.0), now=0.0)
    ward.heard(beat, now=1.0)
    ward.due(now=40.0)    # Due.STACKS; a second later Due.KILL
    ward.ended(-9)        # Restart(code=77, ...)
"""

import math
import signal
from dataclasses import dataclass
from enum import Enum

from job.errors import ExitCode
from job.run.supervisor.beat import Beat

# A process imports and reads its configuration before its first beat, from a cold disk.
START_FACTOR = 6.0
# Between asking for the stacks and the kill.
STACKS_SECONDS = 1.0
# What is left of the grace period when the process is killed: it ends and is reported.
GRACE_MARGIN_SECONDS = 3.0
# A second signal is answered at once by every process that can answer.
SECOND_SIGNAL_SECONDS = 2.0
# Looks that are further apart: the supervisor itself was paused, so it heard nothing.
PAUSE_SECONDS = 10.0

_RESTARTED = (ExitCode.PEER_LOST, ExitCode.STALLED)


@dataclass(frozen=True)
class Limits:
    """What the supervisor tolerates.

    Attributes:
        frozen_seconds: Longest time between two beats.
        restarts: How often a process is started again without progress in between.
        grace_seconds: Time from SIGTERM to SIGKILL of the pod; infinite outside a pod.
    """

    frozen_seconds: float
    restarts: int
    grace_seconds: float = math.inf


class Due(Enum):
    """What is to be done to the process now."""

    NOTHING = "nothing"
    STACKS = "dump its stacks"
    KILL = "kill it"


@dataclass(frozen=True)
class Restart:
    """The process is started again.

    Attributes:
        code: What it ended with.
        left: How many restarts without progress are left after this one.
    """

    code: int
    left: int


@dataclass(frozen=True)
class Leave:
    """The supervisor ends, too.

    Attributes:
        code: The exit status.
        reason: What the process could not say itself, because it was killed; "" if it could.
    """

    code: int
    reason: str = ""


class Ward:
    """A training process as its supervisor knows it, over all its restarts.

    Args:
        limits: What is tolerated.
        now: Monotonic seconds; the process starts now.
    """

    def __init__(self, limits: Limits, *, now: float) -> None:
        self._limits = limits
        self._num_restarts = 0
        self._best_step = 0
        self._signals: list[tuple[int, float]] = []
        self._looked_at = now
        self.started(now=now)

    @property
    def reason(self) -> str:
        """Why the process is killed; "" if it is not."""
        return self._reason

    def started(self, *, now: float) -> None:
        """The process has been started, for the first time or again."""
        self._heard_at = now
        self._beat: Beat | None = None
        self._reason = ""
        self._kill_at = math.inf

    def heard(self, beat: Beat, *, now: float) -> None:
        """The process is alive."""
        self._heard_at, self._beat = now, beat
        if beat.step is not None and beat.step > self._best_step:
            self._best_step = beat.step
            self._num_restarts = 0

    def signalled(self, number: int, *, now: float) -> None:
        """SIGTERM or SIGINT has arrived and was passed on: the process is to end."""
        self._signals.append((number, now))

    def due(self, *, now: float) -> Due:
        """What is to be done now; to be asked about every second."""
        if now - self._looked_at > PAUSE_SECONDS:
            self._heard_at = now
        self._looked_at = now
        if not self._reason:
            self._reason = self._reason_to_kill(now)
            if not self._reason:
                return Due.NOTHING
            self._kill_at = now + STACKS_SECONDS
            return Due.STACKS
        if now < self._kill_at:
            return Due.NOTHING
        self._kill_at = math.inf
        return Due.KILL

    def _reason_to_kill(self, now: float) -> str:
        limit = self._limits.frozen_seconds * (1.0 if self._beat else START_FACTOR)
        if (silent := now - self._heard_at) >= limit:
            return f"no sign of life for {silent:.0f} s: its threads cannot run"
        if not self._signals:
            return ""
        first, *others = (at for _, at in self._signals)
        if now - first >= self._limits.grace_seconds - GRACE_MARGIN_SECONDS:
            return f"the grace period of {self._limits.grace_seconds:.0f} s is nearly over"
        if others and now - others[0] >= SECOND_SIGNAL_SECONDS:
            return "it did not answer the second signal"
        return ""

    def ended(self, status: int) -> Restart | Leave:
        """What follows from the end of the process.

        Args:
            status: Its exit code; negative, the signal that ended it.
        """
        if self._is_frozen and status == ExitCode.PEER_LOST:
            # Woken to write its stacks, it noticed first that its peers gave it up meanwhile.
            code, reason = int(ExitCode.STALLED), self._reason
        elif status >= 0:  # by itself, even if it was about to be killed
            code, reason = status, ""
        elif self._reason:
            code, reason = self._code_of_kill(), self._reason
        else:
            code, reason = 128 - status, _explain(-status)
        if self._signals or code not in _RESTARTED:
            return Leave(code, reason)
        if self._num_restarts >= self._limits.restarts:
            return Leave(code, reason)
        self._num_restarts += 1
        return Restart(code, self._limits.restarts - self._num_restarts)

    @property
    def _is_frozen(self) -> bool:
        """Whether it is killed for its silence, and nobody asked it to end."""
        return bool(self._reason) and not self._signals

    def _code_of_kill(self) -> int:
        if not self._signals:
            return ExitCode.STALLED
        if self._signals[-1][0] == signal.SIGINT:
            return ExitCode.INTERRUPTED
        return self._beat.leave if self._beat else ExitCode.TERMINATED


def _explain(number: int) -> str:
    name = signal.Signals(number).name
    words = f"the training process was ended by {name}"
    return f"{words}, as when memory runs out" if number == signal.SIGKILL else words
