"""Pods that are lost: nothing is counted, nothing is trained twice, the bits stay."""

import json
import subprocess

import pytest

from job.errors import ExitCode

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.xdist_group("undisturbed"),
]


def test_a_deleted_pod_costs_nothing_and_changes_nothing(cluster, bucket, example, undisturbed):
    job = cluster.installed("evicted", example)
    step = int(cluster.wait_for_line(job, r"training step=(\d\d+)/")[1])
    pod = cluster.pods(job)[-1]["metadata"]["name"]
    with WatchedPod(cluster, pod) as watch:
        cluster.kubectl("delete", "pod", pod, "--wait=true")
    assert _exit_code(watch.seen()) == ExitCode.PREEMPTED
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
    """Every version of a pod from the block's start until it is gone, as kubectl sees it."""

    def __init__(self, cluster, pod):
        self._cluster = cluster
        watch = ["get", "pod", pod, "--watch", "--output=json"]
        self._command = ["kubectl", "-n", cluster.namespace, *watch]
        self._path = cluster.folder / f"{pod}.watch"

    def seen(self):
        """The versions so far."""
        decoder, versions = json.JSONDecoder(), []
        text = self._path.read_text(encoding="utf-8").lstrip()
        while text:
            try:
                version, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break  # half of one is written
            versions.append(version)
            text = text[end:].lstrip()
        return versions

    def __enter__(self):
        with self._path.open("wb") as file:
            self._process = subprocess.Popen(self._command, stdout=file)
        # Once the pod as it is now has come, no later version is missed.
        try:
            self._cluster.wait(self.seen, "the first version of the pod")
        except AssertionError:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait(timeout=5)


def _exit_code(versions):
    codes = [
        status["state"]["terminated"]["exitCode"]
        for version in versions
        for status in version["status"].get("containerStatuses", [])
        if "terminated" in status["state"]
    ]
    assert codes, "the container was never seen to end"
    return codes[-1]
