import contextlib
import logging
import select
import signal
import socket
import threading

import pytest

from job.cli import main
from job.distribution.kubernetes import pod_of
from job.errors import ConfigError, ExitCode
from job.run.context import cause_of_sigterm
from job.run.supervisor import child
from job.run.supervisor.beat import FD, PORT, BeatReader
from job.run.supervisor.supervise import _environment
from job.telemetry.health import Health
from job.training.signals import StopSignal


@contextlib.contextmanager
def line():
    """The supervisor's end of a line, and the line of the child."""
    ours, theirs = socket.socketpair()
    with ours:
        env = {FD: str(theirs.detach()), PORT: "9090", "HOME": "/"}
        found = child.line_of(env)
        assert env == {"HOME": "/"}  # a process started from here is not supervised
        yield ours, found
        found.socket.close()


def beats_of(end, count):
    reader, found = BeatReader(), []
    while len(found) < count:
        found += reader.feed(end.recv(4096))
    return found


def test_beats_say_what_the_run_does(monkeypatch):
    monkeypatch.setattr(child, "BEAT_SECONDS", 0.01)
    health, stop = Health(), StopSignal()
    with line() as (end, found):
        assert found.port == 9090
        assert not found.socket.get_inheritable()
        beats = child.Beats(found, health=health, stop=stop, step=lambda: 12)
        with beats:
            (first,) = beats_of(end, 1)[:1]
            assert (first.number, first.activity, first.step) == (1, "initializing", 12)
            assert (first.leave, first.startup.ok) == (ExitCode.TERMINATED, False)
            beats.port = 4123
            beats.set_phase("training")
            health.finish_startup()
            stop.mark_committed()
            while (last := beats_of(end, 1)[-1]).leave != ExitCode.PREEMPTED:
                pass
            assert (last.activity, last.port, last.ready.ok) == ("training", 4123, True)


def test_a_process_that_beats_is_alive_though_nobody_asks_it(monkeypatch):
    # The supervisor answers /livez in its place.
    monkeypatch.setattr(child, "BEAT_SECONDS", 0.01)
    pod, now = pod_of({"JOB_UID": "3f6e", "POD_MAX_STARTUP_SECONDS": "600"}), [0.0]
    health = Health(now=lambda: now[0])
    health.finish_startup()
    now[0] = 61.0
    assert "/livez was not answered for 61 s" in cause_of_sigterm(health, pod=pod, seconds=90.0)
    with line() as (end, found):
        with child.Beats(found, health=health, stop=StopSignal(), step=lambda: 7):
            beats_of(end, 1)
            assert cause_of_sigterm(health, pod=pod, seconds=90.0) == ""
    now[0] = 150.0  # its threads could not run
    assert "/livez was not answered" in cause_of_sigterm(health, pod=pod, seconds=180.0)


def test_a_step_that_cannot_be_told_stops_no_beats(monkeypatch):
    monkeypatch.setattr(child, "BEAT_SECONDS", 0.01)

    def fail():
        raise RuntimeError("changed while it was read")

    with line() as (end, found):
        with child.Beats(found, health=Health(), stop=StopSignal(), step=fail):
            assert {beat.step for beat in beats_of(end, 3)} == {None}


@pytest.mark.parametrize("unread", [False, True])
def test_a_process_ends_with_its_supervisor(unread):
    left, codes = threading.Event(), []

    def leave(code):
        codes.append(code)
        left.set()

    with line() as (end, found):
        beats = child.Beats(
            found, health=Health(), stop=StopSignal(), step=lambda: None, leave=leave
        )
        with beats:
            if unread:
                select.select([end], [], [])  # closing resets the line
            else:
                beats_of(end, 1)
            end.close()
            assert left.wait(10)
    assert codes == [ExitCode.STALLED]


def test_a_supervisor_that_reads_nothing_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(child, "BEAT_SECONDS", 0.0)
    with line() as (_, found):
        with child.Beats(found, health=Health(), stop=StopSignal(), step=lambda: 1) as beats:
            while beats._number < 3000:  # more than the socket holds
                pass


def test_without_a_supervisor_there_are_no_beats():
    assert child.line_of({PORT: "9090"}) is None
    handler = signal.getsignal(signal.SIGUSR2)
    with child.Beats(None, health=Health(), stop=StopSignal(), step=lambda: 1):
        assert "beats" not in {thread.name for thread in threading.enumerate()}
    assert signal.getsignal(signal.SIGUSR2) == handler


@pytest.mark.parametrize("value", ["", "seven", "-1", "99999"])
def test_a_line_that_is_none_is_refused(value):
    with pytest.raises(ConfigError, match=f"{FD}: '{value}' is no open socket"):
        child.line_of({FD: value})


def test_a_signal_that_came_before_the_handler_arrives_with_it():
    blocked = {signal.SIGTERM}
    stop = StopSignal()
    old = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        signal.raise_signal(signal.SIGTERM)  # to this thread; others do not block it
        assert stop.name == ""
        stop.install()
        assert stop.name == "SIGTERM"
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)


@pytest.mark.parametrize(
    ("seconds", "was_started", "left"),
    [(0.2, False, "600"), (100.0, False, "500"), (900.0, False, "1"), (100.0, True, "")],
)
def test_a_process_that_is_started_again_has_what_is_left_of_the_startup(
    seconds, was_started, left
):
    env = {"JOB_UID": "3f6e", "POD_MAX_STARTUP_SECONDS": "600"}
    changed = _environment(
        env, port=9090, pod=pod_of(env), seconds=seconds, was_started=was_started
    )
    assert changed == {**env, PORT: "9090", "POD_MAX_STARTUP_SECONDS": left}


def test_a_supervised_process_with_a_wrong_line_ends_with_two(project, monkeypatch, capsys):
    monkeypatch.setenv(FD, "seven")
    handlers = list(logging.getLogger().handlers)
    assert main(["train", str(project / "tiny.yaml")]) == ExitCode.CONFIG
    assert "Only a supervisor sets it" in capsys.readouterr().err
    assert logging.getLogger().handlers == handlers
