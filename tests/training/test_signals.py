import os
import signal

import pytest

from job.errors import InterruptedByUserError, PreemptedError, StalledError
from job.training.signals import StopSignal


@pytest.fixture
def stop():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    request = StopSignal()
    request.install()
    yield request
    for number, handler in before.items():
        signal.signal(number, handler)


def test_without_a_signal_nothing_happens(stop):
    stop.raise_if_requested()
    assert not stop.requested
    assert stop.name == ""


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, PreemptedError), (signal.SIGINT, InterruptedByUserError)],
)
def test_a_signal_is_only_noted_and_raised_where_it_is_asked_for(stop, number, error):
    os.kill(os.getpid(), number)
    assert stop.requested
    assert stop.name == number.name
    with pytest.raises(error, match="same command resumes"):
        stop.raise_if_requested()


@pytest.mark.parametrize(
    ("number", "is_committed", "cause", "code"),
    [
        (signal.SIGTERM, False, "", 143),
        (signal.SIGTERM, True, "", 75),
        (signal.SIGTERM, False, "no step for 600 s", 77),
        (signal.SIGTERM, True, "no step for 600 s", 77),
        (signal.SIGINT, False, "", 130),
        (signal.SIGINT, True, "", 130),
    ],
)
def test_a_second_signal_leaves_at_once_with_a_code_that_says_what_is_committed(
    stop, monkeypatch, number, is_committed, cause, code
):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    stop.look_for_cause(lambda: cause)
    os.kill(os.getpid(), number)
    if is_committed:
        stop.mark_committed()
    assert left == []
    os.kill(os.getpid(), number)
    assert left == [code]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_signal_of_another_worker_is_not_the_first_of_two(stop, monkeypatch, number):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    stop.request(signal.SIGTERM)  # the other worker's beat came first
    os.kill(os.getpid(), number)
    stop.request(signal.SIGTERM)
    assert left == []
    with pytest.raises(PreemptedError):
        stop.raise_if_requested()
    os.kill(os.getpid(), signal.SIGTERM)
    assert left == [143]


def test_a_sigterm_for_a_cause_is_a_failure_that_names_it(stop):
    causes = ["no step for 600 s", ""]
    stop.look_for_cause(lambda: causes.pop(0))
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(2):  # the cause is that of the signal's arrival
        with pytest.raises(StalledError, match=r"SIGTERM: no step for 600 s. The same command"):
            stop.raise_if_requested()


def test_ctrl_c_has_no_cause(stop):
    stop.look_for_cause(lambda: "no step for 600 s")
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(InterruptedByUserError):
        stop.raise_if_requested()


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr("job.training.signals.time", clock)
    return clock


def test_waiting_takes_as_long_as_it_should_while_nobody_asks_to_stop(clock):
    StopSignal().sleep(32.0)
    assert clock.now == pytest.approx(132.0)


def test_waiting_continues_for_seconds_after_a_signal_and_then_ends_the_process(clock):
    stop = StopSignal()
    stop._receive(signal.SIGTERM, None)
    clock.now = 200.0  # a long upload, and one error at its end
    stop.sleep(5.0)
    assert clock.now == pytest.approx(205.0)
    with pytest.raises(PreemptedError, match="does not answer, so steps after the last"):
        stop.sleep(32.0)
    assert 207.8 <= clock.now < 208.2
    with pytest.raises(PreemptedError):
        stop.sleep(1.0)


def test_ctrl_c_while_waiting_is_an_interruption(clock):
    stop = StopSignal()
    stop._receive(signal.SIGINT, None)
    with pytest.raises(InterruptedByUserError):
        stop.sleep(60.0)


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, PreemptedError), (signal.SIGINT, InterruptedByUserError)],
)
def test_a_signal_raises_at_once_where_nothing_can_be_left_half_done(stop, number, error):
    went_on = []

    def load() -> None:
        with stop.interruptible():
            os.kill(os.getpid(), number)
            went_on.append(True)

    with pytest.raises(error):
        load()
    assert stop.requested
    assert not went_on


def test_a_signal_waits_again_behind_such_a_place(stop):
    with stop.interruptible():
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop.name == "SIGTERM"


def test_a_signal_that_came_before_is_not_passed_over(stop):
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(PreemptedError), stop.interruptible():
        pytest.fail("went on")
