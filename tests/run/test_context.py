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


def test_a_run_that_trains_is_stopped_for_no_cause():
    health = Health()
    health.finish_startup()
    assert cause_of_sigterm(health, pod=POD, seconds=1e6) == ""
