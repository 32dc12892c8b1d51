"""Shows a person how training goes: a line now and then, or a bar on a terminal.

The loop reports every call into the compiled function; this decides whether to show it::

    progress = ProgressReporter(
        every_seconds=10.0, total_steps=10_000, total_epochs=20, screen=setup.screen
    )
    progress.update(1200, epoch=2, steps=16, seconds=1.6, examples=4096, measured=measured)
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from job.telemetry.logs.events import LogValue
from job.telemetry.logs.text_line import format_duration, format_number, format_rate
from job.telemetry.terminal import Screen
from job.types import Json

# Long enough to smooth a slow call, short enough to follow a change of speed.
WINDOW_SECONDS = 30.0


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


def remaining_seconds(
    seconds_per_step: float | None,
    *,
    steps_left: int,
    pauses_left: int,
    seconds_per_pause: float,
) -> float | None:
    """When training will be over, if it goes on as it does.

    Args:
        seconds_per_step: Wall time of a step; None when it is not known.
        steps_left: Optimizer steps to go.
        pauses_left: Ends of epochs to come, where validation and saving take time.
        seconds_per_pause: Wall time of one of those.

    Returns:
        Seconds, or None when it is not known.
    """
    if seconds_per_step is None:
        return None
    return max(steps_left, 0) * seconds_per_step + max(pauses_left, 0) * seconds_per_pause


log = logging.getLogger(__name__)

BAR_REDRAW_SECONDS = 0.2
_BAR_CELLS = 10
_BAR_NAMES = {"pairs_per_second": "pairs/s"}
# What a narrow terminal does without, first to last.
_DISPENSABLE = ("step_ms", "lr", "step", "pairs_per_second", "accuracy", "epoch")


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
    """Emits the event `training`, or draws the bar where the screen has one.

    The first call of the process is shown at once, as a sign of life, and left out of the
    speed: it compiled.

    Args:
        every_seconds: Time between two lines where there is no bar.
        total_steps: Optimizer steps to take since the run began; 0 when it is open ended.
        total_epochs: Epochs to complete since the run began; 0 when it is open ended.
        screen: Owner of standard output.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        every_seconds: float,
        total_steps: int,
        total_epochs: int,
        screen: Screen,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_seconds = BAR_REDRAW_SECONDS if screen.has_bar else every_seconds
        self._total_steps = total_steps
        self._total_epochs = total_epochs
        self._screen = screen
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
        """Takes the bar away."""
        self._screen.clear_bar()

    def _eta(self, global_step: int, *, epoch: int) -> float | None:
        if self._total_steps <= 0:
            return None
        return remaining_seconds(
            self._pace.seconds_per_step,
            steps_left=self._total_steps - global_step,
            pauses_left=self._total_epochs - epoch,
            seconds_per_pause=self._seconds_per_pause,
        )

    def _show(self, global_step: int, *, epoch: int, measured: Measured) -> None:
        fields = progress_fields(
            (global_step, self._total_steps),
            epoch=(epoch + 1, self._total_epochs),
            measured=measured,
            pace=self._pace,
            eta_seconds=self.eta_seconds,
        )
        if self._screen.has_bar:
            text = bar_text(
                fields,
                done=global_step,
                total=self._total_steps,
                columns=self._screen.bar_columns,
            )
            self._screen.show_bar(text)
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
        step: Optimizer steps taken, and to take (0: open ended).
        epoch: Number of the epoch under way, from 1, and how many (0: open ended).
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


def bar_text(fields: dict[str, LogValue], *, done: int, total: int, columns: int) -> str:
    """The same fields as one line with a bar before them, the dispensable left out if need be.

    Args:
        fields: From `progress_fields`.
        done: Optimizer steps taken.
        total: Optimizer steps to take; 0 leaves the bar out.
        columns: Characters there is room for; the bar, loss and eta stay, however few.
    """
    parts = {key: f"{_BAR_NAMES.get(key, key)}={value.text}" for key, value in fields.items()}
    bar = f"{_bar(done / total)}  " if total > 0 else ""
    for dispensable in ("", *_DISPENSABLE):
        parts.pop(dispensable, None)
        text = bar + " ".join(parts.values())
        if len(text) <= columns:
            break
    return text


def _bar(share: float) -> str:
    share = min(max(share, 0.0), 1.0)
    filled = int(share * _BAR_CELLS)
    return f"[{'=' * filled}{' ' * (_BAR_CELLS - filled)}] {int(share * 100):3d}%"


def _of(progress: tuple[int, int], *, key: str) -> LogValue:
    done, total = progress
    fields: dict[str, Json] = {key: done}
    if total <= 0:
        return LogValue(str(done), fields)
    return LogValue(f"{done}/{total}", {**fields, f"target_{key}s": total})


def _rounded(value: float, *, key: str) -> LogValue:
    return LogValue(f"{value:.4g}", {key: value})
