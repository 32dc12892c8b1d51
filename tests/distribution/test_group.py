"""Two ends of a connection in one process."""

import queue
import socket
import threading
import time
from functools import partial

import numpy as np
import pytest

from job.distribution import channel as channel_module
from job.distribution.channel import LEAVE, Channel
from job.distribution.group import Group
from job.distribution.messages import Message
from job.errors import ConfigError, ExitCode, PeerLostError, PreemptedError

NAMES = ["worker 0 (chief)", "worker 1 (follower)"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(channel_module, "BEAT_SECONDS", 0.05)


class Ends:
    """Two groups that talk to each other, and how each of them was ended."""

    def __init__(self, *, silence_seconds=5.0):
        self.sockets = socket.socketpair(socket.AF_UNIX)
        self.ended = [[], []]
        self.signals = []
        self.signal = 0
        chief = Group(0, NAMES, end=self._end(0), on_stop=self.signals.append)
        follower = Group(1, NAMES, end=self._end(1), signal=lambda: self.signal)
        self.groups = (chief, follower)
        for worker, group in enumerate(self.groups):
            opener = partial(
                Channel, FakeTcp(self.sockets[worker]), silence_seconds=silence_seconds
            )
            group.add(1 - worker, opener)

    def _end(self, worker):
        return lambda code, reason: self.ended[worker].append((code, reason))


class FakeTcp:
    """A socket of another family, which knows no option of TCP."""

    def __init__(self, real):
        self._real = real

    def setsockopt(self, *args):
        pass

    def __getattr__(self, name):
        return getattr(self._real, name)


@pytest.fixture
def ends():
    made = Ends()
    yield made
    for group in made.groups:
        group.leave(ExitCode.FINISHED, "")


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_alone_there_is_nobody_to_talk_to():
    group = Group()
    group.tell(Message("steps"))
    assert (group.num_workers, group.is_chief, group.collect("x")) == (1, True, [])
    group.leave(ExitCode.FINISHED, "")


def test_what_the_chief_says_arrives_in_order_and_followers_answer(ends):
    chief, follower = ends.groups
    for number in range(3):
        chief.tell(Message("steps", {"first": number}))
    chief.tell(Message("variables", arrays={"w": np.arange(3)}))
    assert [follower.receive("steps").facts["first"] for _ in range(3)] == [0, 1, 2]
    np.testing.assert_array_equal(follower.receive("variables").arrays["w"], np.arange(3))
    follower.tell(Message("embedded", {"rows": 2}))
    assert [one.facts for one in chief.collect("embedded")] == [{"rows": 2}]


def test_a_message_out_of_turn_is_a_bug_and_not_obeyed(ends):
    chief, follower = ends.groups
    chief.tell(Message("steps"))
    with pytest.raises(RuntimeError, match="'steps'"):
        follower.receive("variables")


def test_whoever_ends_tells_the_others_the_code(ends):
    chief, follower = ends.groups
    chief.leave(ExitCode.PREEMPTED, "Stopped by SIGTERM.")
    with pytest.raises(PreemptedError, match="ended with exit code 75: Stopped"):
        follower.receive("steps")
    assert ends.ended == [[], []]


def test_a_follower_that_ends_ends_the_chief(ends):
    chief, follower = ends.groups
    follower.leave(ExitCode.CONFIG, "no such file")
    with pytest.raises(ConfigError, match="no such file"):
        chief.collect("data")


@pytest.mark.parametrize("code", [ExitCode.UNEXPECTED, ExitCode.STALLED, ExitCode.FENCED])
def test_an_end_that_is_that_workers_alone_is_a_lost_peer_for_the_others(ends, code):
    chief, follower = ends.groups
    follower.leave(code, "boom")
    with pytest.raises(PeerLostError, match="boom"):
        chief.collect("data")


def test_a_farewell_can_be_waited_for(ends):
    chief, follower = ends.groups
    chief.tell(Message("steps"))
    chief.leave(ExitCode.FINISHED, "done")
    assert follower.receive("steps", LEAVE).kind == "steps"
    assert follower.receive("steps", LEAVE).kind == LEAVE


def test_a_connection_that_ends_without_a_word_ends_the_process_with_76(ends):
    ends.sockets[1].shutdown(socket.SHUT_RDWR)
    wait_until(lambda: ends.ended[0])
    code, reason = ends.ended[0][0]
    assert code is ExitCode.PEER_LOST
    assert reason == "worker 1 (follower) is lost: its connection ended"
    with pytest.raises(PeerLostError):
        ends.groups[0].collect("data")


def test_a_frozen_worker_is_lost_after_some_silence(monkeypatch):
    ours, theirs = socket.socketpair()
    ended = []
    group = Group(0, NAMES, end=lambda *reason: ended.append(reason))
    group.add(1, partial(Channel, FakeTcp(ours), silence_seconds=0.2))
    wait_until(lambda: ended)
    assert ended[0][0] is ExitCode.PEER_LOST
    assert "no sign of life for" in ended[0][1]
    theirs.close()


def test_signs_of_life_pass_a_main_thread_that_computes(ends):
    time.sleep(0.5)
    assert ends.ended == [[], []]


def test_the_chief_learns_of_a_signal_that_a_follower_got(ends):
    ends.signal = 15
    wait_until(lambda: 15 in ends.signals)


def test_a_worker_in_a_step_waits_for_those_that_are_not(ends):
    chief, follower = ends.groups
    with chief.in_step():
        wait_until(lambda: chief.waits_for_others)
        with follower.in_step():
            wait_until(lambda: not chief.waits_for_others)
    assert not chief.waits_for_others


def test_waiting_for_a_message_ticks_and_can_be_stopped(ends):
    _, follower = ends.groups

    def stop():
        raise PreemptedError("SIGTERM")

    follower.wait_with(stop)
    with pytest.raises(PreemptedError):
        follower.receive("steps")


def test_a_step_that_failed_says_who_has_left(ends):
    chief, follower = ends.groups
    assert isinstance(chief.lost("UNAVAILABLE"), PeerLostError)
    follower.leave(ExitCode.DATA, "bad rows")
    wait_until(lambda: chief.left)
    assert chief.lost("UNAVAILABLE").exit_code is ExitCode.DATA


def test_a_large_message_does_not_count_as_silence():
    made = Ends(silence_seconds=0.3)
    chief, follower = made.groups
    sending = threading.Thread(
        target=chief.tell, args=(Message("variables", arrays={"w": np.zeros(2_000_000)}),)
    )
    sending.start()
    assert len(follower.receive("variables").arrays["w"]) == 2_000_000
    sending.join()
    for group in made.groups:
        group.leave(ExitCode.FINISHED, "")
    assert made.ended == [[], []]


def test_a_process_that_was_paused_itself_accuses_nobody(monkeypatch):
    seconds = {"jump": 0.0}
    ours, theirs = socket.socketpair()
    ended = []
    group = Group(0, NAMES, end=lambda *reason: ended.append(reason))
    clock = lambda: time.monotonic() + seconds["jump"]  # noqa: E731 - a clock that can jump
    group.add(1, partial(Channel, FakeTcp(ours), silence_seconds=5.0, now=clock))
    time.sleep(0.1)
    seconds["jump"] = 60.0
    time.sleep(0.3)
    assert not ended
    theirs.close()


def test_a_farewell_just_before_the_end_of_the_connection_is_received(ends):
    chief, follower = ends.groups
    channel = follower._channels[0]
    received = channel._received

    class EmptyForAMoment:
        """While the follower looks at an empty queue, the chief says farewell and leaves."""

        def get(self, timeout):
            channel._received = received
            chief.leave(ExitCode.FINISHED, "the run is finished")
            channel._reading.join()
            raise queue.Empty

    channel._received = EmptyForAMoment()
    assert follower.receive("steps", LEAVE).facts["code"] == ExitCode.FINISHED
