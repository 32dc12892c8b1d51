"""What goes wrong while objects are copied, and what is left then."""

import errno
import logging
import os

import pytest

from job.data.sources.paths import FileProblem
from job.errors import (
    DiskFullError,
    InterruptedByUserError,
    PermissionDeniedError,
    StorageOutageError,
)
from job.storage.filesystem import lock_exclusively
from job.storage.parallel import ParallelDownloader
from tests.fakes.memory_store import MemoryStore
from tests.storage.mirror.mirrors import PART, Watched, content, mirror_of


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.storage.download.PART_BYTES", PART)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_damaged_part_is_noticed_and_the_object_copied_again(tmp_path):
    store = Watched()
    store.write("a", content(3 * PART), if_generation=0)
    damage = [lambda data: data[:-1] + bytes([data[-1] ^ 1])]
    store.meanwhile = lambda name, data: damage.pop()(data) if damage else data
    path = mirror_of(store, tmp_path).fetch(["a"])["a"]
    assert path.read_bytes() == content(3 * PART)
    assert len(store.ranges) == 6


def test_an_object_that_always_arrives_damaged_is_an_outage_and_no_copy(tmp_path):
    store = Watched()
    store.write("a", content(2 * PART), if_generation=0)
    store.meanwhile = lambda name, data: bytes(len(data))
    mirror = mirror_of(store, tmp_path)
    with pytest.raises(StorageOutageError, match=r"memory:///a was damaged or replaced each"):
        mirror.fetch(["a"])
    assert not (mirror.folder / "a").exists()
    assert len(store.ranges) == 6


def test_an_object_replaced_while_it_is_copied_is_copied_as_it_is_then(tmp_path):
    store = Watched()
    store.write("a", content(5 * PART), if_generation=0)
    done = []

    def replace(name: str, data: bytes) -> bytes:
        if not done:
            done.append(name)
            store.write("a", content(4 * PART, seed=3), if_generation=None)
        return data

    store.meanwhile = replace
    path = mirror_of(store, tmp_path).fetch(["a"])["a"]
    assert path.read_bytes() == content(4 * PART, seed=3)
    assert list((tmp_path / ".partial").iterdir()) == []


def test_an_object_deleted_while_it_is_copied_is_missing(tmp_path):
    store = Watched()
    store.write("a", content(5 * PART), if_generation=0)
    store.write("b", b"1", if_generation=0)

    def delete(name: str, data: bytes) -> bytes:
        if name == "a" and MemoryStore.stat(store, "a"):
            store.delete("a", if_generation=None)
        return data

    store.meanwhile = delete
    found = mirror_of(store, tmp_path).fetch(["a", "b"])
    assert isinstance(found["a"], FileProblem)
    assert found["b"].read_bytes() == b"1"


class Killed(BaseException):
    """Stands for the end of the process."""


def test_objects_completed_before_a_kill_are_kept_and_the_others_start_again(tmp_path):
    store = Watched()
    store.write("small", content(PART), if_generation=0)
    store.write("large", content(20 * PART), if_generation=0)

    def kill(name: str, data: bytes) -> bytes:
        if len(store.ranges) > 3:
            raise Killed
        return data

    mirror_of(store, tmp_path).fetch(["small"])
    store.meanwhile = kill
    with pytest.raises(Killed):
        mirror_of(store, tmp_path).fetch(["small", "large"])
    assert [path.name for path in (tmp_path / "sets/faces").iterdir()] == ["small"]
    assert len(list((tmp_path / ".partial").iterdir())) == 1
    store.ranges.clear()
    store.meanwhile = lambda name, data: data
    found = mirror_of(store, tmp_path).fetch(["small", "large"])
    assert found["large"].read_bytes() == content(20 * PART)
    assert store.ranges == [("large", part * PART) for part in range(20)]
    assert list((tmp_path / ".partial").iterdir()) == []


def test_a_request_to_stop_ends_a_download_at_its_next_part(tmp_path):
    store = Watched()
    store.write("a", content(1000 * PART), if_generation=0)

    def check() -> None:
        if store.ranges:
            raise InterruptedByUserError("stop")

    access = ParallelDownloader(check_stop=check)

    def wait(name: str, data: bytes) -> bytes:
        assert access._halt.wait(10.0)
        return data

    store.meanwhile = wait
    with pytest.raises(InterruptedByUserError):
        mirror_of(store, tmp_path, access=access).fetch(["a"])
    assert len(store.ranges) == 1
    assert list((tmp_path / ".partial").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, DiskFullError, r"3000 bytes are needed .*\(data\.mirror\)"),
        (errno.EDQUOT, DiskFullError, "Disk quota exceeded"),
        (errno.EACCES, PermissionDeniedError, r"\(data\.mirror\)"),
        (errno.EIO, StorageOutageError, "complete copies are not downloaded again"),
    ],
)
def test_a_disk_that_refuses_says_what_to_do(store, tmp_path, monkeypatch, number, kind, words):
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    store.write("a", content(3 * PART), if_generation=0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(kind, match=words):
            mirror_of(store, tmp_path).fetch(["a"])
    assert not (tmp_path / "sets/faces/a").exists()
    assert mirror_of(store, tmp_path).fetch(["a"])["a"].read_bytes() == content(3 * PART)


def test_a_request_to_stop_ends_the_copying(tmp_path):
    store = Watched()
    for number in range(200):
        store.write(f"{number:03}", b"1", if_generation=0)
    copies = tmp_path / "sets/faces"

    def check() -> None:
        if copies.exists() and any(copies.iterdir()):
            raise InterruptedByUserError("stop")

    with pytest.raises(InterruptedByUserError):
        mirror_of(store, tmp_path, access=ParallelDownloader(check_stop=check)).fetch_below("")
    assert len(list(copies.iterdir())) < 100
    assert mirror_of(store, tmp_path).fetch_below("") == 200


def test_a_mirror_in_use_is_waited_for(store, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    store.write("a", b"1", if_generation=0)
    (tmp_path / ".partial").mkdir()
    held = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    assert lock_exclusively(held, path=tmp_path, blocking=False)
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            os.close(held)

    mirror_of(store, tmp_path, access=ParallelDownloader(sleep=sleep)).fetch(["a"])
    assert slept == [0.5] * 3
    lines = [record.message for record in caplog.records]
    assert lines == ["mirror in use, waiting", "data mirrored"]


def test_waiting_for_a_mirror_heeds_a_request_to_stop(store, tmp_path):
    (tmp_path / ".partial").mkdir()
    held = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    assert lock_exclusively(held, path=tmp_path, blocking=False)

    def check() -> None:
        raise InterruptedByUserError("stop")

    def sleep(seconds: float) -> None:
        raise AssertionError("waited all the same")

    access = ParallelDownloader(check_stop=check, sleep=sleep)
    try:
        with pytest.raises(InterruptedByUserError):
            mirror_of(store, tmp_path, access=access).fetch(["a"])
    finally:
        os.close(held)


def test_what_was_done_is_said_once(store, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    clock = iter(range(0, 1000, 4))
    for number in range(6):
        store.write(f"{number}", content(500), if_generation=0)
    access = ParallelDownloader(monotonic=lambda: float(next(clock)))
    mirror_of(store, tmp_path, access=access).fetch_below("")
    *progress, last = caplog.records
    assert {record.message for record in progress} == {"mirroring"}
    assert all(record.of_bytes == 3000 for record in progress)
    assert 1 <= len(progress) <= 3
    assert (last.message, last.files, last.copied, last.bytes) == ("data mirrored", 6, 6, 3000)
