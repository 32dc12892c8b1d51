"""The node under a run is drained again and again: nothing is counted, nothing is lost.

The Job waits twice as long before each next pod, 10 s at first, so this takes 12 minutes.
"""

import re

import pytest

from job.errors import ExitCode
from tests.e2e.kubernetes.watching import WatchedPod

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.slow, pytest.mark.prove]

TIMES = 6
# Before the last pod the Job waits 320 s.
LONGEST_WAIT_SECONDS = 400


def test_a_node_drained_six_times_costs_no_retry_and_changes_nothing(
    cluster, bucket, planted, check_undisturbed
):
    values = {**planted("Pace", seconds=0.6), "failure": {"maxRestarts": 0}}
    job = cluster.installed("drained", values)
    steps = [0]
    for before in range(TIMES):
        wait_for_pod(cluster, job, preemptions=before)
        # Only a pod that went further than the one before it has committed something new.
        line = cluster.wait_for_line(job, r"(?s)training step=(\d+)/.*training step=\d+/")
        assert int(line[1]) >= steps[-1]
        pod = cluster.pods(job)[-1]
        name = pod["metadata"]["name"]
        with WatchedPod(cluster, name) as watch:
            cluster.drain(job)
        end = watch.ended()
        assert end.code == ExitCode.PREEMPTED
        steps.append(int(re.search(r"Step (\d+) \(epoch \d+\) is committed", end.message)[1]))
    assert steps == sorted(set(steps))

    wait_for_pod(cluster, job, preemptions=TIMES)
    assert "failures_before=0 " in cluster.logs(job)
    check_undisturbed(job, bucket=bucket, attempts=TIMES + 1)
    cluster.uninstall("drained")


def wait_for_pod(cluster, job, *, preemptions):
    """Waits for a pod that so many others were preempted before."""
    line = rf"preemptions_before={preemptions}\b"
    cluster.wait_for_line(job, line, seconds=LONGEST_WAIT_SECONDS, every=2)
