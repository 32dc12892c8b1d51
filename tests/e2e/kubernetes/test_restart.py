"""Pods that are lost: nothing is counted, nothing is trained twice, the bits stay."""

import json
import subprocess

import pytest

from job.errors import ExitCode

pytestmark = [pytest.mark.cluster, pytest.mark.e2e]


def test_a_deleted_pod_costs_nothing_and_changes_nothing(cluster, bucket, example, undisturbed):
    job = cluster.installed("evicted", example)
    step = int(cluster.wait_for_line(job, r"training step=(\d\d+)/")[1])
    pod = cluster.pods(job)[-1]["metadata"]["name"]
    with WatchedPod(cluster, pod) as watch:
        cluster.kubectl("delete", "pod", pod, "--wait=true")
    assert _exit_code(watch.stdout) == ExitCode.PREEMPTED
    resumed = int(cluster.wait_for_line(job, r"resumed attempt=2 step=(\d+)")[1])
    assert resumed >= step > 0
    assert "in a pod" in cluster.logs(job)
    assert "failures_before=0 preemptions_before=1" in cluster.logs(job)
    cluster.completed(job)
    assert cluster.get("job", job)["status"].get("failed", 0) == 0
    name = cluster.wait_for_line(job, r"run=(\S+)")[1]
    summary = json.loads(bucket.read(f"e2e/{name}/summary.json"))
    assert summary["attempts"] == 2
    assert summary["state_sha256"] == undisturbed.summary["state_sha256"]
    assert summary["metrics"] == undisturbed.summary["metrics"]


class WatchedPod:
    """Every version of a pod until it is gone, as kubectl sees it."""

    def __init__(self, cluster, pod):
        command = ["kubectl", "-n", cluster.namespace, "get", "pod", pod, "-w", "-o", "json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.stdout = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stdout, _ = self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self.stdout, _ = self._process.communicate(timeout=5)


def _exit_code(versions):
    decoder, codes = json.JSONDecoder(), []
    while versions.strip():
        pod, end = decoder.raw_decode(versions.lstrip())
        versions = versions.lstrip()[end:]
        for status in pod["status"].get("containerStatuses", []):
            if "terminated" in status["state"]:
                codes.append(status["state"]["terminated"]["exitCode"])
    assert codes, "the container was never seen to end"
    return codes[-1]
