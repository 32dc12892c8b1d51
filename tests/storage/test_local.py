import os
from pathlib import Path
from typing import Any

import pytest

from job.errors import ConfigError
from job.storage.local import FileStore
from job.storage.object_store import ObjectMissingError

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534


class Crash(BaseException):
    """Stands for the process ending here: no `except` of the code under test may run on it."""


@pytest.mark.parametrize("call", ["open", "write", "utime", "fsync", "rename"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_crash_at_any_system_call_leaves_the_old_object_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, overwrite: bool
) -> None:
    real = getattr(os, call)
    for when in range(1, 20):
        folder = tmp_path / f"{when}"
        store = FileStore(folder)
        before = store.write("ckpt/a", b"old" * 1000, if_generation=0) if overwrite else None
        calls = 0

        def crashing(*args: Any, when: int = when, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == when:
                if call == "write":
                    real(args[0], args[1][:5])
                raise Crash
            return real(*args, **kwargs)

        with monkeypatch.context() as patched:
            patched.setattr(os, call, crashing)
            try:
                store.write("ckpt/a", b"new" * 2000, if_generation=None)
            except Crash:
                pass
            else:
                assert when > 1, f"os.{call} is not called by a write at all"
                return
        again = FileStore(folder)
        content = again.read("ckpt/a").data if again.list("") else None
        assert content in (b"old" * 1000 if overwrite else None, b"new" * 2000)
        assert [one.name for one in again.list("")] in ([], ["ckpt/a"])
        written = again.write("ckpt/a", b"third", if_generation=None)
        assert before is None or written.generation > before.generation
        assert again.read("ckpt/a").data == b"third"
    pytest.fail(f"os.{call} is called more often than expected")


def test_content_and_names_are_forced_to_disk_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def watched_fsync(fd: int) -> None:
        events.append("sync " + os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))
        fsync(fd)

    def watched_rename(source: Path, target: Path) -> None:
        events.append(f"rename to {target.name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "rename", watched_rename)
    FileStore(tmp_path / "run").write("ckpt/a", b"1", if_generation=0)
    assert events == [
        "sync .",  # the new folder "run"
        "sync run/.partial",
        "sync run",  # the new folder "ckpt"
        "rename to a",
        "sync run/ckpt",
    ]


def test_generation_is_the_clock_unless_that_would_not_grow(tmp_path: Path) -> None:
    now = 1_000_000_000
    store = FileStore(tmp_path, now_ns=lambda: now)
    # The lock file is made by the first write, at the real time, so that is the floor.
    first = store.write("a", b"", if_generation=0).generation
    assert store.write("a", b"", if_generation=None).generation == first + 1
    now = first + 10**9
    assert store.write("a", b"", if_generation=None).generation == now
    now = 5  # the clock goes back: by decades
    assert store.write("a", b"", if_generation=None).generation == first + 10**9 + 1
    store.delete("a", if_generation=None)
    assert store.write("a", b"", if_generation=0).generation == first + 10**9 + 2


def test_object_copied_in_with_a_later_time_is_still_outdone(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.write("b", b"", if_generation=0)
    later = 4_000_000_000 * 10**9
    (tmp_path / "a").write_bytes(b"copied")
    os.utime(tmp_path / "a", ns=(later, later))
    store.delete("a", if_generation=later)
    assert store.write("a", b"", if_generation=0).generation == later + 1


@pytest.mark.parametrize("tick_ns", [100, 1_000, 10**9])
def test_generation_grows_where_the_file_system_keeps_coarse_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tick_ns: int
) -> None:
    utime = os.utime

    def coarse(target: int, *, ns: tuple[int, int]) -> None:
        kept = ns[0] // tick_ns * tick_ns
        utime(target, ns=(kept, kept))

    monkeypatch.setattr(os, "utime", coarse)
    store = FileStore(tmp_path)
    written = [store.write("a", b"", if_generation=None).generation for _ in range(5)]
    assert written == sorted(set(written))
    assert store.read("a").generation == written[-1]


def test_file_system_that_keeps_no_times_is_refused_and_nothing_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path)
    store.write("a", b"old", if_generation=0)
    utime = os.utime
    monkeypatch.setattr(os, "utime", lambda target, *, ns: utime(target, ns=(10**9, 10**9)))
    with pytest.raises(ConfigError, match="keeps no modification times"):
        store.write("a", b"new", if_generation=None)
    assert store.read("a").data == b"old"


def test_temporary_files_and_locks_are_no_objects(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.write("a", b"", if_generation=0)
    (tmp_path / ".partial").write_bytes(b"left by a killed process")
    assert [one.name for one in store.list("")] == ["a"]
    store.write("b", b"", if_generation=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".store-lock", "a", "b"]


def test_link_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"not the run's")
    store = FileStore(tmp_path / "store")
    store.write("a", b"", if_generation=0)
    (tmp_path / "store" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "store" / "folder").symlink_to(tmp_path)
    assert [one.name for one in store.list("")] == ["a"]
    with pytest.raises(ConfigError, match="symbolic links"):
        store.read("link")


def test_delete_removes_folders_that_became_empty_and_no_others(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for name in ("ckpt/1/a", "ckpt/1/b", "ckpt/2/a"):
        store.write(name, b"", if_generation=0)
    store.delete("ckpt/1/a", if_generation=None)
    assert (tmp_path / "ckpt" / "1").is_dir()
    store.delete("ckpt/1/b", if_generation=None)
    assert not (tmp_path / "ckpt" / "1").exists()
    assert [one.name for one in store.list("ckpt/")] == ["ckpt/2/a"]


def test_relative_folder_is_resolved_when_the_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileStore(Path("runs/a"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.write("x", b"1", if_generation=0)
    assert (tmp_path / "runs" / "a" / "x").read_bytes() == b"1"
    assert store.uri == f"file://{tmp_path}/runs/a"


def test_unused_store_reads_as_empty_without_making_its_folder(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "none")
    with pytest.raises(ObjectMissingError):
        store.read("a")
    assert not (tmp_path / "none").exists()
