import io
import os
import subprocess
import sys

import pytest

from job.telemetry.terminal import Screen, supports_colour, supports_escape_codes

CLEAR = "\r\x1b[2K"


def screen_on(stream, *, has_bar: bool = True, width: int = 80) -> Screen:
    return Screen(stream, has_bar=has_bar, columns=lambda: width)


def test_a_line_is_written_above_the_bar():
    stream = io.StringIO()
    screen = screen_on(stream)
    screen.show_bar("half")
    screen.write_line("an event")
    screen.clear_bar()
    screen.write_line("the end")
    assert stream.getvalue() == (f"{CLEAR}half{CLEAR}an event\nhalf{CLEAR}the end\n")


def test_a_bar_never_wraps():
    stream = io.StringIO()
    screen_on(stream, width=10).show_bar("0123456789abc")
    assert stream.getvalue() == f"{CLEAR}012345678"


def test_without_a_terminal_there_are_only_whole_lines():
    stream = io.StringIO()
    screen = screen_on(stream, has_bar=False)
    screen.show_bar("half")
    screen.write_line("an event")
    screen.clear_bar()
    assert stream.getvalue() == "an event\n"


class FailingStream(io.StringIO):
    def __init__(self, error: BaseException):
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed"), RuntimeError("x")],
)
def test_a_stream_that_fails_never_reaches_the_caller(error):
    screen_on(FailingStream(error)).write_line("an event")


def test_no_stream_at_all_is_silence():
    screen_on(None).write_line("an event")


def test_a_closed_stream_is_silence():
    stream = io.StringIO()
    stream.close()
    screen_on(stream).write_line("an event")


@pytest.mark.parametrize("text", ["r\u00e9sum\u00e9 \u2713", "lone \ud800"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_a_stream_cannot_encode_is_escaped(text, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    screen_on(stream, has_bar=False).write_line(text)
    expected = text.encode(encoding, "backslashreplace").decode(encoding)
    assert stream.buffer.getvalue().decode(encoding) == expected + "\n"


def test_a_reader_that_goes_away_does_not_change_the_exit_code():
    program = (
        "import sys; from job.telemetry.terminal import Screen\n"
        "screen = Screen(sys.stdout, has_bar=False)\n"
        "for _ in range(3): screen.write_line('x')"
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
