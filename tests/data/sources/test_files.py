"""Data files wherever they are kept: the same local paths, and the same refusals."""

from pathlib import Path

import pytest

from job.data.sources.files import DataFiles
from job.data.sources.paths import FileProblem
from job.errors import ConfigError, DataError, PermissionDeniedError
from tests.fakes.gcs_server import FakeGcs

FILES = {
    "train.csv": b"left,right,label\n",
    "images/cat/1.png": b"1",
    "images/cat/2.png": b"2",
    "images/dog/3.png": b"3",
}
KEY = "data.train"


@pytest.fixture
def local(tmp_path: Path) -> DataFiles:
    for name, data in FILES.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return DataFiles.below("root", folder=tmp_path)


@pytest.fixture
def remote(gcs: FakeGcs, access, tmp_path: Path) -> DataFiles:
    for name, data in FILES.items():
        gcs.bucket.insert({"name": f"faces/{name}"}, data, if_generation=0)
    gcs.bucket.insert({"name": "elsewhere.csv"}, b"x", if_generation=0)
    return DataFiles.below(
        "gs://sets/faces", folder=tmp_path, mirror=str(tmp_path / "mirror"), access=access
    )


@pytest.fixture(params=["local", "remote"])
def files(request: pytest.FixtureRequest) -> DataFiles:
    return request.getfixturevalue(request.param)


def test_a_file_is_handed_out_as_a_local_path(files):
    for name, data in FILES.items():
        assert files.file(name, key=KEY).read_bytes() == data


def test_a_folder_is_handed_out_with_all_that_is_below_it(files):
    folder = files.folder("images", key=KEY)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert found == {"cat/1.png", "cat/2.png", "dog/3.png"}
    assert (files.folder(".", key=KEY) / "train.csv").exists()


def test_what_rows_name_is_handed_out_or_said_to_be_wrong(files):
    rows = ["images/cat/1.png", "gone.png", "../x.png", "./images/dog/3.png", "images"]
    found = files.fetch([*rows, rows[0]], key=KEY)
    assert list(found) == rows
    assert found[rows[0]].read_bytes() == b"1"
    assert found[rows[3]].read_bytes() == b"3"
    reasons = [one.reason for one in found.values() if isinstance(one, FileProblem)]
    assert reasons == ["missing", "outside", "missing"]
    assert files.fetch([], key=KEY) == {}


@pytest.mark.parametrize("value", ["../x.csv", "/etc/passwd", "s3://b/x.csv", "gs://b/x.csv"])
def test_nothing_leaves_the_root(files, value):
    for call in (files.file, files.folder):
        with pytest.raises(ConfigError, match=r"^data\.train: '"):
            call(value, key=KEY)
    found = files.fetch([value], key=KEY)[value]
    assert isinstance(found, FileProblem)
    assert found.reason == "outside"


def test_nothing_leaves_the_root_of_its_own_bucket(remote):
    with pytest.raises(ConfigError, match=r"outside data\.root \(gs://sets/faces\)"):
        remote.file("gs://sets/elsewhere.csv", key=KEY)
    assert remote.file("gs://sets/faces/train.csv", key=KEY).name == "train.csv"


@pytest.mark.parametrize("value", ["gone.csv", "images/cat"])
def test_a_missing_file_is_a_data_error(files, value):
    with pytest.raises(DataError, match=r"^data\.train: "):
        files.file(value, key=KEY)


@pytest.mark.parametrize("value", ["", ".", "images/.."])
def test_the_root_is_no_file(files, value):
    with pytest.raises(DataError, match="is a folder"):
        files.file(value, key=KEY)


def test_a_missing_folder_is_a_data_error(files):
    with pytest.raises(DataError, match=r"^data\.train: .*'gone'"):
        files.folder("gone", key=KEY)


def test_what_the_bucket_adds_and_takes_away_shows_in_the_folder(gcs, remote):
    remote.folder("images", key=KEY)
    gcs.bucket.delete("faces/images/cat/1.png", if_generation=None)
    gcs.bucket.insert({"name": "faces/images/emu/4.png"}, b"4", if_generation=0)
    folder = remote.folder("images", key=KEY)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert found == {"cat/2.png", "dog/3.png", "emu/4.png"}


@pytest.fixture
def rootless(gcs: FakeGcs, access, tmp_path: Path) -> DataFiles:
    gcs.bucket.insert({"name": "faces/train.csv"}, b"rows", if_generation=0)
    gcs.bucket.insert({"name": "faces/cat/1.png"}, b"1", if_generation=0)
    return DataFiles.below(None, folder=tmp_path, mirror=str(tmp_path / "m"), access=access)


def test_without_a_root_a_single_path_may_be_in_a_bucket(rootless, tmp_path):
    (tmp_path / "test.csv").write_bytes(b"here")
    assert rootless.file("gs://sets/faces/train.csv", key=KEY).read_bytes() == b"rows"
    assert rootless.file("test.csv", key="data.test").read_bytes() == b"here"
    assert (rootless.folder("gs://sets/faces", key=KEY) / "cat/1.png").read_bytes() == b"1"


def test_a_row_may_not_name_a_bucket_even_then(rootless):
    """Who writes a row would read with the rights of who trains."""
    found = rootless.fetch(["gs://sets/faces/train.csv"], key=KEY)
    assert found["gs://sets/faces/train.csv"].reason == "outside"


def test_with_a_root_of_this_machine_no_path_may_be_in_a_bucket(access, tmp_path):
    (tmp_path / "root").mkdir()
    files = DataFiles.below("root", folder=tmp_path, access=access)
    with pytest.raises(ConfigError, match=r"outside data\.root"):
        files.file("gs://sets/faces/train.csv", key=KEY)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("gs://sets", DataError, "is a folder, not a file"),
        ("gs://sets/", DataError, "is a folder, not a file"),
        ("gs://", DataError, "is a folder"),
        ("gs://sets/faces/../x", ConfigError, "prefix no object can have"),
        ("gs://sets/faces/..", ConfigError, "outside"),
        ("gs://sets/gone.csv", DataError, "no object 'gone.csv' in gs://sets"),
        ("gs://BAD/x.csv", ConfigError, "names no bucket"),
        ("gs://nobody/x.csv", ConfigError, r"no bucket 'nobody'.*\(data\.train\)"),
    ],
)
def test_a_uri_that_names_no_file_is_said_so(rootless, value, kind, words):
    with pytest.raises(kind, match=words):
        rootless.file(value, key=KEY)


def test_a_root_that_may_not_be_read_names_the_root(gcs, remote):
    gcs.bucket.denied.add("storage.objects.get")
    with pytest.raises(PermissionDeniedError, match=r"\(data\.root\)"):
        remote.file("train.csv", key=KEY)
    with pytest.raises(PermissionDeniedError, match=r"\(data\.root\)"):
        remote.fetch(["train.csv"], key=KEY)


def test_data_of_this_machine_need_no_access(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    assert DataFiles.below(None, folder=tmp_path).file("a.csv", key=KEY) == tmp_path / "a.csv"
