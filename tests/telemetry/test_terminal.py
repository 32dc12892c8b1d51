import io
import os
import subprocess
import sys

import pytest

from job.telemetry.terminal import (
    Terminal,
    aligned_columns,
    supports_colour,
    supports_escape_codes,
)


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


def last_frame(stream: io.StringIO) -> str:
    return stream.getvalue().rpartition("\x1b[2K")[2].rstrip()


def test_a_line_is_written_above_the_bar():
    stream = io.StringIO()
    terminal = Terminal(stream, has_bar=True)
    terminal.show_progress("half", done=1, total=2)
    terminal.write_line("an event [bold] " + "x" * 100)
    above, below = stream.getvalue().rsplit("\x1b[2K", 1)[1].split("\n")
    assert above == "an event [bold] " + "x" * 100
    assert below.rstrip().endswith(" 50% half")
    terminal.clear_progress()
    terminal.write_line("the end")
    assert stream.getvalue().endswith("\x1b[2Kthe end\n")


def test_a_bar_never_wraps(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = io.StringIO()
    Terminal(stream, has_bar=True).show_progress("0123456789abc", done=1, total=8)
    assert last_frame(stream).endswith(" 12% 0123456\u2026")
    assert len(last_frame(stream)) <= 30


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, 100, "  0% step"),
        (999, 1000, " 99% step"),
        (100, 100, "100% step"),
        (120, 100, "100% step"),
    ],
)
def test_a_bar_is_full_only_at_the_end(done, total, text):
    stream = io.StringIO()
    Terminal(stream, has_bar=True).show_progress("step", done=done, total=total)
    assert last_frame(stream).endswith(text)


def test_the_cursor_is_never_hidden():
    # A process that is killed could not show it again.
    stream = io.StringIO()
    terminal = Terminal(stream, has_bar=True)
    terminal.show_progress("half", done=1, total=2)
    terminal.clear_progress()
    assert "\x1b[?25" not in stream.getvalue()


def test_without_a_terminal_there_are_only_whole_lines(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich obeys
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    stream = io.StringIO()
    terminal = Terminal(stream, has_bar=False)
    terminal.show_progress("half", done=1, total=2)
    terminal.write_line("an event")
    terminal.clear_progress()
    assert stream.getvalue() == "an event\n"


class FailingStream(io.StringIO):
    def __init__(self, error: BaseException):
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("has_bar", [True, False])
@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed"), RuntimeError("x")],
)
def test_a_stream_that_fails_never_reaches_the_caller(error, has_bar):
    terminal = Terminal(FailingStream(error), has_bar=has_bar)
    terminal.show_progress("half", done=1, total=2)
    terminal.write_line("an event")
    terminal.clear_progress()


def test_no_stream_at_all_is_silence():
    Terminal(None, has_bar=False).write_line("an event")


class InterruptedStream(io.StringIO):
    """Calls the terminal while it writes, as a signal handler that logs would."""

    terminal: Terminal | None = None

    def write(self, text: str) -> int:
        interrupted, self.terminal = self.terminal, None
        if interrupted is not None:
            interrupted.write_line("from the handler")
        return super().write(text)


@pytest.mark.parametrize("has_bar", [True, False])
def test_a_line_from_a_signal_handler_does_not_wait_for_the_line_it_interrupts(has_bar):
    stream = InterruptedStream()
    terminal = Terminal(stream, has_bar=has_bar)
    terminal.show_progress("half", done=1, total=2)
    stream.terminal = terminal
    terminal.write_line("interrupted")
    assert "from the handler\n" in stream.getvalue()
    assert "interrupted\n" in stream.getvalue()


def test_a_table_aligns_numbers_to_the_right():
    rows = [("ROC-AUC", "0.9", "0.85"), ("untrained", "0.75", "")]
    assert aligned_columns(("", "test", "validation"), rows).splitlines() == [
        "           test  validation",
        "ROC-AUC     0.9        0.85",
        "untrained  0.75",
    ]


@pytest.mark.parametrize("text", ["r\u00e9sum\u00e9 \u2713", "lone \ud800"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_a_stream_cannot_encode_is_escaped(text, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Terminal(stream, has_bar=False).write_line(text)
    expected = text.encode(encoding, "backslashreplace").decode(encoding)
    assert stream.buffer.getvalue().decode(encoding) == expected + "\n"


def test_a_reader_that_goes_away_does_not_change_the_exit_code():
    program = (
        "import sys; from job.telemetry.terminal import Terminal\n"
        "terminal = Terminal(sys.stdout, has_bar=False)\n"
        "for _ in range(3): terminal.write_line('x')\n"
        "assert 'rich' not in sys.modules, 'slow to import'"
    )
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [sys.executable, "-c", program],
            stdout=writer,
            env={**os.environ, "PYTHONUNBUFFERED": ""},  # as users run it: with buffers
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("is_terminal", "env", "escapes", "colour"),
    [
        (True, {"TERM": "xterm-256color"}, True, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True, True),
        (True, {"TERM": "dumb"}, False, False),
        (True, {}, False, False),
        (False, {"TERM": "xterm"}, False, False),
    ],
)
def test_escape_codes_are_for_terminals_that_want_them(is_terminal, env, escapes, colour):
    assert supports_escape_codes(is_terminal=is_terminal, env=env) is escapes
    assert supports_colour(is_terminal=is_terminal, env=env) is colour
