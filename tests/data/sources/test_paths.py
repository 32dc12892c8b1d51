import os
from pathlib import Path

import pytest

from job.data.sources.paths import (
    FileProblem,
    data_file,
    data_folder,
    data_root,
    find_file,
    local_path,
    object_name,
)
from job.errors import ConfigError, DataError, PermissionDeniedError


def test_a_relative_path_is_looked_for_below_the_folder_of_the_configuration(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.csv").write_text("x")
    root = data_root(None, folder=tmp_path)
    assert data_file("sub/a.csv", key="data.train", root=root) == tmp_path / "sub/a.csv"


@pytest.mark.parametrize("absolute", [False, True])
def test_a_root_replaces_the_folder_of_the_configuration(tmp_path, absolute):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.csv").write_text("x")
    value = str(tmp_path / "elsewhere") if absolute else "../elsewhere"
    folder = tmp_path / "configs"
    folder.mkdir()
    root = data_root(value, folder=folder)
    assert root == tmp_path / "elsewhere"
    assert data_file("a.csv", key="data.train", root=root) == tmp_path / "elsewhere/a.csv"


def test_an_absolute_path_inside_the_root_is_accepted(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    path = data_file(str(tmp_path / "a.csv"), key="data.train", root=tmp_path)
    assert path == tmp_path / "a.csv"


def test_links_that_stay_inside_the_root_are_followed(tmp_path):
    """As in a mounted ConfigMap: a.csv -> ..data/a.csv, ..data -> ..2026_01/."""
    (tmp_path / "..2026_01").mkdir()
    (tmp_path / "..2026_01/a.csv").write_text("x")
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "a.csv").symlink_to("..data/a.csv")
    path = data_file("a.csv", key="data.train", root=tmp_path)
    assert path == tmp_path / "..2026_01/a.csv"


@pytest.mark.parametrize(
    "way", ["../outside.csv", "absolute", "link.csv", "linked/outside.csv"]
)
def test_a_path_may_not_leave_the_root(tmp_path, way):
    root = tmp_path / "root"
    root.mkdir()
    outside = tmp_path / "outside.csv"
    outside.write_text("x")
    (root / "link.csv").symlink_to(outside)
    (root / "linked").symlink_to(tmp_path)
    value = str(outside) if way == "absolute" else way
    with pytest.raises(ConfigError) as caught:
        data_file(value, key="data.test", root=root)
    message = str(caught.value)
    assert message.startswith(f"data.test: {value!r} leads to {outside}")
    assert f"data.root ({root})" in message
    assert "move the file below it" in message


def test_a_sibling_whose_name_begins_like_the_root_is_outside(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2/a.csv").write_text("x")
    with pytest.raises(ConfigError, match=r"outside data\.root"):
        data_file("../root2/a.csv", key="data.train", root=tmp_path / "root")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("s3://bucket/a.csv", "s3:// is not supported."),
        ("HTTPS://host/a.csv", "HTTPS:// is not supported."),
    ],
)
def test_a_uri_is_refused(tmp_path, value, words):
    for call in (
        lambda: data_file(value, key="data.train", root=tmp_path),
        lambda: data_root(value, folder=tmp_path),
        lambda: data_folder(value, key="data.train", root=tmp_path),
        lambda: local_path(value, key="data.packed"),
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        assert words in str(caught.value)
        assert repr(value) in str(caught.value)


def test_a_bucket_is_outside_a_root_of_this_machine(tmp_path):
    with pytest.raises(ConfigError) as caught:
        data_file("gs://sets/a.csv", key="data.train", root=tmp_path)
    assert "data.train: 'gs://sets/a.csv' leads to a bucket, which is outside" in str(
        caught.value
    )


def test_a_missing_file_names_key_value_and_the_folder_searched(tmp_path):
    with pytest.raises(DataError) as caught:
        data_file("typo.csv", key="data.train", root=tmp_path)
    message = str(caught.value)
    assert message.startswith("data.train: no such file or folder: 'typo.csv'")
    assert f"looked in {tmp_path}" in message
    assert "relative to data.root" in message


def test_a_folder_is_not_a_pair_file(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match=r"data\.train: 'a\.csv' is a folder"):
        data_file("a.csv", key="data.train", root=tmp_path)


def test_a_pipe_is_not_a_pair_file(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match="is a pipe, a socket or a device"):
        data_file("a.csv", key="data.train", root=tmp_path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("circle", "circle"),
        ("nul\0.csv", "null byte"),
        ("n" * 300, "File name too long"),
        ("a.csv/b.csv", "Not a directory"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_data_error(tmp_path, value, words):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(DataError, match=words):
        data_file(value, key="data.train", root=tmp_path)


def test_a_root_that_is_missing_or_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"data\.root: no such file or folder: 'gone'"):
        data_root("gone", folder=tmp_path)
    with pytest.raises(DataError, match=r"data\.root: 'file' is not a folder"):
        data_root("file", folder=tmp_path)


def test_a_folder_that_may_not_be_entered_is_permission_denied(open_folder: Path, unprivileged):
    closed = open_folder / "closed"
    closed.mkdir()
    (closed / "a.csv").write_text("x")
    closed.chmod(0)
    try:
        with unprivileged(), pytest.raises(PermissionDeniedError) as caught:
            data_file("closed/a.csv", key="data.train", root=open_folder)
    finally:
        closed.chmod(0o755)
    assert "data.train: 'closed/a.csv' may not be read" in str(caught.value)


def test_a_folder_is_held_to_the_root_as_a_file_is(tmp_path):
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "file").write_text("x")
    (root / "out").symlink_to(tmp_path)
    assert data_folder("a/b", key="data.train", root=root) == root / "a/b"
    assert data_folder(".", key="data.train", root=root) == root
    for value in ("..", "out", str(tmp_path), "a/../../root2"):
        with pytest.raises(ConfigError, match=r"outside data\.root"):
            data_folder(value, key="data.train", root=root)
    with pytest.raises(DataError, match=r"'file' is a file .*folder for each class"):
        data_folder("file", key="data.train", root=root)
    with pytest.raises(DataError, match="no such file or folder: 'gone'"):
        data_folder("gone", key="data.train", root=root)


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        ("../outside.csv", "outside", "leads to"),
        ("gs://sets/a.csv", "outside", "leads to a bucket"),
        ("s3://sets/a.csv", "outside", "is not supported"),
        ("gone.csv", "missing", "no such file or folder"),
        ("folder", "missing", "is a folder"),
        ("nul\0", "missing", "no such file or folder"),
    ],
)
def test_what_a_row_names_is_looked_up_without_an_exception(tmp_path, value, reason, words):
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "outside.csv").write_text("x")
    found = find_file(value, key="data.train", root=root)
    assert isinstance(found, FileProblem)
    assert found.reason == reason
    assert words in found.detail
    assert repr(value) in found.detail


