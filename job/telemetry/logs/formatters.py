"""The three looks of a log line: for a person at a terminal, for `kubectl logs`, for machines.

A formatter turns a `logging.LogRecord` into the text of one event without its final newline::

    TextFormatter().format(record)  # 2026-01-02T15:04:05.678Z INFO  resumed step=1200
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from job.telemetry.logs.events import read_event
from job.telemetry.logs.text_line import one_line
from job.types import Json

_DIM, _YELLOW, _RED, _RESET = "\x1b[2m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
_COLOURS = {"WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": _RED}


def rfc3339(seconds: float) -> str:
    """A time in UTC: "2026-01-02T15:04:05.678Z".

    Args:
        seconds: Since 1970.
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class TextFormatter(logging.Formatter):
    """`2026-01-02T15:04:05.678Z INFO  event key=value`; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        event = read_event(record)
        line = f"{rfc3339(event.created)} {event.severity:<5} {event.line}"
        return line + _indented(event.stack_trace)


class ConsoleFormatter(logging.Formatter):
    """`15:04:05 event  key=value`, in local time; severities from WARNING up are named.

    Args:
        colour: Whether escape codes may be used.
        local: Turns seconds since 1970 into local time.
    """

    def __init__(
        self, *, colour: bool, local: Callable[[float], time.struct_time] = time.localtime
    ) -> None:
        super().__init__()
        self._colour = colour
        self._local = local

    def format(self, record: logging.LogRecord) -> str:
        event = read_event(record)
        parts = [self._painted(time.strftime("%H:%M:%S", self._local(event.created)), _DIM)]
        if event.severity != "INFO":
            parts.append(self._painted(event.severity, _COLOURS.get(event.severity, _DIM)))
        parts.append(one_line(event.name))
        line = " ".join(parts)
        if event.shown:
            line += "  " + self._painted(event.tail, _DIM)
        return line + _indented(event.stack_trace)

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    Keys: `time`, `severity`, `message` (the line a person would read), `event`, `run`,
    `worker`, then the fields of the event, then `stack_trace`. A field that has one of those
    names, which belong to this format, gets a `_` behind it.

    Args:
        run: Name of the run.
        worker: Rank of this process.
        context: Fields of every event that does not have them itself; read for each event.
    """

    def __init__(
        self, *, run: str, worker: int, context: Callable[[], Mapping[str, Json]] = dict
    ) -> None:
        super().__init__()
        self._run = run
        self._worker = worker
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        event = read_event(record)
        document: dict[str, Json] = {
            "time": rfc3339(event.created),
            "severity": event.severity,
            "message": event.line,
            "event": event.name,
            "run": self._run,
            "worker": self._worker,
        }
        own = {*document, "stack_trace"}
        for key, value in {**self._context(), **event.fields}.items():
            document[f"{key}_" if key in own else key] = value
        if event.stack_trace:
            document["stack_trace"] = event.stack_trace
        # Pure ASCII: no line separator of Unicode's, and no terminal or pipe that cannot
        # encode it.
        return json.dumps(_finite(document), ensure_ascii=True, allow_nan=False)


def _finite(value: Json) -> Json:
    """JSON has no NaN: those become the strings "NaN", "Infinity", "-Infinity"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str):
        # A lone surrogate would be written as an escape that no strict parser accepts.
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(_finite(key)): _finite(part) for key, part in value.items()}
    if isinstance(value, Sequence):
        return [_finite(part) for part in value]
    return value


def _indented(stack_trace: str) -> str:
    # Indented, so that a line that begins with a time is an event.
    return "".join("\n    " + one_line(line) for line in stack_trace.split("\n") if line)
