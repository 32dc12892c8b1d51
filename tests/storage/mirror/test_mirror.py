"""Copies of objects: made once, made whole, made again when the bucket changes."""

import os

import pytest

from job.data.sources.paths import FileProblem
from job.errors import (
    ConfigError,
)
from tests.data.packed.some_packs import flip
from tests.fakes.memory_store import MemoryStore
from tests.storage.mirror.mirrors import PART, Watched, content, mirror_of


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("job.storage.download.PART_BYTES", PART)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


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
    for name in ("fsync", "rename"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, real=real, name=name: (done.append(name), real(*args))[1]
        )
    store.write("a", content(3 * PART), if_generation=0)
    mirror_of(store, tmp_path).fetch(["a"])
    assert done[-3:] == ["fsync", "rename", "fsync"]


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
