"""Any user id, a read-only root, little shared memory: what strict clusters enforce."""

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.e2e]


def test_a_random_user_trains_on_a_read_only_root_with_little_shared_memory(cluster, tiny):
    tiny["podSecurityContext"] = {"runAsUser": 1234567, "runAsGroup": 7654321, "fsGroup": 1}
    job = cluster.installed("strict", tiny)
    cluster.completed(job)
    spec = cluster.pods(job)[0]["spec"]
    assert spec["securityContext"]["runAsUser"] == 1234567
    container = spec["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    assert mounts["/dev/shm"]["emptyDir"]["sizeLimit"] == "64Mi"
    # With a read-only root the rest of the file system cannot be written: these are all paths.
    writable = {path for path, volume in mounts.items() if "emptyDir" in volume}
    assert writable == {"/dev/shm", "/tmp", "/scratch"}
    cluster.uninstall("strict")


def test_without_a_bucket_a_new_pod_starts_over_and_says_so(cluster, tiny):
    del tiny["config"]["run"]["root"]
    job = cluster.installed("local", tiny)
    cluster.completed(job)
    assert "run folder ends with this pod" in cluster.logs(job)
    notes = cluster.helm("get", "notes", "local").stdout
    assert "starts over" in notes
    cluster.uninstall("local")
