import math
import signal

import pytest

from job.errors import ExitCode
from job.run.supervisor.beat import Beat
from job.run.supervisor.rules import Due, Leave, Limits, Restart, Ward

LIMITS = Limits(frozen_seconds=30.0, restarts=2, grace_seconds=120.0)
OUTSIDE = Limits(frozen_seconds=30.0, restarts=2)


def beat(number=1, **facts):
    return Beat(number, **facts)


def look(ward, *, start, end):
    """Looks every second, as a supervisor does; returns when what became due."""
    found = {}
    for now in range(start, end + 1):
        due = ward.due(now=float(now))
        if due is not Due.NOTHING:
            found[due] = now
    return found


def test_a_silent_process_is_asked_for_its_stacks_and_killed_a_second_later():
    ward = Ward(LIMITS, now=0.0)
    ward.heard(beat(), now=10.0)
    assert look(ward, start=1, end=60) == {Due.STACKS: 40, Due.KILL: 41}
    assert "no sign of life for 30 s" in ward.reason
    assert ward.ended(-signal.SIGKILL) == Restart(ExitCode.STALLED, left=1)


def test_a_process_has_six_times_as_long_before_its_first_beat():
    ward = Ward(LIMITS, now=0.0)
    assert look(ward, start=1, end=200) == {Due.STACKS: 180, Due.KILL: 181}


def test_beats_keep_a_process_alive():
    ward = Ward(LIMITS, now=0.0)
    for now in range(1, 1000):
        ward.heard(beat(now), now=float(now))
        assert ward.due(now=float(now)) is Due.NOTHING


def test_a_supervisor_that_was_paused_itself_kills_nobody():
    ward = Ward(LIMITS, now=0.0)
    ward.heard(beat(), now=1.0)
    assert ward.due(now=2.0) is Due.NOTHING
    assert ward.due(now=5000.0) is Due.NOTHING  # a laptop was asleep
    assert look(ward, start=5001, end=5040) == {Due.STACKS: 5030, Due.KILL: 5031}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0, Leave(0)),
        (1, Leave(1)),
        (2, Leave(2)),
        (75, Leave(75)),
        (78, Leave(78)),
        (76, Restart(76, left=1)),
        (77, Restart(77, left=1)),
    ],
)
def test_only_a_lost_peer_and_a_stall_are_worth_another_try(status, verdict):
    assert Ward(LIMITS, now=0.0).ended(status) == verdict


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGKILL, 137, "SIGKILL, as when memory runs out"),
        (signal.SIGSEGV, 139, "SIGSEGV"),
        (signal.SIGABRT, 134, "SIGABRT"),
        (signal.SIGTERM, 143, "SIGTERM"),
    ],
)
def test_a_signal_that_somebody_else_sent_becomes_an_exit_code(number, code, words):
    verdict = Ward(LIMITS, now=0.0).ended(-number)
    assert verdict.code == code
    assert verdict.reason.endswith(words)


def restart_codes(ward, *steps):
    """What follows from ends with 77, each after a beat with a global step."""
    found = []
    for step in steps:
        ward.started(now=0.0)
        ward.heard(beat(step=step), now=0.0)
        verdict = ward.ended(77)
        found.append(verdict.left if isinstance(verdict, Restart) else "leaves")
    return found


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ((None, None, None), [1, 0, "leaves"]),
        ((0, 0, 0), [1, 0, "leaves"]),
        ((9, 5, 9), [1, 0, "leaves"]),  # it got no further than the first process
        ((9, 5, 10, 10, 10), [1, 0, 1, 0, "leaves"]),
        ((1, 2, 3, 4, 5), [1, 1, 1, 1, 1]),
    ],
)
def test_restarts_are_counted_from_the_last_new_step(steps, left):
    assert restart_codes(Ward(LIMITS, now=0.0), *steps) == left


def test_a_process_that_ends_by_itself_before_the_kill_keeps_its_code():
    ward = Ward(LIMITS, now=0.0)
    ward.heard(beat(), now=1.0)
    assert look(ward, start=2, end=31) == {Due.STACKS: 31}
    assert ward.ended(0) == Leave(0)


def test_a_frozen_process_that_is_woken_for_its_stacks_has_not_lost_its_peers():
    """They have left it, which it notices first; such a loss would not count as a failure."""
    ward = Ward(Limits(frozen_seconds=30.0, restarts=1), now=0.0)
    ward.heard(beat(), now=1.0)
    assert look(ward, start=2, end=31) == {Due.STACKS: 31}
    assert ward.ended(ExitCode.PEER_LOST) == Restart(ExitCode.STALLED, left=0)
    ward.started(now=32.0)
    assert look(ward, start=33, end=212) == {Due.STACKS: 212}
    assert ward.ended(ExitCode.PEER_LOST) == Leave(ExitCode.STALLED, ward.reason)


def test_no_restarts_means_none():
    ward = Ward(Limits(frozen_seconds=30.0, restarts=0), now=0.0)
    assert ward.ended(76) == Leave(76)


@pytest.mark.parametrize("code", [0, 75, 76, 77, 143])
def test_nothing_is_started_again_after_a_signal(code):
    ward = Ward(LIMITS, now=0.0)
    ward.signalled(signal.SIGTERM, now=1.0)
    assert ward.ended(code) == Leave(code)


@pytest.mark.parametrize(
    ("limits", "signals", "kill", "leave", "code"),
    [
        # Three seconds of the grace period are left; the last word of the process counts.
        (LIMITS, [(signal.SIGTERM, 10)], 128, 143, 143),
        (LIMITS, [(signal.SIGTERM, 10)], 128, 75, 75),
        (LIMITS, [(signal.SIGTERM, 10)], 128, 77, 77),
        (LIMITS, [(signal.SIGTERM, 10), (signal.SIGTERM, 20)], 23, 143, 143),
        (LIMITS, [(signal.SIGTERM, 10), (signal.SIGINT, 20)], 23, 75, 130),
        (OUTSIDE, [(signal.SIGINT, 10)], None, 143, None),
        (OUTSIDE, [(signal.SIGTERM, 10)], None, 143, None),
        (OUTSIDE, [(signal.SIGINT, 10), (signal.SIGINT, 20)], 23, 143, 130),
    ],
)
def test_a_process_that_does_not_end_after_signals_is_killed(
    limits, signals, kill, leave, code
):
    ward = Ward(limits, now=0.0)
    killed = None
    for now in range(1, 300):
        ward.heard(beat(now, leave=leave), now=float(now))
        for number, at in signals:
            if at == now:
                ward.signalled(number, now=float(now))
        if ward.due(now=float(now)) is Due.KILL:
            killed = now
            break
    assert killed == kill
    if code is not None:
        assert ward.ended(-signal.SIGKILL).code == code


def test_a_frozen_process_that_was_to_end_is_not_started_again():
    ward = Ward(OUTSIDE, now=0.0)
    ward.heard(beat(), now=1.0)
    ward.signalled(signal.SIGTERM, now=2.0)
    assert look(ward, start=2, end=60) == {Due.STACKS: 31, Due.KILL: 32}
    assert ward.ended(-signal.SIGKILL) == Leave(
        ExitCode.TERMINATED, "no sign of life for 30 s: its threads cannot run"
    )


def test_outside_a_pod_the_grace_period_has_no_end():
    assert math.isinf(OUTSIDE.grace_seconds)
