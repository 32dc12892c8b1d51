import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from job.errors import ConfigError, DiskFullError, LockHeldError, PreemptedError
from job.storage.local import FileStore
from job.storage.run_lock import RunLock
from tests.storage.conftest import FakeTime

REPOSITORY = Path(__file__).parents[2]

HOLDER = """
import sys
from pathlib import Path
from job.storage.run_lock import RunLock
RunLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def at_once(folder: Path) -> RunLock:
    """A lock that waits for nobody."""
    return RunLock(folder, wait_seconds=0.0)


@contextmanager
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another live process that has the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_folder_in_use_is_refused_with_host_pid_and_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with holding(folder) as process:
        before = (folder / "run.lock").read_bytes()
        with pytest.raises(LockHeldError) as caught:
            at_once(folder).acquire()
        assert caught.value.exit_code == 74
        for part in (f"process {process.pid}", f"'{socket.gethostname()}'", f"'{folder}'"):
            assert part in str(caught.value)
        assert (folder / "run.lock").read_bytes() == before


def test_holder_is_waited_for_and_named_once(
    tmp_path: Path, time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    holder = RunLock(tmp_path, host="typos-0-x7k2p", job_uid="3f6e")
    holder.acquire()

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now >= 1100.0:
            holder.release()

    lock = RunLock(tmp_path, wait_seconds=240.0, sleep=sleep, monotonic=time.monotonic)
    with lock:
        assert time.now == pytest.approx(1100.0)
    (record,) = (one for one in caplog.records if one.message == "run folder in use, waiting")
    named = f"process {os.getpid()} on host 'typos-0-x7k2p' of Job 3f6e"
    assert (record.holder, record.wait_seconds) == (named, 240.0)


def test_holder_that_stays_is_refused_after_the_wait(tmp_path: Path, time: FakeTime) -> None:
    with RunLock(tmp_path):
        lock = RunLock(tmp_path, wait_seconds=240.2, sleep=time.sleep, monotonic=time.monotonic)
        with pytest.raises(LockHeldError, match="after waiting for 240 s"):
            lock.acquire()
    assert sum(time.pauses) == pytest.approx(240.2)


def test_request_to_stop_cuts_the_wait(tmp_path: Path, time: FakeTime) -> None:
    def check_stop() -> None:
        if time.now >= 1005.0:
            raise PreemptedError("Stopped by SIGTERM.")

    with RunLock(tmp_path):
        lock = RunLock(
            tmp_path, check_stop=check_stop, sleep=time.sleep, monotonic=time.monotonic
        )
        with pytest.raises(PreemptedError):
            lock.acquire()
    assert time.now == pytest.approx(1005.0)


def test_killed_holder_is_no_obstacle(tmp_path: Path) -> None:
    with holding(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        assert json.loads((tmp_path / "run.lock").read_text())["pid"] == process.pid
        with RunLock(tmp_path):
            holder = json.loads((tmp_path / "run.lock").read_text())
    assert holder == {"host": socket.gethostname(), "pid": os.getpid(), "job": ""}


def test_longer_content_of_an_earlier_holder_is_gone(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text(json.dumps({"host": "h" * 300, "pid": 1}))
    with RunLock(tmp_path):
        assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()


def test_lock_knows_its_folder_and_whether_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lock = RunLock(Path("run"))
    assert (lock.folder, lock.is_held) == (tmp_path / "run", False)
    assert not lock.folder.exists()
    with lock:
        assert lock.is_held
    assert not lock.is_held


def test_lock_is_free_after_release_and_after_an_error(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.acquire()
    with pytest.raises(LockHeldError, match=f"process {os.getpid()} "):
        at_once(tmp_path).acquire()
    lock.release()
    lock.release()
    with pytest.raises(KeyError), RunLock(tmp_path):
        raise KeyError
    with RunLock(tmp_path):
        pass


def test_refused_attempt_keeps_no_descriptor(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(LockHeldError):
                at_once(tmp_path).acquire()
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff\x00"])
def test_holder_that_has_not_given_its_name_is_still_refused(
    tmp_path: Path, content: bytes
) -> None:
    with RunLock(tmp_path):
        (tmp_path / "run.lock").write_bytes(content)
        with pytest.raises(LockHeldError, match="has not given its name"):
            at_once(tmp_path).acquire()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refusing(fd: int, operation: int) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refusing)
    with pytest.raises(ConfigError, match="its file system has no flock"):
        RunLock(tmp_path).acquire()
    with pytest.raises(ConfigError, match="its file system has no flock"):
        FileStore(tmp_path).write("a", b"", if_generation=0)
    assert not (tmp_path / "a").exists()


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(ConfigError, match="must be a folder"):
        RunLock(tmp_path / "run").acquire()


def test_no_room_for_the_lock_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFullError):
        RunLock(tmp_path).acquire()
    monkeypatch.undo()
    with RunLock(tmp_path):
        pass


def test_lock_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / "run.lock").symlink_to(tmp_path / "other")
    with pytest.raises(ConfigError, match="symbolic links"):
        RunLock(tmp_path).acquire()
    assert (tmp_path / "other").read_text() == "precious"
