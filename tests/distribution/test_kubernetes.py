import socket
from pathlib import Path

import pytest

from job.distribution.kubernetes import Pod, ends_with_the_pod, host_of, pod_of


def test_outside_a_job_there_is_no_pod():
    assert pod_of({}) is None
    assert pod_of({"POD_NAME": "typos-0", "JOB_FAILURES": "1"}) is None


@pytest.mark.parametrize(
    ("failures", "preemptions", "expected"),
    [("", "", (0, 0)), ("2", "3", (2, 3)), ("-1", "many", (0, 0)), ("\u00b2", "1", (0, 1))],
)
def test_a_pod_knows_how_often_its_index_was_started_and_why(failures, preemptions, expected):
    pod = pod_of(
        {
            "JOB_UID": "3f6e",
            "POD_NAME": "typos-0-x",
            "JOB_FAILURES": failures,
            "JOB_PREEMPTIONS": preemptions,
        }
    )
    assert (pod.name, pod.job_uid) == ("typos-0-x", "3f6e")
    assert (pod.num_failures, pod.num_preemptions) == expected


def test_a_pod_knows_its_release_and_how_long_it_is_waited_for():
    given = {
        "JOB_UID": "3f6e",
        "POD_NAMESPACE": "team",
        "POD_RELEASE": "typos",
        "POD_GRACE_SECONDS": "25",
        "POD_MAX_STARTUP_SECONDS": "1800",
    }
    assert pod_of(given) == Pod("", "team", "typos", "3f6e", 0, 0, 25, 1800)


def test_what_the_chart_did_not_set_is_what_kubernetes_does_without_it():
    assert pod_of({"JOB_UID": "3f6e"}) == Pod("", "", "", "3f6e", 0, 0, 30, None)


def test_a_pod_is_named_by_its_own_name_which_the_next_one_does_not_have():
    assert host_of(pod_of({"JOB_UID": "3f6e", "POD_NAME": "typos-0-x7k2p"})) == "typos-0-x7k2p"
    assert host_of(pod_of({"JOB_UID": "3f6e"})) == socket.gethostname()
    assert host_of(None) == socket.gethostname()


@pytest.mark.parametrize(
    ("folder", "ends"),
    [
        ("/scratch/runs/typos", True),
        ("/scratch/kept/typos", False),  # a volume mounted below the scratch volume
        ("/tmp/runs", True),
        ("/runs/typos", False),
        ("/etc/runs", True),
        ("/scratch/kept/../runs", True),
    ],
)
def test_a_folder_ends_with_the_pod_unless_a_volume_holds_it(folder, ends):
    mounts = {"/", "/scratch", "/tmp", "/dev/shm", "/runs", "/scratch/kept"}
    found = ends_with_the_pod(Path(folder), is_mount=lambda path: str(path) in mounts)
    assert found is ends