ROOT = "gs://sets/faces"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("a.csv", "a.csv"),
        ("./a/./b.csv", "a/b.csv"),
        ("a/../b.csv", "b.csv"),
        ("a/", "a"),
        (".", ""),
        ("", ""),
        ("a/..", ""),
        ("gs://sets/faces/a/b.csv", "a/b.csv"),
        ("gs://sets/faces", ""),
        ("gs://sets/faces/", ""),
        ("\u00e4 b#c%20?.csv", "\u00e4 b#c%20?.csv"),
    ],
)
@pytest.mark.parametrize("root", [ROOT, f"{ROOT}/"])
def test_a_path_names_an_object_below_the_root(root, value, name):
    assert object_name(value, root=root) == name


@pytest.mark.parametrize(
    "value",
    [
        "../a.csv",
        "a/../../b.csv",
        "..",
        "/a.csv",
        "//a.csv",
        "gs://sets/faces2/a.csv",
        "gs://sets/facesXa.csv",
        "gs://sets/face",
        "gs://sets",
        "gs://other/faces/a.csv",
        "gs://sets/faces/../a.csv",
        "gs://sets/faces/a/../../b",
        "gs://sets/faces//a.csv",
        "s3://sets/faces/a.csv",
        "file:///etc/passwd",
    ],
)
def test_a_path_may_not_leave_a_root_in_a_bucket(value):
    found = object_name(value, root=ROOT)
    assert isinstance(found, FileProblem)
    assert found.reason == "outside"
    error = found.error("data.train")
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"data.train: {value!r}")


@pytest.mark.parametrize("value", [".hidden", "a/.b/c", "a\nb", "x" * 1025])
def test_a_path_that_no_object_has_is_missing(value):
    found = object_name(value, root=ROOT)
    assert isinstance(found, FileProblem)
    assert found.reason == "missing"
    assert isinstance(found.error("data.train"), DataError)
