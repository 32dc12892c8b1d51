"""A bucket that does not answer, or refuses: what is waited for, ignored, and final."""

import time

import pytest

from job.errors import ExitCode
from tests.fakes.gcs_server import Fault

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.slow, pytest.mark.prove]

# 20 minutes against a budget of 10, both in a sixtieth of the time.
OUTAGE_SECONDS = 20.0
SHORT_BUDGET_SECONDS, LONG_BUDGET_SECONDS = 10.0, 60.0
EVERYTHING = {f"storage.objects.{word}" for word in ("get", "list", "create", "delete")}


@pytest.fixture
def paced(planted, own_bucket):
    return planted("Pace", into=own_bucket, seconds=0.2)


def begin_outage(bucket):
    over = time.monotonic() + OUTAGE_SECONDS

    def fault(number):
        return Fault("get", "status") if time.monotonic() < over else None

    bucket.server.faults.at_request = fault


def test_an_outage_within_the_budget_is_trained_through(
    cluster, own_bucket, paced, check_undisturbed
):
    paced["config"]["checkpoint"]["outage_budget_seconds"] = LONG_BUDGET_SECONDS
    job = cluster.installed("outage", paced)
    cluster.wait_for_line(job, r"training step=(\d\d)/")
    begin_outage(own_bucket)
    check_undisturbed(job, bucket=own_bucket, attempts=1)
    assert [end.code for end in cluster.ends(job)] == [ExitCode.FINISHED]
    assert "bucket does not answer, retrying" in cluster.logs(job)
    assert "bucket answers again" in cluster.logs(job)
    cluster.uninstall("outage")


def test_an_outage_beyond_the_budget_is_ignored_and_the_next_pod_resumes(
    cluster, own_bucket, paced, check_undisturbed
):
    paced["config"]["checkpoint"]["outage_budget_seconds"] = SHORT_BUDGET_SECONDS
    paced["failure"] = {"maxRestarts": 0}
    job = cluster.installed("outage", paced)
    cluster.wait_for_line(job, r"training step=(\d\d)/")
    begin_outage(own_bucket)
    check_undisturbed(job, bucket=own_bucket, attempts=2)
    *during, last = cluster.ends(job)
    assert {end.code for end in during} == {ExitCode.STORAGE_OUTAGE}
    assert last.code == ExitCode.FINISHED
    for end in during:
        assert "tries failed in 10 s" in end.message
        assert "tries failed in 10 s" in cluster.kubectl("describe", "pod", end.pod)
    cluster.uninstall("outage")


def test_a_refusal_at_the_start_of_a_run_with_commits_is_waited_out(
    cluster, own_bucket, paced, check_undisturbed
):
    paced["failure"] = {"maxRestarts": 0}
    job = cluster.installed("refused", paced)
    cluster.wait_for_line(job, r"training step=(\d\d)/")
    pod = cluster.pods(job)[-1]["metadata"]["name"]
    cluster.kubectl("delete", "pod", pod, "--wait=true")
    own_bucket.server.bucket.denied = EVERYTHING
    cluster.wait_for_line(job, r"bucket refuses, retrying")
    own_bucket.server.bucket.denied = set()
    check_undisturbed(job, bucket=own_bucket, attempts=2)
    assert [end.code for end in cluster.ends(job)] == [ExitCode.FINISHED]
    cluster.uninstall("refused")


def test_a_refusal_for_good_fails_the_job_at_once_and_describe_says_what_to_grant(
    cluster, own_bucket, paced
):
    own_bucket.server.bucket.denied = EVERYTHING
    job = cluster.installed("denied", paced)
    ended = cluster.wait_for_end(job, seconds=240)
    assert (ended["type"], ended["reason"]) == ("Failed", "PodFailurePolicy")
    (end,) = cluster.ends(job)
    assert end.code == ExitCode.PERMISSION
    words = "The account of this process needs storage.objects.get on the bucket"
    assert words in end.message
    assert words in cluster.kubectl("describe", "pod", end.pod)
    cluster.uninstall("denied")
