"""Shows a person how training goes: a line now and then, or a bar on a terminal.

The loop reports every call into the compiled function; this decides whether to show it::

    progress = ProgressReporter(
        every_seconds=10.0, total_steps=10_000, total_epochs=20, terminal=setup.terminal
    )
    progress.update(1200, epoch=2, steps=16, seconds=1.6, examples=4096, measured=measured)
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from job.telemetry.logs.events import LogValue
from job.telemetry.logs.text_line import format_duration, format_number, format_rate
from job.telemetry.terminal import Terminal

log = logging.getLogger(__name__)

# Long enough to smooth a slow call, short enough to follow a change of speed.
WINDOW_SECONDS = 30.0
BAR_REDRAW_SECONDS = 0.2
# A narrow terminal cuts the end of the text beside the bar.
_BAR_ORDER = ("epoch", "loss", "eta", "pairs_per_second", "accuracy", "step", "lr", "step_ms")
_BAR_NAMES = {"pairs_per_second": "pairs/s"}


@dataclass(frozen=True)
class Call:
    """One call into the compiled training function: its optimizer steps, pairs, wall time."""

    steps: int
    examples: int
    seconds: float


class Throughput:
    """The speed over the calls that fill the last `WINDOW_SECONDS` of training."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._seconds = 0.0

    def add(self, steps: int, *, examples: int, seconds: float) -> None:
        """Takes one call into account, and forgets those before the window.

        Args:
            steps: Its optimizer steps; >= 1.
            examples: Its pairs.
            seconds: Its wall time, >= 0.
        """
        self._calls.append(Call(steps, examples, seconds))
        self._seconds += seconds
        while self._seconds - self._calls[0].seconds >= WINDOW_SECONDS:
            self._seconds -= self._calls.popleft().seconds

    @property
    def seconds_per_step(self) -> float | None:
        """Wall time of a step; None before the first call."""
        steps = sum(call.steps for call in self._calls)
        return sum(call.seconds for call in self._calls) / steps if steps else None

    @property
    def examples_per_second(self) -> float | None:
        """Pairs a second; None before the first call, or when it took no time at all."""
        seconds = sum(call.seconds for call in self._calls)
        return sum(call.examples for call in self._calls) / seconds if seconds > 0 else None


@dataclass(frozen=True)
class Measured:
    """What the last call measured, as plain floats.

    Attributes:
        loss: Mean training loss of the epoch so far.
        accuracy: Share of its training pairs on the right side of 0.5.
        learning_rate: Of the last step.
    """

    loss: float
    accuracy: float
    learning_rate: float


class ProgressReporter:
    """Emits the event `training`, or draws the bar on a terminal.

    The first call of the process is shown at once, as a sign of life, and left out of the
    speed: it compiled.

    Args:
        every_seconds: Time between two lines where there is no bar.
        total_steps: Optimizer steps of the whole run.
        total_epochs: Epochs of the whole run.
        terminal: Owner of standard output.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        every_seconds: float,
        total_steps: int,
        total_epochs: int,
        terminal: Terminal,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_seconds = BAR_REDRAW_SECONDS if terminal.has_bar else every_seconds
        self._total_steps = total_steps
        self._total_epochs = total_epochs
        self._terminal = terminal
        self._clock = clock
        self._pace = Throughput()
        self._seconds_per_pause = 0.0
        self._last: tuple[float, int] | None = None  # when and in which epoch `update` ended
        self._shown_at: float | None = None
        self.eta_seconds: float | None = None

    def update(
        self,
        global_step: int,
        *,
        epoch: int,
        steps: int,
        seconds: float | None,
        examples: int,
        measured: Measured,
    ) -> None:
        """Takes one call into the compiled function into account; shows it when it is time.

        Args:
            global_step: Optimizer steps since the run began, this call's included.
            epoch: Completed epochs, the number from 0 of the epoch that the steps belong to.
            steps: Optimizer steps of this call; >= 1.
            seconds: Wall time of this call; None when it compiled.
            examples: Pairs of this call.
            measured: What it measured.
        """
        now = self._clock()
        if seconds is not None and self._last is not None:
            self._pace.add(steps, examples=examples, seconds=seconds)
            if epoch != self._last[1]:
                self._seconds_per_pause = max(now - seconds - self._last[0], 0.0)
        self._last = (now, epoch)
        self.eta_seconds = self._eta(global_step, epoch=epoch)
        if self._shown_at is None or now - self._shown_at >= self._every_seconds:
            self._shown_at = now
            self._show(global_step, epoch=epoch, measured=measured)

    def finish(self) -> None:
        """Removes the bar."""
        self._terminal.clear_progress()

    def _eta(self, global_step: int, *, epoch: int) -> float | None:
        """Seconds to the end of training at the present speed; None when it is not known."""
        per_step = self._pace.seconds_per_step
        if per_step is None:
            return None
        steps_left = max(self._total_steps - global_step, 0)
        # A pause is the end of an epoch, where validation and saving take time.
        pauses_left = max(self._total_epochs - epoch, 0)
        return steps_left * per_step + pauses_left * self._seconds_per_pause

    def _show(self, global_step: int, *, epoch: int, measured: Measured) -> None:
        fields = progress_fields(
            (global_step, self._total_steps),
            epoch=(epoch + 1, self._total_epochs),
            measured=measured,
            pace=self._pace,
            eta_seconds=self.eta_seconds,
        )
        if self._terminal.has_bar:
            self._terminal.show_progress(
                bar_text(fields), done=global_step, total=self._total_steps
            )
        else:
            log.info("training", extra=fields)


def progress_fields(
    step: tuple[int, int],
    *,
    epoch: tuple[int, int],
    measured: Measured,
    pace: Throughput,
    eta_seconds: float | None,
) -> dict[str, LogValue]:
    """The fields of a progress line, in their order; what is not known yet is left out.

    Args:
        step: Optimizer steps taken, and of the whole run.
        epoch: Number of the current epoch, from 1, and of the last one.
        measured: What the last call measured.
        pace: The speed.
        eta_seconds: Time to the end of training.
    """
    fields = {
        "step": _of(step, key="step"),
        "epoch": _of(epoch, key="epoch"),
        "loss": _rounded(measured.loss, key="loss"),
        "accuracy": _rounded(measured.accuracy, key="accuracy"),
        "lr": LogValue(
            format_number(measured.learning_rate), {"learning_rate": measured.learning_rate}
        ),
    }
    if pace.examples_per_second is not None:
        rate = pace.examples_per_second
        fields["pairs_per_second"] = LogValue(format_rate(rate), {"pairs_per_second": rate})
    if pace.seconds_per_step is not None:
        milliseconds = pace.seconds_per_step * 1000.0
        fields["step_ms"] = LogValue(format_rate(milliseconds), {"step_ms": milliseconds})
    if eta_seconds is not None:
        fields["eta"] = LogValue(format_duration(eta_seconds), {"eta_seconds": eta_seconds})
    return fields


def bar_text(fields: Mapping[str, LogValue]) -> str:
    """The same fields for the side of a bar, the most important first."""
    return " ".join(
        f"{_BAR_NAMES.get(key, key)}={fields[key]}" for key in _BAR_ORDER if key in fields
    )


def _of(progress: tuple[int, int], *, key: str) -> LogValue:
    done, total = progress
    return LogValue(f"{done}/{total}", {key: done, f"target_{key}s": total})


def _rounded(value: float, *, key: str) -> LogValue:
    return LogValue(f"{value:.4g}", {key: value})
