from dataclasses import replace

import pytest

from job.distribution.kubernetes import Pod
from job.run.context import cause_of_sigterm
from job.telemetry.health import Health

POD = Pod("typos-0", "team", "typos", "3f6e", 0, 0, 120, 1800)


@pytest.mark.parametrize(
    ("pod", "seconds", "is_cause"),
    [
        (POD, 60.0, False),
        (POD, 1779.0, False),
        (POD, 1780.0, True),  # the last probe may come a period before the end of the budget
        (POD, 4000.0, True),
        (replace(POD, max_startup_seconds=10), 1.0, True),
        (replace(POD, max_startup_seconds=None), 4000.0, False),
        (None, 4000.0, False),
    ],
)
def test_a_pod_that_is_stopped_with_its_startup_budget_spent_was_killed_for_that(
    pod, seconds, is_cause
):
    health = Health()
    health.waiting_for("reading the data")
    cause = cause_of_sigterm(health, pod=pod, seconds=seconds)
    assert bool(cause) is is_cause
    if is_cause:
        assert (
            f"within {pod.max_startup_seconds} s (not started yet: reading the data)" in cause
        )
        assert "Raise failure.maxStartupSeconds" in cause


@pytest.mark.parametrize(
    ("pod", "answers", "seconds", "is_cause"),
    [
        (POD, [], 59.0, False),  # training has just begun
        (POD, [], 60.0, True),  # not even the first probe was answered
        (POD, [20.0, 50.0], 109.0, False),  # one probe was lost, as may be on a busy node
        (POD, [20.0, 50.0], 110.0, True),
        (replace(POD, max_startup_seconds=None), [20.0], 4000.0, False),
        (None, [20.0], 4000.0, False),
    ],
)
def test_a_run_that_trains_is_stopped_for_a_cause_if_it_answers_no_probe(
    pod, answers, seconds, is_cause
):
    now = [0.0]
    health = Health(now=lambda: now[0])
    health.finish_startup()
    for now[0] in answers:
        health.alive()
    now[0] = seconds
    cause = cause_of_sigterm(health, pod=pod, seconds=1e6)
    assert cause == (
        "/livez was not answered for 60 s. The metrics endpoint must answer within 5 s"
        if is_cause
        else ""
    )
