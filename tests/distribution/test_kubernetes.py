from pathlib import Path

import pytest

from job.distribution.kubernetes import Pod, ends_with_the_pod, pod_of


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
    assert pod == Pod("typos-0-x", "3f6e", *expected)


def test_missing_annotations_count_as_zero():
    assert pod_of({"JOB_UID": "3f6e"}) == Pod("", "3f6e", 0, 0)


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
