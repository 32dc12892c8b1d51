"""A main thread that makes no progress, or does not notice a signal, ends the process."""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from job.errors import ExitCode
from job.run.watchdog import NOTICE_SECONDS, SLOW_PHASE_FACTOR, Watchdog
from job.training.signals import StopSignal

REPOSITORY = Path(__file__).parents[2]


class EndedError(Exception):
    """Stands for the end of the process."""


class Clocked:
    """A watchdog without a thread, and the clock that it reads."""

    def __init__(self, *, stall_seconds: float | None = 10.0) -> None:
        self.stop = StopSignal()
        self.now = self.stop.polled_at
        self.codes: list[int] = []
        self.watchdog = Watchdog(
            self.stop, stall_seconds=stall_seconds, now=lambda: self.now, leave=self.leave
        )
        self.watchdog.set_phase("training")

    def leave(self, code: int) -> None:
        self.codes.append(code)
        raise EndedError

    def check(self, *, seconds: float, is_terminated: bool = False) -> None:
        """Looks every second until so many seconds after the last poll and SIGTERM."""
        at = self.stop.polled_at
        while self.now < at + seconds:
            self.now = min(self.now + 1.0, at + seconds)
            self.watchdog.check(at if is_terminated else None)


def test_no_poll_within_the_limit_ends_in_77_with_the_stacks(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    clocked = Clocked()
    clocked.check(seconds=9.0)
    with pytest.raises(EndedError):
        clocked.check(seconds=10.0)
    assert clocked.codes == [ExitCode.STALLED]
    assert "test_no_poll_within_the_limit" in capfd.readouterr().err
    assert "process ended by the watchdog" in caplog.messages


def test_every_poll_of_the_main_thread_starts_the_limit_again() -> None:
    clocked = Clocked()
    clocked.check(seconds=9.0)
    for poll in (clocked.stop.raise_if_requested, clocked.stop.note_progress):
        clocked.stop.polled_at = 0.0
        poll()
        assert clocked.stop.polled_at > 0.0
    clocked.stop.polled_at = 0.0
    assert not clocked.stop.requested
    assert clocked.stop.polled_at > 0.0


@pytest.mark.parametrize("phase", ["initializing", "restoring", "compiling", "reporting"])
def test_loading_and_compiling_have_a_larger_limit(phase: str) -> None:
    clocked = Clocked()
    clocked.watchdog.set_phase(phase)  # type: ignore[arg-type]
    clocked.check(seconds=10.0 * SLOW_PHASE_FACTOR - 1.0)
    with pytest.raises(EndedError):
        clocked.check(seconds=10.0 * SLOW_PHASE_FACTOR)


def test_no_limit_never_ends_the_process() -> None:
    Clocked(stall_seconds=None).check(seconds=1000.0)


def test_a_process_that_was_paused_gets_the_whole_limit_again() -> None:
    clocked = Clocked(stall_seconds=20.0)
    clocked.check(seconds=15.0)
    clocked.now += 3600.0  # Ctrl-Z, then fg
    clocked.watchdog.check(None)
    clocked.check(seconds=15.0 + 3600.0 + 19.0)
    with pytest.raises(EndedError):
        clocked.check(seconds=15.0 + 3600.0 + 20.0)


def test_a_log_that_nobody_reads_does_not_keep_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left, reads = threading.Event(), threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    class Blocked(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert left.wait(10)  # as a full pipe makes a writer wait
            reads.set()

    monkeypatch.setattr("job.run.watchdog._LAST_WORDS_SECONDS", 0.05)
    blocked, logger = Blocked(), logging.getLogger("job.run.watchdog")
    logger.addHandler(blocked)
    try:
        clocked = Clocked()
        clocked.watchdog._leave = leave
        clocked.check(seconds=10.0)
    finally:
        logger.removeHandler(blocked)
    assert reads.is_set()
    assert codes[0] == ExitCode.STALLED


def test_a_sigterm_that_is_not_noticed_in_time_ends_the_process() -> None:
    clocked = Clocked(stall_seconds=None)
    clocked.check(seconds=NOTICE_SECONDS - 0.1, is_terminated=True)
    with pytest.raises(EndedError):
        clocked.check(seconds=NOTICE_SECONDS, is_terminated=True)
    assert clocked.codes == [ExitCode.TERMINATED]


@pytest.mark.parametrize("is_handled", [False, True])
def test_a_start_that_a_probe_ends_counts_also_if_the_main_thread_is_stuck(
    is_handled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clocked = Clocked(stall_seconds=None)
    clocked.stop.look_for_cause(lambda: "training did not start within 60 s")
    if is_handled:  # and not noticed, as in a long `time.sleep`
        clocked.stop._receive(signal.SIGTERM, None)
    with pytest.raises(EndedError):
        clocked.check(seconds=NOTICE_SECONDS, is_terminated=True)
    assert clocked.codes == [ExitCode.STALLED]
    assert "training did not start within 60 s" in caplog.records[-1].__dict__["reason"]


def test_a_signal_that_was_noticed_leaves_the_process_its_time_to_commit() -> None:
    clocked = Clocked(stall_seconds=None)
    clocked.stop._receive(signal.SIGTERM, None)
    assert clocked.stop.requested
    clocked.check(seconds=100.0, is_terminated=True)


def test_ctrl_c_waits_for_the_step_however_long_it_takes() -> None:
    stop = StopSignal()
    with Watchdog(stop, stall_seconds=None, leave=pytest.fail) as watchdog:
        os.write(watchdog._writer, bytes([signal.SIGINT]))
        assert not watchdog._wait_for_sigterm()


STUCK = """
import hashlib, sys
import job.run.watchdog as watchdog
from job.training.signals import StopSignal
watchdog.NOTICE_SECONDS = 0.5
stop = StopSignal()
stop.install()
with watchdog.Watchdog(stop, stall_seconds=float(sys.argv[1])) as dog:
    dog.set_phase("training")
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # native: no Python handler runs
"""


@pytest.mark.parametrize(
    ("stall_seconds", "code"), [(1.0, ExitCode.STALLED), (600.0, ExitCode.TERMINATED)]
)
def test_a_main_thread_stuck_in_native_code_is_ended(
    stall_seconds: float, code: ExitCode
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(stall_seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if code == ExitCode.TERMINATED:
            process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Current thread" in errors
    assert "most recent call first" in errors
