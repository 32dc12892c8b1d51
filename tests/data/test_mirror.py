"""Copies of objects: made once, made whole, made again when the bucket changes."""

import errno
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from job.data.access import DataAccess
from job.data.mirror import Mirror, open_mirror
from job.data.paths import FileProblem
from job.errors import (
    ConfigError,
    DiskFullError,
    InterruptedByUserError,
    PermissionDeniedError,
    StorageOutageError,
)
from job.storage.flock import lock_exclusively
from job.storage.memory import MemoryStore
from tests.data.packs import flip
from tests.fakes.gcs_server import FakeGcs, Fault

PART = 1000


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.data.mirror_copy.PART_BYTES", PART)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def content(size: int, *, seed: int = 0) -> bytes:
    return bytes((i * 7 + seed) % 251 for i in range(size))


def mirror_of(store: Any, folder: Path, *, access: DataAccess | None = None) -> Mirror:
    return Mirror(store, folder=folder, place="sets/faces", access=access or DataAccess())


class Watched(MemoryStore):
    """Knows what was read of it, and lets something happen at each read."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[str, int]] = []
        self.stats: list[str] = []
        self.meanwhile: Any = lambda name, data: data

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        data = super().read_range(name, start=start, length=length, generation=generation)
        self.ranges.append((name, start))
        return self.meanwhile(name, data)

    def stat(self, name: str) -> Any:
        self.stats.append(name)
        return super().stat(name)


SIZES = {"empty": 0, "one": 1, "a/just": PART, "a/more": PART + 1, "a/b/many": 7 * PART + 3}


def test_objects_of_any_size_are_copied_as_they_are(store, tmp_path):
    for name, size in SIZES.items():
        store.write(name, content(size), if_generation=0)
    found = mirror_of(store, tmp_path).fetch(SIZES)
    assert found == {name: tmp_path / "sets/faces" / name for name in SIZES}
    for name, size in SIZES.items():
        assert found[name].read_bytes() == content(size)
    assert list((tmp_path / ".partial").iterdir()) == []


def test_what_is_here_is_not_read_again(tmp_path):
    store = Watched()
    for name, size in SIZES.items():
        store.write(name, content(size), if_generation=0)
    mirror = mirror_of(store, tmp_path)
    mirror.fetch(SIZES)
    store.ranges.clear()
    mirror.fetch(SIZES)
    mirror_of(store, tmp_path).fetch_below("")
    assert store.ranges == []


def test_a_listing_tells_what_is_here_without_a_look_at_each(tmp_path):
    store = Watched()
    for name, size in SIZES.items():
        store.write(name, content(size), if_generation=0)
    mirror = mirror_of(store, tmp_path)
    assert mirror.fetch_below("a") == 3
    store.stats.clear()
    assert mirror.fetch_below("a") == 3
    assert store.stats == []


@pytest.mark.parametrize("size", [PART, 3 * PART])
def test_a_changed_object_is_copied_again(store, tmp_path, size):
    store.write("a", content(size), if_generation=0)
    mirror = mirror_of(store, tmp_path)
    path = mirror.fetch(["a"])["a"]
    store.write("a", content(size, seed=1), if_generation=None)
    assert mirror.fetch(["a"]) == {"a": path}
    assert path.read_bytes() == content(size, seed=1)
    store.write("a", content(size + 1), if_generation=None)
    mirror.fetch_below("")
    assert path.read_bytes() == content(size + 1)


def test_an_open_copy_stays_as_it_is_when_another_takes_its_name(store, tmp_path):
    store.write("a", b"old", if_generation=0)
    mirror = mirror_of(store, tmp_path)
    with mirror.fetch(["a"])["a"].open("rb") as file:
        store.write("a", b"new", if_generation=None)
        mirror.fetch(["a"])
        assert file.read() == b"old"


@pytest.mark.parametrize("damage", ["a bit", "cut short", "a folder of it gone"])
def test_a_copy_that_was_touched_is_copied_again(tmp_path, damage):
    store = Watched()
    store.write("a/b", content(50), if_generation=0)
    mirror = mirror_of(store, tmp_path)
    path = mirror.fetch(["a/b"])["a/b"]
    if damage == "a bit":
        flip(path, 7)
    elif damage == "cut short":
        os.truncate(path, 20)
    else:
        path.unlink()
        path.parent.rmdir()
    mirror.fetch(["a/b"])
    assert path.read_bytes() == content(50)
    assert len(store.ranges) == 2


def test_what_was_copied_by_hand_counts_when_its_checksum_is_right(tmp_path):
    store = Watched()
    store.write("right", content(50), if_generation=0)
    store.write("wrong", content(50), if_generation=0)
    mirror = mirror_of(store, tmp_path)
    mirror.folder.mkdir(parents=True)
    (mirror.folder / "right").write_bytes(content(50))
    (mirror.folder / "wrong").write_bytes(content(50, seed=1))
    mirror.fetch(["right", "wrong"])
    assert store.ranges == [("wrong", 0)]
    assert (mirror.folder / "wrong").read_bytes() == content(50)
    # Read once: from then on its time says so.
    store.stats.clear()
    mirror.fetch_below("")
    assert store.stats == []


def test_a_copy_cut_short_is_noticed_whatever_its_time_says(store, tmp_path):
    store.write("a", content(50), if_generation=0)
    mirror = mirror_of(store, tmp_path)
    path = mirror.fetch(["a"])["a"]
    time_ns = path.stat().st_mtime_ns
    os.truncate(path, 20)
    os.utime(path, ns=(time_ns, time_ns))
    mirror.fetch(["a"])
    assert path.read_bytes() == content(50)


def test_a_link_in_the_mirror_is_no_copy_however_alike(store, tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    data = content(len(str(mine)))  # the length of a link
    generation = store.write("a", data, if_generation=0).generation
    mirror = mirror_of(store, tmp_path / "mirror")
    mirror.folder.mkdir(parents=True)
    link = mirror.folder / "a"
    link.symlink_to(mine)
    os.utime(link, ns=(generation * 1000,) * 2, follow_symlinks=False)
    assert mirror.fetch(["a"])["a"].read_bytes() == data
    assert mine.read_bytes() == b"mine"


def test_a_copy_is_on_disk_before_it_takes_its_name(store, tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, real=real, name=name: (done.append(name), real(*args))[1]
        )
    store.write("a", content(3 * PART), if_generation=0)
    mirror_of(store, tmp_path).fetch(["a"])
    assert done[-2:] == ["fsync", "replace"]


def test_a_missing_object_spoils_nothing_else(store, tmp_path):
    store.write("a", b"1", if_generation=0)
    found = mirror_of(store, tmp_path).fetch(["gone", "a", "a"])
    assert found["a"].read_bytes() == b"1"
    assert isinstance(found["gone"], FileProblem)
    assert found["gone"].reason == "missing"
    assert "there is no object 'gone' in memory://" in found["gone"].detail


def test_a_folder_is_what_the_bucket_has_and_nothing_else(store, tmp_path):
    for name in ("train/cat/1", "train/cat/2", "train/dog/1", "training/x", "other"):
        store.write(name, name.encode(), if_generation=0)
    mirror = mirror_of(store, tmp_path)
    assert mirror.fetch_below("train") == 3
    below = mirror.folder / "train"
    assert not (mirror.folder / "training").exists()
    store.delete("train/cat/2", if_generation=None)
    store.delete("train/dog/1", if_generation=None)
    (below / "stranger").write_bytes(b"x")
    assert mirror.fetch_below("train") == 1
    assert [path.relative_to(below).as_posix() for path in sorted(below.rglob("*"))] == [
        "cat",
        "cat/1",
    ]
    assert mirror.fetch_below("nothing") == 0


def test_a_name_that_was_a_file_may_become_a_folder(store, tmp_path):
    store.write("a", b"1", if_generation=0)
    mirror = mirror_of(store, tmp_path)
    mirror.fetch_below("")
    store.delete("a", if_generation=None)
    store.write("a/b", b"2", if_generation=0)
    mirror.fetch_below("")
    assert (mirror.folder / "a/b").read_bytes() == b"2"


def test_a_name_that_is_file_and_folder_at_once_is_refused(store, tmp_path):
    store.write("a", b"1", if_generation=0)
    store.write("a/b", b"2", if_generation=0)
    with pytest.raises(ConfigError, match=r"\(data\.mirror\)"):
        mirror_of(store, tmp_path).fetch_below("")


# What goes wrong on the way.


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


def killed_after(store: Watched, num_parts: int) -> None:
    """Ends the process at a part; those before have arrived."""
    lock = threading.Lock()

    def count(name: str, data: bytes) -> bytes:
        with lock:
            if len(store.ranges) > num_parts:
                raise Killed
        return data

    store.meanwhile = count


def test_a_killed_process_is_gone_on_from_part_by_part(tmp_path):
    store = Watched()
    store.write("large", content(40 * PART + 7), if_generation=0)
    store.write("small", b"1", if_generation=0)
    killed_after(store, 25)
    with pytest.raises(Killed):
        mirror_of(store, tmp_path).fetch(["large", "small"])
    assert not (tmp_path / "sets/faces/large").exists()
    arrived = [path for path in (tmp_path / ".partial").iterdir() if path.suffix == ".parts"]
    num_arrived = sum(arrived[0].read_bytes())
    assert num_arrived >= 10
    store.ranges.clear()
    store.meanwhile = lambda name, data: data
    found = mirror_of(store, tmp_path).fetch(["large", "small"])
    assert found["large"].read_bytes() == content(40 * PART + 7)
    assert sum(name == "large" for name, _ in store.ranges) == 41 - num_arrived


def test_parts_of_another_generation_are_not_gone_on_from(tmp_path):
    store = Watched()
    store.write("large", content(40 * PART), if_generation=0)
    killed_after(store, 25)
    with pytest.raises(Killed):
        mirror_of(store, tmp_path).fetch(["large"])
    store.write("large", content(40 * PART, seed=5), if_generation=None)
    store.meanwhile = lambda name, data: data
    store.ranges.clear()
    found = mirror_of(store, tmp_path).fetch(["large"])
    assert found["large"].read_bytes() == content(40 * PART, seed=5)
    assert len(store.ranges) == 40
    assert list((tmp_path / ".partial").iterdir()) == []


@pytest.mark.parametrize("lost", ["a part", "all parts", "the marks"])
def test_parts_that_a_power_cut_took_are_copied_again(tmp_path, lost):
    """Marks may be on disk without what they stand for; the checksum of the whole tells."""
    store = Watched()
    store.write("large", content(40 * PART), if_generation=0)
    killed_after(store, 25)
    with pytest.raises(Killed):
        mirror_of(store, tmp_path).fetch(["large"])
    marks, data = sorted((tmp_path / ".partial").iterdir(), key=lambda path: path.suffix == "")
    if lost == "a part":
        at = marks.read_bytes().index(1) * PART
        flip(data, at)
    elif lost == "all parts":
        data.unlink()
    else:
        marks.unlink()
    store.meanwhile = lambda name, data: data
    found = mirror_of(store, tmp_path).fetch(["large"])
    assert found["large"].read_bytes() == content(40 * PART)


def test_all_parts_arrived_and_not_yet_named_is_ended_by_the_next_process(
    tmp_path, monkeypatch
):
    store = Watched()
    store.write("large", content(4 * PART), if_generation=0)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(Killed):
            mirror_of(store, tmp_path).fetch(["large"])
    found = mirror_of(store, tmp_path).fetch(["large"])
    assert found["large"].read_bytes() == content(4 * PART)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, DiskFullError, r"3000 bytes are needed .*\(data\.mirror\)"),
        (errno.EDQUOT, DiskFullError, "Disk quota exceeded"),
        (errno.EACCES, PermissionDeniedError, r"\(data\.mirror\)"),
        (errno.EIO, StorageOutageError, "what was copied whole is not copied again"),
    ],
)
def test_a_disk_that_refuses_says_what_to_do(store, tmp_path, monkeypatch, number, kind, words):
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    store.write("a", content(3 * PART), if_generation=0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse)
        with pytest.raises(kind, match=words):
            mirror_of(store, tmp_path).fetch(["a"])
    assert not (tmp_path / "sets/faces/a").exists()
    assert mirror_of(store, tmp_path).fetch(["a"])["a"].read_bytes() == content(3 * PART)


def test_a_request_to_stop_ends_the_copying(tmp_path):
    store = Watched()
    for number in range(200):
        store.write(f"{number:03}", b"1", if_generation=0)
    asked = []

    def check() -> None:
        asked.append(None)
        if len(asked) > 30:
            raise InterruptedByUserError("stop")

    with pytest.raises(InterruptedByUserError):
        mirror_of(store, tmp_path, access=DataAccess(check=check)).fetch_below("")
    assert len(list((tmp_path / "sets/faces").iterdir())) < 200
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

    mirror_of(store, tmp_path, access=DataAccess(sleep=sleep)).fetch(["a"])
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

    access = DataAccess(check=check, sleep=sleep)
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
    access = DataAccess(monotonic=lambda: float(next(clock)))
    mirror_of(store, tmp_path, access=access).fetch_below("")
    *progress, last = caplog.records
    assert {record.message for record in progress} == {"mirroring"}
    assert all(record.of_bytes == 3000 for record in progress)
    assert 1 <= len(progress) <= 3
    assert (last.message, last.files, last.copied, last.bytes) == ("data mirrored", 6, 6, 3000)


# A real bucket.


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
    hasty = DataAccess(allow_emulator=True, outage_budget_seconds=0.2, env=access.env)
    mirror = open_mirror("gs://sets", folder=str(tmp_path), access=hasty, key="data.train")
    with pytest.raises(StorageOutageError, match="could not stat"):
        mirror.fetch_below("")
    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("data") for name in names)


def test_one_failure_cuts_the_waits_of_the_others_short(gcs: FakeGcs, access, tmp_path):
    """Else a Ctrl-C would wait for the end of every thread's outage budget."""
    for number in range(20):
        gcs.bucket.insert({"name": f"{number}"}, b"1", if_generation=0)
    gcs.faults.add(Fault("get", "status", times=None))
    slept = []

    def check() -> None:
        if len(slept) > 30:
            raise KeyboardInterrupt

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) <= 1000, "nobody ends this"

    patient = DataAccess(
        allow_emulator=True,
        outage_budget_seconds=86400.0,
        sleep=sleep,
        check=check,
        env=access.env,
    )
    mirror = open_mirror("gs://sets", folder=str(tmp_path), access=patient, key="data.root")
    with pytest.raises(KeyboardInterrupt):
        mirror.fetch_below("")
    assert max(slept) <= 0.5
    assert len(slept) < 1000


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
    strict = DataAccess(env=access.env)
    with pytest.raises(ConfigError, match=r"run\.allow_emulator is false"):
        open_mirror("gs://sets", folder=None, access=strict, key="data.root")


def test_a_uri_without_a_bucket_is_named_by_its_setting(access):
    with pytest.raises(ConfigError, match=r"data\.root: 'gs://x' names no bucket"):
        open_mirror("gs://x", folder=None, access=access, key="data.root")


# The folder nobody named.


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
