import io
import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from job.telemetry.logs.setup import LoggingSetup, configure_logging, resolve_format
from job.telemetry.run_metrics import RunMetrics

log = logging.getLogger("job.tests.telemetry")

Configure = Callable[..., LoggingSetup]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def configure(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    setups: list[LoggingSetup] = []

    def configured(**changes) -> LoggingSetup:
        settings = {
            "format": "text",
            "level": "INFO",
            "stream": stream,
            "run": "quora",
            **changes,
        }
        is_terminal = settings.pop("is_terminal", False)
        stream.isatty = lambda: is_terminal
        setups.append(configure_logging(**settings))
        return setups[-1]

    yield configured
    for setup in reversed(setups):
        setup.close()


@pytest.mark.parametrize(
    ("format", "is_terminal", "resolved"),
    [
        ("auto", True, "console"),
        ("auto", False, "text"),
        ("console", False, "console"),
        ("text", True, "text"),
        ("json", True, "json"),
    ],
)
def test_auto_is_console_for_a_person_and_text_otherwise(format, is_terminal, resolved):
    assert resolve_format(format, is_terminal=is_terminal) == resolved


def test_an_event_goes_to_the_stream_in_the_format_in_use(configure, stream):
    assert configure(format="auto").format == "text"
    log.info("resumed", extra={"step": 1200})
    assert stream.getvalue().endswith(" INFO  resumed step=1200\n")


def test_json_says_run_worker_and_the_current_step(configure, stream):
    setup = configure(format="json", worker=2, level="DEBUG")
    setup.track_step(lambda: 1200)
    log.info("resumed")
    parsed = json.loads(stream.getvalue())
    assert (parsed["run"], parsed["worker"], parsed["step"]) == ("quora", 2, 1200)


@pytest.mark.parametrize(
    ("format", "is_terminal", "term"),
    [
        ("text", True, "xterm"),
        ("json", True, "xterm"),
        ("console", False, "xterm"),
        ("console", True, "dumb"),
    ],
)
def test_only_a_console_on_a_terminal_has_a_bar_and_escape_codes(
    configure, stream, monkeypatch, format, is_terminal, term
):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")
    setup = configure(format=format, is_terminal=is_terminal)
    assert not setup.terminal.has_bar
    setup.terminal.show_progress("half", done=1, total=2)
    log.warning("odd \x1b[31m")
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_console_on_a_terminal_has_colour_and_a_bar(configure, stream):
    setup = configure(format="auto", is_terminal=True)
    setup.terminal.show_progress("half", done=1, total=2)
    log.info("resumed")
    assert "\x1b[2K\x1b[2m" in stream.getvalue()
    assert " resumed\n" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith(" 50% half")


def test_no_color_takes_the_colour_and_leaves_the_bar(configure, stream, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    setup = configure(format="auto", is_terminal=True)
    setup.terminal.show_progress("half", done=1, total=2)
    log.warning("odd")
    assert "half" in stream.getvalue()
    assert set(re.findall(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", stream.getvalue())) == {"\x1b[2K"}


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("INFO", ["info", "warning"]),
        ("DEBUG", ["debug", "info", "warning"]),
        ("WARNING", ["warning"]),
        ("ERROR", []),
    ],
)
def test_lines_below_the_level_are_left_out(configure, stream, level, written):
    configure(level=level)
    log.debug("debug")
    log.info("info")
    log.warning("warning")
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == written


@pytest.mark.parametrize(
    "library", ["absl", "tensorflow", "h5py._conv", "google.auth.transport", "urllib3"]
)
def test_libraries_are_heard_from_warning_up(configure, stream, library, monkeypatch):
    # Google's libraries cut theirs off when they are imported; `storage.gs_client` undoes that.
    monkeypatch.setattr(logging.getLogger("google"), "propagate", True)
    configure(level="DEBUG")
    logging.getLogger(library).info("chatter")
    logging.getLogger(library).warning("trouble")
    assert "chatter" not in stream.getvalue()
    assert stream.getvalue().endswith(" WARNING trouble\n")


def test_a_library_whose_name_only_begins_alike_is_heard(configure, stream):
    configure()
    logging.getLogger("googlesque.callback").info("my own callback")
    assert "my own callback" in stream.getvalue()


def test_warnings_become_log_lines(configure, stream):
    # Not catch_warnings: leaving it would restore the hook that logging had put in.
    configure()
    warnings.showwarning("old\nthing", DeprecationWarning, "x.py", 3, line="code")
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().endswith(
        " WARNING x.py:3: DeprecationWarning: old\\nthing\\n  code\n"
    )


def test_lines_that_are_written_are_counted(configure):
    registry = CollectorRegistry()
    configure(metrics=RunMetrics(registry, run="quora"))
    log.debug("left out")
    log.info("one")
    log.error("two")
    log.error("three")
    counts = {
        level: registry.get_sample_value(
            "siamese_log_messages_total", {"run": "quora", "level": level}
        )
        for level in ("debug", "info", "error")
    }
    assert counts == {"debug": 0, "info": 1, "error": 2}


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize("format", ["text", "json", "console"])
def test_a_value_that_cannot_be_shown_is_said_so_and_never_raised(configure, stream, format):
    configure(format=format)
    log.info("resumed", extra={"step": Unshowable()})
    log.info("%d", "no number")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all("log record could not be shown" in line for line in lines)
    assert all("job.tests.telemetry" in line for line in lines)


class NoFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        raise RuntimeError("no")


def test_even_a_formatter_that_always_fails_is_not_raised(configure, stream):
    configure()
    logging.getLogger().handlers[0].setFormatter(NoFormatter())
    log.info("resumed")
    assert stream.getvalue() == "log record could not be shown\n"


class Reentrant:
    """Counts as a metrics object would that is interrupted by a signal handler which logs."""

    def __init__(self):
        self.calls = 0

    def count_log_message(self, levelno: int) -> None:
        self.calls += 1
        log.warning("from the handler")


def test_a_log_line_from_inside_the_counting_is_written_but_not_counted(configure, stream):
    metrics = Reentrant()
    configure(metrics=metrics)
    log.info("one")
    assert metrics.calls == 1
    assert [line.rsplit(" ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "one",
        "handler",
    ]


def test_closing_restores_what_was_before(configure, stream):
    root = logging.getLogger()
    before = (root.level, list(root.handlers), warnings.showwarning)
    setup = configure(level="DEBUG")
    assert root.handlers != before[1]
    added = logging.NullHandler()
    root.addHandler(added)
    setup.close()
    setup.close()
    try:
        assert (root.level, root.handlers, warnings.showwarning) == (
            before[0],
            [*before[1], added],
            before[2],
        )
    finally:
        root.removeHandler(added)
    log.error("not for this stream")
    assert stream.getvalue() == ""


def test_closing_removes_the_bar(configure, stream):
    setup = configure(format="auto", is_terminal=True)
    setup.terminal.show_progress("half", done=1, total=2)
    setup.close()
    assert stream.getvalue().endswith("\x1b[2K")


def test_closing_again_leaves_what_was_set_up_since(configure, stream):
    first = configure()
    first.close()
    configure(level="DEBUG")
    first.close()
    log.debug("still heard")
    assert stream.getvalue().endswith(" DEBUG still heard\n")


PROGRAM = """
import logging, sys
from job.telemetry.logs.setup import configure_logging

with configure_logging(
    format="auto", level="INFO", stream=sys.stdout, run="quora"
) as setup:
    setup.terminal.show_progress("pairs/s=9", done=1, total=2)
    logging.getLogger("job").info("resumed")
    assert sys.stdout.isatty() or "rich" not in sys.modules
"""


def run_program(stdout: int) -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TERM": "xterm"}
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run(command, stdout=stdout, env=environment, timeout=60, check=True)


def test_a_pipe_gets_whole_lines_only():
    reader, writer = os.pipe()
    run_program(writer)
    os.close(writer)
    with open(reader, "rb") as written:
        (line,) = written.read().splitlines()
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO  resumed", line)


def test_a_terminal_gets_the_line_above_the_bar():
    ours, theirs = pty.openpty()
    run_program(theirs)
    shown = os.read(ours, 65536)
    os.close(theirs)
    os.close(ours)
    assert shown.rindex(b" 50% pairs/s=9") > shown.index(b" resumed\r\n") > 0
