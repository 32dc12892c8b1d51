"""Parts of large objects, and files as content: what a bucket does to them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from job.errors import ConfigError, PermissionDeniedError, StorageOutageError
from job.storage.gcs.requests import PART_BYTES
from job.storage.gcs.store import GsStore
from job.storage.gcs.upload import LocalFile
from job.storage.object_store import ObjectMissingError
from job.storage.os_errors import DATA, PACKS, RUNS
from tests.fakes.gcs.faults import Kind
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.storage.conftest import FakeTime
from tests.storage.gcs.bucket_actions import AWAY, BACK, lines

CONTENT = bytes(range(250)) * 4


@pytest.mark.parametrize("kind", ["status", "reset_before", "reset_after", "truncate"])
def test_passing_fault_costs_a_part_time_only(
    gcs: FakeGcs, bucket_store: GsStore, caplog: pytest.LogCaptureFixture, kind: Kind
) -> None:
    generation = bucket_store.write("a", CONTENT, if_generation=0).generation
    gcs.faults.add(Fault("media", kind, times=3))
    part = bucket_store.read_range("a", start=100, length=500, generation=generation)
    assert part == CONTENT[100:600]
    assert gcs.faults.count("media") == 4
    assert lines(caplog) == [AWAY, BACK]


def test_a_part_costs_one_request(gcs: FakeGcs, bucket_store: GsStore) -> None:
    generation = bucket_store.write("a", CONTENT, if_generation=0).generation
    before = len(gcs.faults.requests)
    bucket_store.read_range("a", start=7, length=5, generation=generation)
    assert [operation for operation, _ in gcs.faults.requests[before:]] == ["media"]


def test_a_server_that_sends_the_whole_instead_is_not_believed(
    gcs: FakeGcs, bucket_store: GsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = bucket_store.write("a", CONTENT, if_generation=0).generation
    monkeypatch.setattr("tests.fakes.gcs.api.byte_range", lambda request, size: None)
    with pytest.raises(StorageOutageError, match="a part arrived that has another length"):
        bucket_store.read_range("a", start=0, length=5, generation=generation)


def test_a_part_of_a_missing_bucket_says_so(open_bucket: Callable[..., GsStore]) -> None:
    store = open_bucket("gs://elsewhere/sets", purpose=DATA.at("data.train"))
    with pytest.raises(ConfigError, match=r"no bucket 'elsewhere'.*\(data\.train\)"):
        store.read_range("a", start=0, length=1, generation=1)
    with pytest.raises(ObjectMissingError):
        open_bucket("gs://runs/sets").read_range("a", start=0, length=1, generation=1)


def test_a_file_goes_up_in_parts_that_alone_are_read(
    gcs: FakeGcs,
    bucket_store: GsStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "values.npy"
    path.write_bytes(os.urandom(2 * PART_BYTES + 5))
    sizes: list[int] = []
    real = LocalFile.read

    def read(self: LocalFile, size: int | None = -1) -> bytes:
        data = real(self, size)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(LocalFile, "read", read)
    bucket_store.write_file("a", path, if_generation=0)
    assert gcs.bucket.objects["typos/a"].data == path.read_bytes()
    assert max(sizes) == PART_BYTES
    assert sizes[-3:] == [PART_BYTES, PART_BYTES, 5]


def test_file_that_cannot_be_read_is_no_outage_of_the_bucket(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore]
) -> None:
    unreadable = Path("/proc/self/mem")  # its first page answers EIO
    with pytest.raises(StorageOutageError, match=r"cannot read '/proc/self/mem'.*packing"):
        open_bucket(purpose=PACKS).write_file("a", unreadable, if_generation=0)
    with pytest.raises(ConfigError, match=r"cannot read '/proc'.*\(OUT\)"):
        open_bucket(purpose=PACKS).write_file("a", Path("/proc"), if_generation=0)
    assert gcs.faults.requests == []


def test_file_that_fails_while_it_is_sent_ends_the_upload_at_once(
    bucket_store: GsStore, time: FakeTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "values.npy"
    path.write_bytes(bytes(20 << 20))
    real = LocalFile.read
    unreadable = LocalFile(Path("/proc/self/mem"), purpose=RUNS)

    def read(self: LocalFile, size: int | None = -1) -> bytes:
        return real(unreadable if self.tell() and size == PART_BYTES else self, size)

    monkeypatch.setattr(LocalFile, "read", read)
    with unreadable, pytest.raises(StorageOutageError, match="cannot read"):
        bucket_store.write_file("a", path, if_generation=0)
    assert time.pauses == []


@pytest.mark.parametrize(
    ("purpose", "words"),
    [
        (RUNS, ("(run.root)", "roles/storage.objectUser")),
        (DATA.at("data.packed"), ("(data.packed)", "roles/storage.objectViewer")),
    ],
)
def test_refusals_name_what_the_bucket_was_given_for(
    gcs: FakeGcs,
    open_bucket: Callable[..., GsStore],
    purpose: object,
    words: tuple[str, ...],
) -> None:
    gcs.bucket.denied.add("storage.objects.get")
    with pytest.raises(PermissionDeniedError) as caught:
        open_bucket("gs://runs/sets", purpose=purpose).stat("a")
    for word in words:
        assert word in str(caught.value)


def test_an_outage_says_what_the_next_start_does(
    gcs: FakeGcs, open_bucket: Callable[..., GsStore]
) -> None:
    gcs.faults.add(Fault("list", "status", times=None))
    with pytest.raises(StorageOutageError, match="complete copies are not downloaded again"):
        open_bucket("gs://runs/sets", purpose=DATA).list("")
