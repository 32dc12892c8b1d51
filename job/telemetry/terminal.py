"""Owns standard output: log lines, and on a terminal the progress bar below them.

Everything that a run shows goes through one `Terminal`, so that a log line never lands in the
middle of a bar. A reader that goes away (`| head`) or a full disk never reaches the caller::

    terminal = Terminal(sys.stdout, has_bar=True)
    terminal.show_progress("epoch=3/20", done=120, total=1000)
    terminal.write_line("15:04:05 checkpoint committed")
"""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # rich takes 0.1 s to import, and most processes show no bar
    from job.telemetry.progress_bar import ProgressBar


def supports_escape_codes(*, is_terminal: bool, env: Mapping[str, str]) -> bool:
    """Whether lines may be redrawn: on every terminal but one that says it cannot."""
    return is_terminal and env.get("TERM", "") not in ("", "dumb")


def supports_colour(*, is_terminal: bool, env: Mapping[str, str]) -> bool:
    """Whether colours may be used: as above, unless NO_COLOR is set (https://no-color.org)."""
    return supports_escape_codes(is_terminal=is_terminal, env=env) and not env.get("NO_COLOR")


def aligned_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, first_width: int = 0
) -> str:
    """A table as text: the first column aligned to the left, the others to the right.

    Args:
        header: The headings.
        rows: Their cells.
        first_width: Least width of the first column, for tables below each other.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    widths[0] = max(widths[0], first_width)
    lines = []
    for first, *rest in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


class Terminal:
    """Writes lines, keeps at most one bar below them; safe to use from every thread.

    Args:
        stream: Where to; None (as `sys.stdout` is in a process without one) writes nowhere.
        has_bar: Whether `stream` is a terminal on which a line can be redrawn. Without, bars
            are not shown and nothing but whole lines is written.
    """

    def __init__(self, stream: TextIO | None, *, has_bar: bool) -> None:
        self.has_bar = has_bar
        self._output = SafeOutput(stream)
        self._bar: ProgressBar | None = None
        # Reentrant: a signal handler may log while this thread is writing.
        self._lock = threading.RLock()

    def write_line(self, text: str) -> None:
        """Writes text and a newline above the bar; `text` may itself hold several lines."""
        with self._lock:
            if self._bar is not None:
                self._bar.write_above(text)
            else:
                self._output.write(f"{text}\n")

    def show_progress(self, text: str, *, done: int, total: int) -> None:
        """Draws or redraws the bar.

        Args:
            text: Beside the bar; a narrow terminal cuts its end.
            done: Part of `total` that is complete.
            total: >= 1.
        """
        if not self.has_bar:
            return
        with self._lock:
            if self._bar is None:
                from job.telemetry.progress_bar import ProgressBar

                self._bar = ProgressBar(self._output)
            self._bar.show(text, done=done, total=total)

    def clear_progress(self) -> None:
        """Removes the bar."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
                self._bar = None


class SafeOutput:
    """The part of a text stream that lines and bars need; writing to it never raises.

    Args:
        stream: Where to; None writes nowhere.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Writes and flushes; what the stream cannot encode is escaped."""
        if self._stream is None:
            return 0
        encodable = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        try:
            self._stream.write(encodable)
            self._stream.flush()
        except BrokenPipeError:
            discard_from_now_on(self._stream)
        except Exception:  # noqa: BLE001 - telemetry never ends a run, and there is
            pass  # nowhere left to say it: a closed stream, a full disk, a reentrant write
        return len(text)

    def flush(self) -> None:
        """Does nothing: `write` flushes."""


def discard_from_now_on(stream: TextIO) -> None:
    """Points a stream whose reader is gone at /dev/null.

    Otherwise Python would fail again when it flushes the stream's buffer at exit, and turn
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
