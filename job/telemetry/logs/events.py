"""A log record as an event: a fixed name, flat fields in their order, perhaps a traceback.

Everything that leaves through a formatter passes `read_event`, which redacts secrets and bounds
sizes; formatters only decide how it looks::

    log.info("checkpoint committed", extra={"step": 1200, "seconds": 0.1})
"""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from job.telemetry.logs.redaction import REDACTED, names_a_secret, redact
from job.telemetry.logs.text_line import format_number, one_line, quoted_if_needed
from job.types import Json

MAX_VALUE_CHARACTERS = 4096
MAX_TRACEBACK_CHARACTERS = 65536

# What logging itself puts on every record; everything else came in through `extra`.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SEVERITIES = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class LogValue:
    """A field that people and machines read differently.

    Attributes:
        text: What a line shows: `eta=12m31s`.
        fields: What a JSON object holds in its place: `{"eta_seconds": 751.0}`.
    """

    text: str
    fields: Mapping[str, Json]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        created: Seconds since 1970.
        severity: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        name: What happened; the whole text for libraries that log sentences.
        shown: Key and text of each field, for a line.
        fields: The same for a JSON object, every value serialisable.
        stack_trace: Lines of a traceback; "" without one.
    """

    created: float
    severity: str
    name: str
    shown: tuple[tuple[str, str], ...] = ()
    fields: Mapping[str, Json] = field(default_factory=dict)
    stack_trace: str = ""

    @property
    def tail(self) -> str:
        """The fields in logfmt: `step=1200 file="a b.csv"`."""
        return " ".join(f"{one_line(key)}={quoted_if_needed(text)}" for key, text in self.shown)

    @property
    def line(self) -> str:
        """The whole event for a person, without time and severity, in one line."""
        return f"{one_line(self.name)} {self.tail}".rstrip()


def read_event(record: logging.LogRecord) -> Event:
    """What a log record says, redacted, bounded and ready to be laid out.

    An exception becomes the field `error` and the stack trace.
    """
    extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        extra.setdefault("error", "".join(traceback.format_exception_only(error)).strip())
    fields: dict[str, Json] = {}
    for key, value in extra.items():
        if isinstance(value, LogValue) and not names_a_secret(key):
            fields.update({name: _plain(name, part) for name, part in value.fields.items()})
        else:
            fields[key] = _plain(key, value)
    return Event(
        created=record.created,
        severity=severity(record.levelno),
        name=_bounded(redact(record.getMessage()).strip(), MAX_VALUE_CHARACTERS),
        shown=tuple((key, _text(_plain(key, value))) for key, value in extra.items()),
        fields=fields,
        stack_trace=_bounded(redact(_stack_trace(record)), MAX_TRACEBACK_CHARACTERS),
    )


def severity(levelno: int) -> str:
    """The standard name of a numeric level, rounded down; DEBUG is the lowest."""
    return _SEVERITIES[min(max(levelno // 10 - 1, 0), len(_SEVERITIES) - 1)]


def _stack_trace(record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append("".join(traceback.format_exception(record.exc_info[1])))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(part.rstrip("\n") for part in parts)


def _plain(key: str, value: object) -> Json:
    if names_a_secret(key):
        return REDACTED
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(str(name), part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [_plain(key, part) for part in value]
    number = _numpy_scalar(value)
    if number is not None:
        return number
    return _bounded(redact(str(value)), MAX_VALUE_CHARACTERS)


def _numpy_scalar(value: object) -> bool | int | float | None:
    # Recognised by its methods: this layer knows no NumPy, and a scalar of it is what a
    # measurement usually is.
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        number = item()
        if isinstance(number, bool | int | float):
            return number
    return None


def _text(value: Json) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(part)}" for key, part in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_text(part) for part in value) + "]"
    return str(value)


def _bounded(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text) - limit} more characters)"
