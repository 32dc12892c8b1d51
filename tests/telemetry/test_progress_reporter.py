import logging

import pytest

from job.telemetry.logs.formatters import TextFormatter
from job.telemetry.progress_reporter import (
    Measured,
    ProgressReporter,
    Throughput,
    progress_fields,
)

MEASURED = Measured(loss=0.142345, accuracy=0.94, learning_rate=0.001)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeTerminal:
    """Keeps the frames of the bar; None is its removal."""

    def __init__(self, *, has_bar: bool):
        self.has_bar = has_bar
        self.frames: list[tuple[str, int, int] | None] = []

    def show_progress(self, text: str, *, done: int, total: int) -> None:
        self.frames.append((text, done, total))

    def clear_progress(self) -> None:
        self.frames.append(None)


class Loop:
    """A training loop whose every call is 10 steps of 256 pairs and takes as long as told."""

    def __init__(self, *, has_bar: bool = False, steps_in_epoch: int = 1000, **changes):
        self.terminal = FakeTerminal(has_bar=has_bar)
        self.clock = Clock()
        self.step = 0
        self.steps_in_epoch = steps_in_epoch
        settings = {"every_seconds": 10.0, "total_steps": 10_000, "total_epochs": 10, **changes}
        self.reporter = ProgressReporter(
            terminal=self.terminal,
            clock=self.clock,
            **settings,
        )

    def call(self, seconds: float = 1.0, *, times: int = 1, compiles: bool = False) -> None:
        for _ in range(times):
            epoch = self.step // self.steps_in_epoch
            self.step += 10
            self.clock.now += seconds
            self.reporter.update(
                self.step,
                epoch=epoch,
                steps=10,
                seconds=None if compiles else seconds,
                examples=2560,
                measured=MEASURED,
            )


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)

    def read() -> list[str]:
        return [TextFormatter().format(record).split(" ", 3)[3] for record in caplog.records]

    return read


def test_the_first_call_is_shown_at_once_without_a_speed(lines):
    Loop().call(20.0)
    assert lines() == ["training step=10/10000 epoch=1/10 loss=0.1423 accuracy=0.94 lr=0.001"]


def test_then_there_is_one_line_every_ten_seconds(lines):
    loop = Loop()
    loop.call(1.0, times=31)  # shown at 1, 11, 21 and 31 s
    assert [line.split()[1] for line in lines()] == [
        "step=10/10000",
        "step=110/10000",
        "step=210/10000",
        "step=310/10000",
    ]


def test_the_speed_leaves_the_first_call_out(lines):
    loop = Loop()
    loop.call(60.0)
    loop.call(1.0, times=10)
    # 10 steps a second; 10000 - 110 steps to go at 0.1 s: 989 s.
    assert lines()[-1].split()[-3:] == ["pairs_per_second=2560", "step_ms=100", "eta=16m29s"]


def test_calls_before_the_last_thirty_seconds_are_forgotten(lines):
    loop = Loop(every_seconds=0.0)
    loop.call(10.0, times=11)
    assert "step_ms=1000" in lines()[-1]
    loop.call(1.0, times=30)
    assert "step_ms=100" in lines()[-1]


def test_a_call_that_took_no_time_has_no_rate(lines):
    loop = Loop(every_seconds=0.0)
    loop.call(0.0, times=2)
    assert "pairs_per_second" not in lines()[-1]


def test_the_speed_leaves_out_every_call_that_compiled(lines):
    loop = Loop()
    loop.call(1.0, times=6)
    loop.call(60.0, compiles=True)
    assert "step_ms=100" in lines()[-1]


def test_the_expected_end_counts_what_happens_between_epochs():
    loop = Loop(total_steps=300, total_epochs=3, steps_in_epoch=100)
    loop.call(1.0, times=10)
    assert loop.reporter.eta_seconds == pytest.approx(20.0)  # 200 steps; no pause known yet
    loop.clock.now += 7.0  # validation
    loop.call(1.0)
    # 190 steps at 0.1 s, the ends of epochs 2 and 3 at 7 s.
    assert loop.reporter.eta_seconds == pytest.approx(19.0 + 14.0)


def test_a_pause_within_an_epoch_is_not_taken_for_its_end():
    loop = Loop(total_steps=300, total_epochs=3, steps_in_epoch=100)
    loop.call(1.0, times=2)
    loop.clock.now += 7.0  # a checkpoint
    loop.call(1.0)
    assert loop.reporter.eta_seconds == pytest.approx(27.0)


def test_a_terminal_gets_a_bar_and_no_lines(lines):
    loop = Loop(has_bar=True)
    loop.call(1.0, times=2)
    loop.reporter.finish()
    assert lines() == []
    assert loop.terminal.frames[1:] == [
        (
            "epoch=1/10 loss=0.1423 eta=16m38s pairs/s=2560 accuracy=0.94 step=20/10000 "
            "lr=0.001 step_ms=100",
            20,
            10_000,
        ),
        None,
    ]


def test_a_bar_is_redrawn_at_most_five_times_a_second():
    loop = Loop(has_bar=True)
    loop.call(1 / 64, times=65)
    # The first call, then every 13th: 13/64 s is the first multiple that is over 0.2 s.
    assert len(loop.terminal.frames) == 5
    loop.call(1 / 64)
    assert len(loop.terminal.frames) == 6


def test_machines_get_numbers_where_people_get_text():
    pace = Throughput()
    pace.add(16, examples=4096, seconds=1.568)
    shown = progress_fields(
        (1200, 10_000), epoch=(3, 20), measured=MEASURED, pace=pace, eta_seconds=751.0
    )
    fields = {key: value for each in shown.values() for key, value in each.fields.items()}
    assert fields == {
        "step": 1200,
        "target_steps": 10_000,
        "epoch": 3,
        "target_epochs": 20,
        "loss": 0.142345,
        "accuracy": 0.94,
        "learning_rate": 0.001,
        "pairs_per_second": pytest.approx(2612.2, abs=0.1),
        "step_ms": pytest.approx(98.0),
        "eta_seconds": 751.0,
    }
    assert " ".join(f"{key}={value}" for key, value in shown.items()) == (
        "step=1200/10000 epoch=3/20 loss=0.1423 accuracy=0.94 lr=0.001 "
        "pairs_per_second=2612 step_ms=98 eta=12m31s"
    )
