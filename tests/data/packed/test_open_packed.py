"""Packed sets in buckets: up with the record last, down through the mirror."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job.data.dataset import Dataset
from job.data.packed.open_packed import open_packed
from job.data.packed.pack import open_place, upload_pack
from job.errors import ConfigError, DataError, PermissionDeniedError, StorageOutageError
from job.storage.object_store import ObjectStore
from job.storage.parallel import ParallelDownloader
from tests.checkpoints.fault_stores import Wrapped
from tests.data.packed.some_packs import (
    Crash,
    assert_same,
    dataset_of,
    pack,
    record_of,
    section_of,
)
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.fakes.memory_store import MemoryStore

URI = "gs://sets/team/pairs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pack(dataset_of(), tmp_path / "local")
    return tmp_path / "local"


@pytest.fixture
def read(access: ParallelDownloader, tmp_path: Path) -> Callable[..., Dataset]:
    def opened(uri: str = URI, **given: Any) -> Dataset:
        section = section_of(packed=uri, mirror=str(tmp_path / "mirror"), **given)
        return open_packed(section, folder=tmp_path, seed=0, access=access)

    return opened


def upload(
    folder: Path, *, access: ParallelDownloader, uri: str = URI, force: bool = False
) -> None:
    upload_pack(folder, store=open_place(uri, access=access), access=access, force=force)


def test_a_set_goes_up_and_comes_down_as_it_was(gcs: FakeGcs, access, folder, read):
    upload(folder, access=access)
    names = {f"team/pairs/{path.name}" for path in folder.iterdir()}
    assert gcs.bucket.objects.keys() == names
    assert_same(read(), dataset_of())


def test_the_record_is_written_last(gcs: FakeGcs, access, folder):
    upload(folder, access=access)
    written = [name for operation, name in gcs.faults.requests if operation == "insert"]
    assert written[-1] == "team/pairs/dataset.json"
    assert written.count("team/pairs/dataset.json") == 1


def test_what_is_here_is_opened_without_being_copied_again(gcs: FakeGcs, access, folder, read):
    upload(folder, access=access)
    read()
    before = gcs.faults.count("media")
    assert_same(read(), dataset_of())
    assert gcs.faults.count("media") == before


def test_a_set_packed_anew_is_copied_anew(gcs: FakeGcs, access, folder, read, tmp_path):
    upload(folder, access=access)
    read()
    pack(dataset_of(seed=1), tmp_path / "other")
    upload(tmp_path / "other", access=access, force=True)
    assert_same(read(), dataset_of(seed=1))


def test_a_set_of_fewer_files_leaves_none_of_the_old_ones(gcs, access, folder, tmp_path):
    data = record_of(section_of(with_classes=True))
    pack(dataset_of(with_classes=True), tmp_path / "classes", data=data)
    upload(tmp_path / "classes", access=access)
    upload(folder, access=access, force=True)
    names = {f"team/pairs/{path.name}" for path in folder.iterdir()}
    assert gcs.bucket.objects.keys() == names


def test_a_set_copied_by_hand_is_opened(gcs: FakeGcs, folder, read):
    for path in folder.iterdir():
        gcs.bucket.insert(
            {"name": f"team/pairs/{path.name}"}, path.read_bytes(), if_generation=0
        )
    assert_same(read(), dataset_of())


def test_a_set_in_a_folder_is_relative_to_the_configuration(folder, tmp_path):
    for value in ("local", str(folder)):
        found = open_packed(section_of(packed=value), folder=tmp_path, seed=0)
        assert_same(found, dataset_of())


def test_without_a_record_there_is_no_set(gcs: FakeGcs, access, folder, read):
    upload(folder, access=access)
    gcs.bucket.delete("team/pairs/dataset.json", if_generation=None)
    with pytest.raises(DataError) as caught:
        read()
    assert f"data.packed: '{URI}' contains no dataset.json, which is written last" in str(
        caught.value
    )
    assert caught.value.exit_code == 3


def test_other_settings_are_refused_before_anything_large_is_copied(gcs, access, folder, read):
    upload(folder, access=access)
    with pytest.raises(ConfigError, match=rf"'{URI}' was packed with other settings"):
        read(max_length=9)
    asked = {name for operation, name in gcs.faults.requests if operation == "media"}
    assert asked == {"team/pairs/dataset.json"}


@pytest.mark.parametrize("change", ["another", "gone", "shorter"])
def test_a_file_of_the_bucket_that_is_not_the_one_packed_is_refused(
    gcs: FakeGcs, access, folder, read, change
):
    upload(folder, access=access)
    name = "team/pairs/values.npy"
    data = gcs.bucket.objects[name].data
    gcs.bucket.delete(name, if_generation=None)
    if change != "gone":
        data = data[:-1] + (bytes([data[-1] ^ 1]) if change == "another" else b"")
        gcs.bucket.insert({"name": name}, data, if_generation=0)
    with pytest.raises(DataError, match=r"^data\.packed: .*values\.npy.* again with"):
        read()


def test_a_place_that_is_taken_is_not_written_unasked(gcs: FakeGcs, access, folder):
    upload(folder, access=access)
    before = dict(gcs.bucket.objects)
    with pytest.raises(ConfigError, match=r"already contains a packed data set.*--force"):
        upload(folder, access=access)
    assert gcs.bucket.objects == before


@pytest.mark.parametrize("force", [False, True])
def test_a_place_of_other_things_is_never_touched(gcs: FakeGcs, access, folder, force):
    gcs.bucket.insert({"name": "team/pairs/thesis.tex"}, b"x", if_generation=0)
    with pytest.raises(ConfigError, match=r"contains files .*'thesis\.tex'"):
        upload(folder, access=access, force=force)
    assert list(gcs.bucket.objects) == ["team/pairs/thesis.tex"]


@pytest.mark.parametrize("uri", ["gs://sets", "gs://sets/"])
def test_a_bucket_alone_is_no_place(access, uri):
    with pytest.raises(ConfigError, match=r"OUT: 'gs://sets/?' is a bucket"):
        open_place(uri, access=access)


def test_what_a_bucket_refuses_names_out(gcs: FakeGcs, access, folder):
    gcs.bucket.denied.add("storage.objects.create")
    with pytest.raises(PermissionDeniedError, match=r"roles/storage.objectUser.*\(OUT\)"):
        upload(folder, access=access)
    gcs.bucket.denied.clear()
    gcs.faults.add(Fault("insert", "status", times=None))
    hasty = ParallelDownloader(allow_emulator=True, outage_budget_seconds=0.2, env=access.env)
    with pytest.raises(StorageOutageError, match="packing starts over"):
        upload(folder, access=hasty)


def test_two_that_pack_into_one_place_do_not_both_succeed(folder):
    store = MemoryStore()

    class Late(Wrapped):
        def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
            if (call, name) == ("write", "dataset.json"):
                self.inner.write("dataset.json", b"{}", if_generation=0)
            return do()

    with pytest.raises(ConfigError, match="another process is packing into"):
        upload_pack(folder, store=Late(store), access=ParallelDownloader(), force=False)


class Dying(Wrapped):
    """Ends the process before or after one call; those of other threads may still come."""

    def __init__(self, inner: ObjectStore, *, at: int, after: bool) -> None:
        super().__init__(inner)
        self.at, self.after = at, after
        self.calls = 0
        self.lock = threading.Lock()

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        with self.lock:
            self.calls += 1
            is_last = self.calls == self.at
        if not is_last:
            return do()
        if self.after:
            do()
        raise Crash


def assert_whole(store: MemoryStore) -> None:
    """Whatever dataset.json names is there, byte for byte."""
    record = json.loads(store.read("dataset.json").data)
    for name, file in record["files"].items():
        found = store.stat(f"{name}.npy")
        assert found is not None
        assert (found.size, found.crc32c) == (file["bytes"], file["crc32c"])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_a_crash_anywhere_leaves_a_whole_set_or_none_and_the_same_command_repairs_it(
    tmp_path, folder, force, after
):
    data = record_of(section_of(with_classes=True))
    pack(dataset_of(with_classes=True), tmp_path / "old", data=data)
    outcomes = set()
    for at in range(1, 100):
        store = MemoryStore()
        if force:
            upload_pack(tmp_path / "old", store=store, access=ParallelDownloader(), force=False)
        dying = Dying(store, at=at, after=after)
        try:
            upload_pack(folder, store=dying, access=ParallelDownloader(), force=force)
        except Crash:
            pass
        else:
            break
        if store.stat("dataset.json") is None:
            outcomes.add("none")
            # No --force: what is there is no set.
            upload_pack(folder, store=store, access=ParallelDownloader(), force=False)
        else:
            outcomes.add("whole")
            assert_whole(store)
            upload_pack(folder, store=store, access=ParallelDownloader(), force=True)
        assert_whole(store)
        assert {one.name for one in store.list("")} == {path.name for path in folder.iterdir()}
    assert at > len(list(folder.iterdir()))
    assert outcomes == ({"none", "whole"} if force or after else {"none"})
