"""What a person reads after the installation."""

import pytest

pytestmark = pytest.mark.chart

LOST = "WARNING: this directory is inside the pod and is lost with it"
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
        ({"config.data.items": "items.csv"}, True),
        ({"config.data.train": ["pairs.csv", "gs://bucket/pairs.csv"]}, False),
        ({"config.data.train": ["pairs.csv", "other.csv"]}, True),
        ({"config.data.train": "other.csv", "config.data.packed": "gs://bucket/pack"}, False),
    ],
)
def test_notes_warn_of_data_that_nothing_provides(render, changes, is_missing):
    assert (MISSING in render(changes).notes) == is_missing


@pytest.mark.parametrize(
    ("packed", "is_missing"), [("pack", True), ("/data/pack", False), ("gs://b1b/pack", False)]
)
def test_notes_warn_of_a_packed_set_that_is_not_in_the_pod(render, packed, is_missing):
    notes = render({"config.data.packed": packed}).notes
    assert ("WARNING: config.data.packed is pack, which is relative" in notes) == is_missing


def test_a_folder_of_class_folders_is_in_the_data_files_by_its_files(render):
    changes = {
        "config.data.kind": "image",
        "config.data.rows": "items",
        "config.model": {"encoder": {"kind": "cnn"}},
        "config.data.train": "pictures/",
        "data.files": {"pictures/cat/1.png": "AAAA", "pictures/dog/1.png": "AAAA"},
    }
    assert MISSING not in render(changes).notes
    assert MISSING in render({**changes, "config.data.train": "picture"}).notes
