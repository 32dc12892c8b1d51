import os
import signal

import pytest

from job.errors import InterruptedByUserError, PreemptedError
from job.training.stop import StopRequest


@pytest.fixture
def stop():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    request = StopRequest()
    request.install()
    yield request
    for number, handler in before.items():
        signal.signal(number, handler)


def test_without_a_signal_nothing_happens(stop):
    stop.check()
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
    with pytest.raises(error, match="same command goes on"):
        stop.check()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_second_signal_leaves_at_once_with_its_own_code(stop, monkeypatch, number, code):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    os.kill(os.getpid(), number)
    assert left == []
    os.kill(os.getpid(), number)
    assert left == [code]
