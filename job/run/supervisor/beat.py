"""What a training process says of itself to its supervisor, once a second.

One JSON object a line over the socket that both share::

    {"beat": 7, "activity": "training", "port": 40123, "step": 1200, "leave": 143, ...}
"""

import contextlib
import json
from dataclasses import dataclass
from typing import Any, Self

from job.errors import ExitCode
from job.telemetry.health import Answer

# Environment of the training process: its end of the socket, and the port that people use.
FD, PORT = "SUPERVISED_FD", "SUPERVISED_PORT"

_STARTING = Answer(ok=False, reason="starting")


@dataclass(frozen=True)
class Beat:
    """A sign of life.

    Attributes:
        number: Counts from 1.
        activity: Phase of the run.
        port: Where the process serves its metrics, on the loopback; 0 if it does not.
        step: The global step; None before training.
        leave: Exit code of a process that SIGTERM ends without waiting for a safe point.
        startup: Answer to `/startupz`.
        ready: Answer to `/readyz`.
    """

    number: int
    activity: str = "initializing"
    port: int = 0
    step: int | None = None
    leave: int = int(ExitCode.TERMINATED)
    startup: Answer = _STARTING
    ready: Answer = _STARTING

    def line(self) -> bytes:
        """The beat as one line."""
        content = {
            "beat": self.number,
            "activity": self.activity,
            "port": self.port,
            "step": self.step,
            "leave": self.leave,
            "startup": [self.startup.ok, self.startup.reason],
            "ready": [self.ready.ok, self.ready.reason],
        }
        return json.dumps(content).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Reads what `line` wrote."""
        content: dict[str, Any] = json.loads(line)
        startup, ready = (Answer(*content[name]) for name in ("startup", "ready"))
        facts = {name: content[name] for name in ("activity", "port", "step", "leave")}
        return cls(content["beat"], **facts, startup=startup, ready=ready)


class BeatReader:
    """Cuts bytes from the socket into beats; what is incomplete waits for its rest."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Beat]:
        """The beats that `data` completes, in order."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        beats = []
        for line in lines:
            # The process can be killed, or the socket full, in the middle of a line.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                beats.append(Beat.parse(line))
        return beats
