"""Owns standard output: log lines, and on a terminal the progress bar below them.

Everything the program shows goes through one `Screen`, so that a log line never lands in the
middle of a bar. A reader that goes away (`| head`) or a full disk never reaches the caller::

    screen = Screen(sys.stdout, has_bar=True)
    screen.show_bar("epoch 3/20  12%")
    screen.write_line("15:04:05 checkpoint committed")
"""

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from typing import TextIO

_CLEAR_LINE = "\r\x1b[2K"


def supports_escape_codes(*, is_terminal: bool, env: Mapping[str, str]) -> bool:
    """Whether lines may be redrawn: on every terminal but one that says it cannot."""
    return is_terminal and env.get("TERM", "") not in ("", "dumb")


def supports_colour(*, is_terminal: bool, env: Mapping[str, str]) -> bool:
    """Whether colours may be used: as above, unless NO_COLOR is set (https://no-color.org)."""
    return supports_escape_codes(is_terminal=is_terminal, env=env) and not env.get("NO_COLOR")


def terminal_columns() -> int:
    """Width of the terminal in characters; 80 when it is not known."""
    return shutil.get_terminal_size().columns


class Screen:
    """Writes lines, keeps at most one bar below them; safe to use from every thread.

    Args:
        stream: Where to; None (as `sys.stdout` is in a process without one) writes nowhere.
        has_bar: Whether `stream` is a terminal on which a line can be redrawn. Without, bars
            are not shown and nothing but whole lines is written.
        columns: Width of the terminal.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        has_bar: bool,
        columns: Callable[[], int] = terminal_columns,
    ) -> None:
        self.has_bar = has_bar
        self._stream = stream
        self._columns = columns
        self._bar = ""
        # Reentrant: a signal handler may log while this thread is writing.
        self._lock = threading.RLock()

    @property
    def bar_columns(self) -> int:
        """Characters a bar may have: a full line would wrap and could not be redrawn."""
        return max(self._columns() - 1, 0)

    def write_line(self, text: str) -> None:
        """Writes text and a newline above the bar; `text` may itself hold several lines."""
        with self._lock:
            clear = _CLEAR_LINE if self._bar else ""
            self._write(f"{clear}{text}\n{self._bar}")

    def show_bar(self, text: str) -> None:
        """Draws or redraws the bar, cut to the width of the terminal."""
        if not self.has_bar:
            return
        with self._lock:
            self._bar = text[: self.bar_columns]
            self._write(_CLEAR_LINE + self._bar)

    def clear_bar(self) -> None:
        """Takes the bar away."""
        with self._lock:
            if self._bar:
                self._bar = ""
                self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            _write_encodable(self._stream, text)
            self._stream.flush()
        except BrokenPipeError:
            _discard_from_now_on(self._stream)
        except Exception:  # noqa: BLE001 - telemetry never ends a run, and there is
            pass  # nowhere left to say it: a closed stream, a full disk, a reentrant write


def _write_encodable(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # an ASCII locale, or a lone surrogate
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _discard_from_now_on(stream: TextIO) -> None:
    """Points a stream whose reader is gone at /dev/null.

    What the stream still buffers would else fail again when Python flushes it at exit, and turn
    the exit code of a good run into 120.
    """
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
    except (OSError, ValueError):  # not a real file: nothing is flushed at exit
        return
