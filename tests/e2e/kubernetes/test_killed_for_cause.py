"""A pod that Kubernetes or the watchdog ends for a fault of its own costs a retry.

So the attempts are bounded, and `kubectl describe pod` says why each one ended.
"""

import pytest

from job.errors import ExitCode
from tests.e2e.kubernetes.node import paused
from tests.fakes.gcs_server import Fault

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.slow, pytest.mark.prove]

# Exit code that the kernel gives a process ended by SIGKILL.
KILLED = 137


def check_bounded(cluster, job, *, code, words):
    """The Job has failed after one retry, and each pod says why it ended."""
    ended = cluster.wait_for_end(job, seconds=420)
    assert (ended["type"], ended["reason"]) == ("Failed", "MaxFailedIndexesExceeded")
    ends = cluster.ends(job)
    assert [end.code for end in ends] == [code, code]
    assert cluster.get("job", job)["status"]["failed"] == 2
    for end in ends:
        assert words in end.message
        assert words in cluster.kubectl("describe", "pod", end.pod)


@pytest.mark.parametrize("seconds", [10, 20])
def test_a_startup_that_outlasts_its_probe_is_counted(cluster, planted, own_bucket, seconds):
    own_bucket.server.faults.at_request = lambda number: Fault("get", "status")
    values = planted("Pace", into=own_bucket, seconds=0.0)
    values["failure"] = {"maxStartupSeconds": seconds, "maxRestarts": 1}
    job = cluster.installed("slowstart", values)
    words = f"training did not start within {seconds} s (not started yet: the run directory)"
    check_bounded(cluster, job, code=ExitCode.STALLED, words=words)
    cluster.uninstall("slowstart")


def test_a_process_that_answers_no_probe_and_trains_on_is_counted(cluster, planted):
    # So slow that two attempts, each killed after its startup budget, do not finish the run.
    values = planted("DeafEndpoint", seconds=6.0)
    values["failure"] = {"maxRestarts": 1}
    job = cluster.installed("deaf", values)
    check_bounded(cluster, job, code=ExitCode.STALLED, words="/livez was not answered for")
    cluster.uninstall("deaf")


def test_a_hook_that_never_returns_is_counted(cluster, planted):
    values = planted("StuckHook")
    values["config"]["training"]["stall_seconds"] = 5
    values["failure"] = {"maxRestarts": 1}
    job = cluster.installed("stuck", values)
    check_bounded(
        cluster, job, code=ExitCode.STALLED, words="s (training); the last commit is intact"
    )
    cluster.uninstall("stuck")


def test_a_process_that_stands_still_is_killed_and_counted_and_the_next_one_completes(
    cluster, bucket, planted, check_undisturbed
):
    # The kubelet grants this time although the liveness probe has one of its own.
    values = {**planted("Pace", seconds=0.6), "terminationGracePeriodSeconds": 15}
    job = cluster.installed("frozen", values)
    cluster.wait_for_line(job, r"training step=(\d\d)/")
    pod = cluster.pods(job)[-1]["metadata"]["name"]
    # The liveness probe begins once the startup probe has succeeded.
    cluster.kubectl("wait", "pod", pod, "--for=condition=Ready", "--timeout=60s")
    with paused(pod):
        cluster.wait(lambda: cluster.ends(job), "the end of the pod", seconds=180)
    assert [end.code for end in cluster.ends(job)] == [KILLED]
    assert "Liveness probe failed" in cluster.kubectl("describe", "pod", pod)
    check_undisturbed(job, bucket=bucket, attempts=2, num_failures=1)
    cluster.uninstall("frozen")


def test_a_pod_that_fills_its_scratch_volume_is_counted(cluster, planted):
    values = planted("Hoarder", seconds=2.5)
    values["scratch"] = {"sizeLimit": "4Mi"}
    values["failure"] = {"maxRestarts": 1}
    job = cluster.installed("hoarder", values)
    ended = cluster.wait_for_end(job, seconds=300)
    assert (ended["type"], ended["reason"]) == ("Failed", "MaxFailedIndexesExceeded")
    # As a rule, the kubelet removes the container before its exit code is read, and says so.
    # Where it reads 75, the attempt is a preempted one, which is not counted.
    codes = [end.code for end in cluster.ends(job)]
    assert (codes.count(KILLED), set(codes) - {KILLED, ExitCode.PREEMPTED}) == (2, set())
    assert cluster.get("job", job)["status"]["failed"] == 2
    for pod in cluster.pods(job):
        assert pod["status"]["reason"] == "Evicted"
        described = cluster.kubectl("describe", "pod", pod["metadata"]["name"])
        assert 'Usage of EmptyDir volume "scratch" exceeds the limit "4Mi"' in described
    cluster.uninstall("hoarder")
