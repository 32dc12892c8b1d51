"""Mirrors of a bucket behind HTTP, and the folder they are in when nobody names one."""

import os
import threading
from pathlib import Path

import pytest

from job.errors import (
    ConfigError,
    PermissionDeniedError,
    StorageOutageError,
)
from job.storage.mirror import open_mirror
from job.storage.parallel import ParallelDownloader
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.storage.mirror.mirrors import PART, content


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.storage.download.PART_BYTES", PART)


def test_a_bucket_is_mirrored_below_its_name(gcs: FakeGcs, access, tmp_path):
    for number in range(12):
        gcs.bucket.insert(
            {"name": f"faces/{number}"}, content(number * PART // 2), if_generation=0
        )
    gcs.bucket.insert({"name": "secret"}, b"no", if_generation=0)
    mirror = open_mirror(
        "gs://sets/faces", folder=str(tmp_path), access=access, key="data.root"
    )
    assert mirror.fetch_below("") == 12
    assert mirror.folder == tmp_path / "sets/faces"
    for number in range(12):
        assert (mirror.folder / f"{number}").read_bytes() == content(number * PART // 2)
    before = gcs.faults.count("media")
    assert mirror.fetch_below("") == 12
    assert gcs.faults.count("media") == before


@pytest.mark.parametrize("kind", ["status", "reset_before", "truncate", "flip"])
def test_faults_of_the_network_cost_time_only(gcs: FakeGcs, access, tmp_path, kind):
    for number in range(4):
        gcs.bucket.insert({"name": f"{number}"}, content(3 * PART), if_generation=0)
    gcs.faults.add(Fault("media", kind, times=5))
    mirror = open_mirror("gs://sets", folder=str(tmp_path), access=access, key="data.root")
    mirror.fetch_below("")
    for number in range(4):
        assert (mirror.folder / f"{number}").read_bytes() == content(3 * PART)
    assert gcs.faults.num_met == 5


def test_an_outage_ends_all_threads_and_says_which_setting(gcs: FakeGcs, access, tmp_path):
    for number in range(40):
        gcs.bucket.insert({"name": f"{number}"}, b"1", if_generation=0)
    gcs.faults.add(Fault("get", "status", times=None))
    hasty = ParallelDownloader(allow_emulator=True, outage_budget_seconds=0.2, env=access.env)
    mirror = open_mirror("gs://sets", folder=str(tmp_path), access=hasty, key="data.train")
    with pytest.raises(StorageOutageError, match="could not stat"):
        mirror.fetch_below("")
    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("data") for name in names)


@pytest.mark.parametrize("permission", ["storage.objects.get", "storage.objects.list"])
def test_a_missing_permission_is_named(gcs: FakeGcs, access, tmp_path, permission):
    gcs.bucket.insert({"name": "a"}, b"1", if_generation=0)
    gcs.bucket.denied.add(permission)
    mirror = open_mirror("gs://sets", folder=str(tmp_path), access=access, key="data.root")
    with pytest.raises(PermissionDeniedError) as caught:
        mirror.fetch_below("")
    for words in (permission, "roles/storage.objectViewer", "(data.root)"):
        assert words in str(caught.value)


def test_a_missing_bucket_is_named(gcs: FakeGcs, access, tmp_path):
    mirror = open_mirror("gs://nobody/a", folder=str(tmp_path), access=access, key="data.test")
    for call in (lambda: mirror.fetch(["x"]), lambda: mirror.fetch_below("")):
        with pytest.raises(ConfigError, match=r"no bucket 'nobody'.*\(data\.test\)"):
            call()


def test_an_emulator_must_be_allowed(gcs: FakeGcs, access):
    strict = ParallelDownloader(env=access.env)
    with pytest.raises(ConfigError, match=r"run\.allow_emulator is false"):
        open_mirror("gs://sets", folder=None, access=strict, key="data.root")


def test_a_uri_without_a_bucket_is_named_by_its_setting(access):
    with pytest.raises(ConfigError, match=r"data\.root: 'gs://x' names no bucket"):
        open_mirror("gs://x", folder=None, access=access, key="data.root")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_without_data_mirror_a_folder_of_this_user_alone_is_used(access, temporary):
    one, again, other = (
        open_mirror(uri, folder=None, access=access, key="data.root").folder
        for uri in ("gs://sets/a", "gs://sets/a/", "gs://sets/b")
    )
    assert one == again
    assert one.parents[2] == other.parents[2] == temporary
    assert one.parents[1] != other.parents[1]
    assert one.parents[1].stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("trap", ["link", "file", "open to all", "another user's"])
def test_a_folder_that_somebody_else_put_there_is_not_trusted(
    access, temporary, trap, monkeypatch
):
    place = open_mirror("gs://sets/a", folder=None, access=access, key="data.root").folder
    folder = place.parents[1]
    if trap == "open to all":
        folder.chmod(0o777)
    elif trap == "another user's":
        if os.geteuid() != 0:
            pytest.skip("giving a folder away needs root")
        os.chown(folder, 65534, 65534)
    else:
        folder.rmdir()
        (temporary / "mine").mkdir()
        folder.symlink_to(temporary / "mine") if trap == "link" else folder.write_text("x")
    kind = ConfigError if trap == "file" else PermissionDeniedError
    with pytest.raises(kind, match=r"data\.mirror"):
        open_mirror("gs://sets/a", folder=None, access=access, key="data.root")


def test_a_system_without_temporary_folder_asks_for_one(access, monkeypatch):
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(ConfigError, match=r"data\.mirror: is null.*Set data\.mirror"):
        open_mirror("gs://sets/a", folder=None, access=access, key="data.root")
