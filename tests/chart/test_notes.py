"""What a person reads after the installation."""

import pytest

pytestmark = pytest.mark.chart

LOST = "WARNING: this folder lies in the pod and goes with it"
MISSING = "which is not in data.files"
VOLUME = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}


def test_notes_are_commands_that_can_be_copied(render):
    release = render()
    job = release.name
    assert f"  kubectl --namespace team logs --follow job/{job}\n" in release.notes
    wait = f"wait --for=condition=Complete --timeout=-1s job/{job}\n"
    assert f"  kubectl --namespace team {wait}" in release.notes
    assert f"port-forward job/{job} 9090\n" in release.notes
    assert "describe job,pods --selector app.kubernetes.io/instance=typos\n" in release.notes
    assert "not with `helm --wait-for-jobs`" in release.notes


@pytest.mark.parametrize(
    ("root", "mount", "place", "is_lost"),
    [
        (None, None, "/scratch/runs/mine", True),
        ("deep/runs/", None, "/scratch/deep/runs/mine", True),
        ("/tmp/runs", None, "/tmp/runs/mine", True),
        ("gs://bucket/prefix", None, "gs://bucket/prefix/mine", False),
        ("file:///tmp/runs", None, "/tmp/runs/mine", True),
        ("/runs/a", "/runs", "/runs/a/mine", False),
        ("/runs", "/runs/", "/runs/mine", False),
        ("runs", "/scratch/runs", "/scratch/runs/mine", False),
        ("runs", "/scratch/run", "/scratch/runs/mine", True),
    ],
)
def test_notes_say_where_results_are_and_warn_when_they_go_with_the_pod(
    render, root, mount, place, is_lost
):
    changes = {"config.run.name": "mine"}
    if root:
        changes["config.run.root"] = root
    if mount:
        changes["extraVolumes"] = [VOLUME]
        changes["extraVolumeMounts"] = [{"name": "v", "mountPath": mount}]
    notes = render(changes).notes
    assert f"Results: {place}\n" in notes
    assert (LOST in notes) == is_lost
    assert ("gs://bucket/prefix)" in notes) == is_lost


@pytest.mark.parametrize(
    ("changes", "is_missing"),
    [
        ({}, False),
        ({"config.data.train": "./pairs.csv"}, False),
        ({"config.data.train": "other.csv"}, True),
        ({"config.data.test": "other.csv"}, True),
        ({"config.data.train": "other.csv", "config.data.root": "/data"}, False),
        ({"config.data.train": "gs://bucket/pairs.csv"}, False),
    ],
)
def test_notes_warn_of_data_that_nothing_provides(render, changes, is_missing):
    assert (MISSING in render(changes).notes) == is_missing
