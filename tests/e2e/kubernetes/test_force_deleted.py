"""A pod is deleted by force while its container lives on, as on a node that is out of reach.

Kubernetes replaces the pod at once, so that two processes have the same run.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from job.errors import ExitCode
from job.storage.local import FileStore
from tests.e2e.kubernetes.node import out_of_reach, paused, processes_of
from tests.e2e.kubernetes.watching import FollowedLog
from tests.e2e.lineage import check_one_lineage

pytestmark = [pytest.mark.cluster, pytest.mark.e2e, pytest.mark.slow, pytest.mark.prove]


@pytest.fixture
def paced(planted):
    return planted("Pace", seconds=0.2)


def training_pod(cluster, job):
    cluster.wait_for_line(job, r"training step=(\d\d)/")
    return cluster.pods(job)[-1]["metadata"]["name"]


def delete_by_force(cluster, job, pod):
    """Deletes the object of a pod, without asking its node; waits for the next pod."""
    # The Job holds the object back until the pod has ended, as its node says or, once there is
    # no such node any more, the control plane.
    cluster.kubectl(
        "patch", "pod", pod, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    cluster.kubectl("delete", "pod", pod, "--force", "--grace-period=0")
    cluster.wait(lambda: set(names(cluster, job)) - {pod}, "the next pod")


def names(cluster, job):
    return [pod["metadata"]["name"] for pod in cluster.pods(job)]


def run_name(cluster, job):
    return cluster.wait_for_line(job, r" run=(\S+)")[1]


def test_in_a_bucket_the_container_that_lives_on_is_fenced(
    cluster, bucket, paced, undisturbed_planted
):
    job = cluster.installed("zombie", paced)
    pod = training_pod(cluster, job)
    with FollowedLog(cluster, pod) as log:
        with out_of_reach(pod):
            with paused(pod):
                delete_by_force(cluster, job, pod)
                wait_for_the_next_attempt(cluster, job)
            cluster.wait(lambda: not processes_of(pod), "the end of the first process")
        check_fenced(log.whole())
    cluster.completed(job)
    with bucket.open_run(f"e2e/{run_name(cluster, job)}") as store:
        check_one_lineage(store, undisturbed=undisturbed_planted)
    cluster.uninstall("zombie")


@pytest.fixture
def volume(cluster, paced, tmp_path) -> Iterator[Path]:
    """A folder of the node that every pod mounts, as the values say from here on."""
    folder = tmp_path / "volume"
    folder.mkdir()
    folder.chmod(0o777)  # the pods run as another user
    name = f"{cluster.namespace}-{secrets.token_hex(3)}"
    capacity = {"storage": "1Gi"}
    shared = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    disk = {"capacity": capacity, "hostPath": {"path": str(folder)}, **shared}
    claim = {"resources": {"requests": capacity}, "volumeName": name, **shared}
    for kind, spec in (("PersistentVolume", disk), ("PersistentVolumeClaim", claim)):
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        cluster.apply(manifest)
    source = {"persistentVolumeClaim": {"claimName": name}}
    paced["config"]["run"]["root"] = "/runs"
    paced["extraVolumes"] = [{"name": "runs", **source}]
    paced["extraVolumeMounts"] = [{"name": "runs", "mountPath": "/runs"}]
    yield folder
    for kind in ("pvc", "pv"):
        cluster.kubectl("delete", kind, name, "--wait=false")


def test_on_a_volume_the_next_pod_waits_for_the_container_that_lives_on(
    cluster, paced, volume, undisturbed_planted
):
    job = cluster.installed("holder", paced)
    pod = training_pod(cluster, job)
    with FollowedLog(cluster, pod) as log:
        with out_of_reach(pod):
            with paused(pod):
                delete_by_force(cluster, job, pod)
                assert pod in wait_for_the_lock(cluster, job)
            # Nothing tells it to stop, so it trains to the end of the run.
            cluster.wait(lambda: not processes_of(pod), "the end of the run", seconds=90)
        assert "run finished" in log.whole()
    check_completed_on(volume, cluster, job, undisturbed=undisturbed_planted)
    cluster.uninstall("holder")


def test_on_a_volume_the_next_pod_goes_on_once_the_container_is_killed_in_its_sleep(
    cluster, paced, volume, undisturbed_planted
):
    job = cluster.installed("sleeper", paced)
    pod = training_pod(cluster, job)
    with FollowedLog(cluster, pod) as log, paused(pod):
        with out_of_reach(pod):
            delete_by_force(cluster, job, pod)
            assert pod in wait_for_the_lock(cluster, job)
        cluster.wait_for_line(job, r"resumed attempt=2")
        assert "run ended" not in log.whole()
    check_completed_on(volume, cluster, job, undisturbed=undisturbed_planted)
    cluster.uninstall("sleeper")


def test_on_a_volume_that_lost_the_lock_the_container_that_lives_on_is_fenced(
    cluster, paced, volume, undisturbed_planted
):
    """As where a server of files drops the lock of a node that it does not hear of."""
    job = cluster.installed("unlocked", paced)
    pod = training_pod(cluster, job)
    lock = volume / run_name(cluster, job) / "run.lock"
    with FollowedLog(cluster, pod) as log:
        with out_of_reach(pod):
            # It may be in the middle of a write, for which the next process waits.
            with paused(pod, at_most_seconds=45):
                lock.unlink()
                delete_by_force(cluster, job, pod)
                wait_for_the_next_attempt(cluster, job)
            cluster.wait(lambda: not processes_of(pod), "the end of the first process")
        check_fenced(log.whole())
    check_completed_on(volume, cluster, job, undisturbed=undisturbed_planted)
    cluster.uninstall("unlocked")


def wait_for_the_next_attempt(cluster, job):
    cluster.wait_for_line(job, r"resumed attempt=2")
    cluster.wait_for_line(job, r"training step=")


def wait_for_the_lock(cluster, job):
    """What the next pod says of the one that has the lock."""
    return cluster.wait_for_line(job, r"run folder in use, waiting .*")[0]


def check_fenced(log):
    assert "took over from attempt 1" in log
    assert f"run ended exit_code={ExitCode.FENCED:d} " in log


def check_completed_on(volume, cluster, job, *, undisturbed):
    cluster.completed(job)
    check_one_lineage(FileStore(volume / run_name(cluster, job)), undisturbed=undisturbed)
