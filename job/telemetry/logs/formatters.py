"""The three looks of a log line: for a person at a terminal, for `kubectl logs`, for machines.

A formatter turns a `logging.LogRecord` into the text of one event without its final newline::

    TextFormatter().format(record)  # 2026-01-02T15:04:05.678Z INFO  resumed step=1200
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter as JsonLoggerFormatter

from job.telemetry.logs.events import (
    event_line,
    event_name,
    json_fields,
    logfmt_fields,
    severity,
    stack_trace,
)
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
        start = f"{rfc3339(record.created)} {severity(record.levelno):<5}"
        return f"{start} {event_line(record)}{_indented(stack_trace(record))}"


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
        parts = [self._painted(time.strftime("%H:%M:%S", self._local(record.created)), _DIM)]
        level = severity(record.levelno)
        if level != "INFO":
            parts.append(self._painted(level, _COLOURS.get(level, _DIM)))
        parts.append(one_line(event_name(record)))
        line = " ".join(parts)
        if fields := logfmt_fields(record):
            line += "  " + self._painted(fields, _DIM)
        return line + _indented(stack_trace(record))

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text


class JsonFormatter(JsonLoggerFormatter):
    """One JSON object a line, pure ASCII.

    Keys: `time`, `severity`, `message` (the line a person would read), `event`, `run`,
    `worker`, then the fields of the event, then `stack_trace`. A field that has one of those
    names, which belong to this format, gets a `_` behind it.

    Args:
        run: Name of the run.
        worker: Rank of this process.
        step: The current step, a field of every event that does not have its own; None before
            training.
    """

    def __init__(
        self, *, run: str, worker: int, step: Callable[[], int | None] = lambda: None
    ) -> None:
        super().__init__(static_fields={"run": run, "worker": worker})
        self._step = step

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data |= {
            "time": rfc3339(record.created),
            "severity": severity(record.levelno),
            "message": event_line(record),
            "event": event_name(record),
            **self.static_fields,
        }
        own = {*log_data, "stack_trace"}
        step = self._step()
        current: dict[str, Json] = {} if step is None else {"step": step}
        for key, value in (current | json_fields(record)).items():
            log_data[f"{key}_" if key in own else key] = value
        if trace := stack_trace(record):
            log_data["stack_trace"] = trace

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {_finite(key): _finite(value) for key, value in log_data.items()}


def _finite(value: Any) -> Any:
    """The value as strict JSON: no NaN, no infinity, no lone surrogate."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_finite(key): _finite(part) for key, part in value.items()}
    if isinstance(value, Sequence):
        return [_finite(part) for part in value]
    return value


def _indented(trace: str) -> str:
    # Indented, so that a line that begins with a time is an event.
    return "".join("\n    " + one_line(line) for line in trace.split("\n") if line)
