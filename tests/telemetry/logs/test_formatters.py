import json
import logging
import math
import sys
import time
from pathlib import Path

import pytest

from job.telemetry.logs.events import MAX_VALUE_CHARACTERS, LogValue
from job.telemetry.logs.formatters import (
    ConsoleFormatter,
    JsonFormatter,
    TextFormatter,
    rfc3339,
)

# 2026-01-02T15:04:05.678Z: 20455 days and 54245.678 s after 1970 began.
MOMENT = 20455 * 86400 + 54245.678


def record(event: str = "checkpoint committed", /, *, level: int = logging.INFO, **extra):
    made = logging.LogRecord("job.x", level, "/src/x.py", 7, event, (), None)
    made.created = MOMENT
    made.__dict__.update(extra)
    return made


def text(made: logging.LogRecord) -> str:
    return TextFormatter().format(made)


def document(made: logging.LogRecord, *, step: int | None = None) -> dict:
    formatter = JsonFormatter(run="quora", worker=0, step=lambda: step)
    line = formatter.format(made)
    assert line.isascii()
    assert line.isprintable()
    return json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def raised(error: Exception) -> tuple:
    try:
        raise error
    except Exception:  # noqa: BLE001 - any error will do
        return sys.exc_info()


def test_a_time_is_utc_with_milliseconds():
    assert rfc3339(MOMENT) == "2026-01-02T15:04:05.678Z"
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000Z"


def test_text_is_time_severity_event_and_a_logfmt_tail_in_the_order_of_extra():
    assert text(record(step=1200, seconds=0.1, file="a b.csv", done=True, best=None)) == (
        "2026-01-02T15:04:05.678Z INFO  checkpoint committed "
        'step=1200 seconds=0.1 file="a b.csv" done=true best=none'
    )


def test_text_without_fields_has_no_tail():
    line = text(record("storage outage", level=logging.ERROR))
    assert line == "2026-01-02T15:04:05.678Z ERROR storage outage"


def test_console_is_short_and_plain_without_colour():
    formatter = ConsoleFormatter(colour=False, local=time.gmtime)
    assert formatter.format(record(step=1200)) == "15:04:05 checkpoint committed  step=1200"
    assert formatter.format(record("odd", level=logging.WARNING)) == "15:04:05 WARNING odd"


def test_console_dims_what_is_not_the_event_and_colours_severities():
    formatter = ConsoleFormatter(colour=True, local=time.gmtime)
    assert formatter.format(record("odd", level=logging.ERROR, step=1)) == (
        "\x1b[2m15:04:05\x1b[0m \x1b[31mERROR\x1b[0m odd  \x1b[2mstep=1\x1b[0m"
    )


def test_json_holds_the_whole_line_and_the_flat_fields():
    made = record(step=1200, seconds=0.123456789, path=Path("runs/quora"))
    assert list(document(made).items()) == [
        ("time", "2026-01-02T15:04:05.678Z"),
        ("severity", "INFO"),
        ("message", "checkpoint committed step=1200 seconds=0.123457 path=runs/quora"),
        ("event", "checkpoint committed"),
        ("run", "quora"),
        ("worker", 0),
        ("step", 1200),
        ("seconds", 0.123456789),
        ("path", "runs/quora"),
    ]


def test_the_json_message_is_what_text_prints_after_time_and_severity():
    made = record("odd\nevent", note='a "b"\n\u2028\ud800', loss=math.nan)
    assert text(made).split(" ", 3)[3] == document(made)["message"]


def test_a_field_may_read_differently_to_people_and_machines():
    made = record("training", eta=LogValue("12m31s", {"eta_seconds": 751.0}))
    assert text(made).endswith(" training eta=12m31s")
    assert document(made)["eta_seconds"] == 751.0
    assert "eta" not in document(made)


def test_json_carries_the_current_step_unless_the_event_says_otherwise():
    assert document(record(), step=7)["step"] == 7
    assert document(record(step=8), step=7)["step"] == 8


