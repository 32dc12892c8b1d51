"""A log record as an event: a fixed name, flat fields in their order, perhaps a traceback.

Formatters take a record apart with these functions and only decide how it looks::

    log.info("checkpoint committed", extra={"step": 1200, "seconds": 0.1})
"""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from job.telemetry.logs.text_line import format_number, one_line, quoted_if_needed
from job.types import Json

# containerd cuts a line of a container's log at 16 KiB.
MAX_VALUE_CHARACTERS = 4096

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


def event_name(record: logging.LogRecord) -> str:
    """What happened; a whole sentence from a library that logs sentences."""
    return _bounded(record.getMessage().strip())


def severity(levelno: int) -> str:
    """The standard name of a numeric level, rounded down; DEBUG is the lowest."""
    return _SEVERITIES[min(max(levelno // 10 - 1, 0), len(_SEVERITIES) - 1)]


def extra_fields(record: logging.LogRecord) -> dict[str, object]:
    """The fields as they were logged; an exception becomes the field `error`."""
    extra = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        lines = traceback.format_exception_only(record.exc_info[1])
        extra.setdefault("error", "".join(lines).strip())
    return extra


def json_fields(record: logging.LogRecord) -> dict[str, Json]:
    """The fields for a JSON object."""
    fields: dict[str, Json] = {}
    for key, value in extra_fields(record).items():
        fields |= value.fields if isinstance(value, LogValue) else {key: _plain(value)}
    return fields


def logfmt_fields(record: logging.LogRecord) -> str:
    """The fields for a person: `step=1200 file="a b.csv"`."""
    shown = {key: _text(_plain(value)) for key, value in extra_fields(record).items()}
    return " ".join(f"{one_line(key)}={quoted_if_needed(text)}" for key, text in shown.items())


def event_line(record: logging.LogRecord) -> str:
    """Name and fields in one line."""
    return f"{one_line(event_name(record))} {logfmt_fields(record)}".rstrip()


def stack_trace(record: logging.LogRecord) -> str:
    """Lines of a traceback; "" without one."""
    parts = []
    if record.exc_info and record.exc_info[1] is not None:
        parts.append("".join(traceback.format_exception(record.exc_info[1])))
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(part.rstrip("\n") for part in parts)


def _plain(value: object) -> Json:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value)  # an np.float64 is a float, too
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [_plain(part) for part in value]
    # Scalars of NumPy and TensorFlow, which this layer does not import.
    if getattr(value, "ndim", None) == 0 and callable(item := getattr(value, "item", None)):
        number = item()
        if isinstance(number, bool | int | float):
            return number
    return _bounded(str(value))


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


def _bounded(text: str) -> str:
    if len(text) <= MAX_VALUE_CHARACTERS:
        return text
    omitted = len(text) - MAX_VALUE_CHARACTERS
    return f"{text[:MAX_VALUE_CHARACTERS]}... ({omitted} more characters)"
