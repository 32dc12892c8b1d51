"""Sets logging up for one run, and puts it back.

Modules log with `logging.getLogger(__name__)`, a fixed event name as the message and the facts
in `extra`; everything else (format, severity, the terminal) is decided here::

    with configure_logging(format="auto", level="INFO", stream=sys.stdout, run="quora"):
        log.info("resumed", extra={"step": 1200})
"""

import contextlib
import logging
import os
from collections.abc import Callable, MutableMapping
from typing import Literal, Self, TextIO

from job.telemetry.logs.formatters import ConsoleFormatter, JsonFormatter, TextFormatter
from job.telemetry.run_metrics import RunMetrics
from job.telemetry.terminal import Terminal, supports_colour, supports_escape_codes

LogFormat = Literal["auto", "console", "text", "json"]
ResolvedFormat = Literal["console", "text", "json"]

# Libraries whose INFO is about their own workings (and, at DEBUG, quotes requests).
_QUIET_LIBRARIES = frozenset(
    (
        "PIL",
        "absl",
        "asyncio",
        "google",
        "h5py",
        "jax",
        "keras",
        "matplotlib",
        "tensorflow",
        "urllib3",
    )
)


def resolve_format(format: LogFormat, *, is_terminal: bool) -> ResolvedFormat:
    """What `auto` means here: `console` for a person, `text` for a pipe or a file."""
    if format != "auto":
        return format
    return "console" if is_terminal else "text"


class LoggingSetup:
    """Logging as configured for one run; a context manager that undoes it.

    Attributes:
        format: The format in use.
        terminal: Owner of the stream; progress draws its bar there.
    """

    def __init__(
        self,
        *,
        handler: "TerminalHandler",
        format: ResolvedFormat,
        level: int,
        terminal: Terminal,
    ) -> None:
        self.format: ResolvedFormat = format
        self.terminal = terminal
        self._handler = handler
        root = logging.getLogger()
        self._before = (root.level, list(root.handlers))
        root.handlers[:] = [handler]
        root.setLevel(level)
        logging.captureWarnings(True)

    def track_step(self, step: Callable[[], int]) -> None:
        """Gives every JSON record the step that `step` returns at the time."""
        self._handler.step = step

    def current_step(self) -> int | None:
        """The step that `track_step` gave; None before training."""
        return self._handler.step()

    def close(self) -> None:
        """Removes the bar and restores the root logger; a second call does nothing."""
        root = logging.getLogger()
        if self._handler not in root.handlers:
            return
        self.terminal.clear_progress()
        logging.captureWarnings(False)
        level, handlers = self._before
        root.setLevel(level)
        # What was added since (a test's, a user's) stays.
        added = [other for other in root.handlers if other is not self._handler]
        root.handlers[:] = handlers + [other for other in added if other not in handlers]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class TerminalHandler(logging.Handler):
    """Writes records to a terminal and counts them; never raises into the caller.

    Args:
        terminal: Where to.
        metrics: Counts the lines by severity; None counts nothing.

    Attributes:
        step: Returns the current step; None before training.
    """

    def __init__(self, terminal: Terminal, *, metrics: RunMetrics | None) -> None:
        super().__init__()
        self.step: Callable[[], int | None] = lambda: None
        self._terminal = terminal
        self._metrics = metrics
        self._is_counting = False
        self.addFilter(_is_wanted)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a value that cannot be shown must not end a run
            line = self._told_plainly(record)
        self._terminal.write_line(line)
        # A signal handler that logs while this thread is counting would wait for ever on the
        # counter's lock, which is not reentrant; its line goes uncounted.
        if self._metrics is not None and not self._is_counting:
            self._is_counting = True
            try:
                self._metrics.count_log_message(record.levelno)
            finally:
                self._is_counting = False

    def _told_plainly(self, record: logging.LogRecord) -> str:
        place = {"logger": record.name, "source_line": record.lineno}
        plain = logging.makeLogRecord({"msg": "log record could not be shown", **place})
        plain.levelno, plain.created = logging.ERROR, record.created
        with contextlib.suppress(Exception):
            return self.format(plain)
        return "log record could not be shown"


def configure_logging(
    *,
    format: LogFormat,
    level: str,
    stream: TextIO | None,
    run: str,
    worker: int = 0,
    metrics: RunMetrics | None = None,
) -> LoggingSetup:
    """Sends every record of the process to one stream; reads NO_COLOR and TERM.

    Args:
        format: As in `logging.format`.
        level: As in `logging.level`.
        stream: Standard output.
        run: Name of the run.
        worker: Rank of this process.
        metrics: Counts the lines; None counts nothing.

    Returns:
        What undoes it, with the format in use and the terminal that progress draws on.
    """
    is_terminal = stream is not None and stream.isatty()
    resolved = resolve_format(format, is_terminal=is_terminal)
    can_redraw = supports_escape_codes(is_terminal=is_terminal, env=os.environ)
    terminal = Terminal(stream, has_bar=can_redraw and resolved == "console")
    handler = TerminalHandler(terminal, metrics=metrics)
    handler.setFormatter(
        {
            "console": ConsoleFormatter(
                colour=supports_colour(is_terminal=is_terminal, env=os.environ)
            ),
            "text": TextFormatter(),
            "json": JsonFormatter(run=run, worker=worker, step=lambda: handler.step()),
        }[resolved]
    )
    threshold = logging.getLevelNamesMapping()[level]
    return LoggingSetup(handler=handler, format=resolved, level=threshold, terminal=terminal)


def _is_wanted(record: logging.LogRecord) -> bool:
    # A filter rather than their loggers' levels: those are theirs (absl sets its own when it is
    # imported, and makes its logger of a class of its own).
    library = record.name.partition(".")[0]
    return record.levelno >= logging.WARNING or library not in _QUIET_LIBRARIES


def quieten_tensorflow(environment: MutableMapping[str, str]) -> None:
    """Silences the native log of TensorFlow, unless the user set its level.

    What matters is raised as an exception; what is left says, for example at the first step,
    that a CPU lacks an instruction. Call it before TensorFlow is imported.

    Args:
        environment: The process' environment variables.
    """
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