def test_a_field_cannot_overwrite_what_the_format_owns():
    parsed = document(record(run="other", event="x", severity="LOW", stack_trace="y"))
    assert (parsed["run"], parsed["run_"]) == ("quora", "other")
    assert (parsed["event_"], parsed["severity_"], parsed["stack_trace_"]) == ("x", "LOW", "y")
    assert "stack_trace" not in parsed


def test_json_stays_valid_for_numbers_that_json_lacks():
    parsed = document(record(a=math.nan, b=[math.inf, 1.5], c={"d": -math.inf}))
    assert (parsed["a"], parsed["b"], parsed["c"]) == (
        "NaN",
        ["Infinity", 1.5],
        {"d": "-Infinity"},
    )


class Scalar:
    """What a NumPy or TensorFlow scalar looks like from here."""

    ndim = 0

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


def test_scalars_of_array_libraries_are_numbers():
    assert document(record(loss=Scalar(0.5), steps=Scalar(3)))["loss"] == 0.5
    assert text(record(loss=Scalar(0.5))).endswith(" loss=0.5")


def test_an_exception_text_and_a_stack_are_kept_when_that_is_all_there_is():
    made = record("odd")
    made.exc_text, made.stack_info = "Traceback: gone\n", "Stack (most recent call last):\n  x"
    assert document(made)["stack_trace"] == (
        "Traceback: gone\nStack (most recent call last):\n  x"
    )


def test_an_array_that_is_no_number_is_shown_as_text():
    assert document(record(shape=Scalar("x")))["shape"].startswith("<")


def test_collections_stay_on_the_line():
    line = text(record(monitors=["loss", "val loss"], sizes={"train": 3}))
    assert line.endswith(' monitors="[loss, val loss]" sizes="{train: 3}"')


@pytest.mark.parametrize(
    "value",
    ["a\nb", "a\r\nb", "a\x85b", "a\u2028b", "a\x1b[2Kb", "a\ud800b", "\u202eb", "\x00"],
)
@pytest.mark.parametrize("where", ["event", "field"])
def test_no_value_breaks_the_line(value, where):
    made = record(value) if where == "event" else record(note=value)
    assert text(made).isprintable()
    assert ConsoleFormatter(colour=False).format(made).isprintable()
    document(made)


def test_a_traceback_is_indented_below_the_line_of_text():
    made = record("run failed", level=logging.ERROR)
    made.exc_info = raised(ValueError("boom\nand more"))
    lines = text(made).split("\n")
    assert lines[0].endswith(' ERROR run failed error="ValueError: boom\\nand more"')
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-2:] == ["    ValueError: boom", "    and more"]


def test_a_traceback_is_one_string_in_json():
    made = record("run failed", level=logging.ERROR)
    made.exc_info = raised(ValueError("boom"))
    parsed = document(made)
    assert parsed["message"] == 'run failed error="ValueError: boom"'
    assert parsed["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert parsed["stack_trace"].endswith("\nValueError: boom")


def test_a_huge_value_is_cut():
    line = text(record(note="x" * (MAX_VALUE_CHARACTERS + 5)))
    assert line.endswith('x... (5 more characters)"')
    assert len(line) < MAX_VALUE_CHARACTERS + 200


def test_half_a_character_is_written_so_that_every_parser_reads_it():
    assert document(record(note="lone \ud800"))["note"] == "lone \\ud800"


def test_a_traceback_moves_no_cursor():
    made = record("run failed")
    made.exc_info = raised(ValueError("\x1b[2J"))
    assert "\x1b" not in text(made)


def test_old_style_arguments_of_libraries_are_filled_in():
    made = logging.LogRecord("lib", logging.WARNING, "x", 1, "%d of %s", (3, "7"), None)
    assert text(made).endswith(" WARNING 3 of 7")
