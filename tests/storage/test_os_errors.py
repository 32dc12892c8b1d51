import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from job.errors import (
    ConfigError,
    DiskFullError,
    JobError,
    PermissionDeniedError,
    StorageOutageError,
)
from job.storage.local import FileStore
from job.storage.object_store import ListedObject
from job.storage.os_errors import job_errors

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_names_folder_need_and_room_and_spares_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    store = FileStore(tmp_path)
    old = store.write("HEAD.json", b"old", if_generation=0)

    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(number, os.strerror(number))

    def room(path: Path) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 10, 5, 3, 0, 0, 0, 0, 255))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        patched.setattr(os, "statvfs", room)
        with pytest.raises(DiskFullError) as caught:
            store.write("ckpt/a", b"x" * 1234, if_generation=0)
    assert caught.value.exit_code == 74
    for part in (f"'{tmp_path}'", "1234 bytes are needed", "12288 are free", "keep_last"):
        assert part in str(caught.value)
    assert store.list("") == [ListedObject("HEAD.json", 3, old.generation)]
    assert not (tmp_path / ".partial").exists()
    assert not (tmp_path / "ckpt").exists()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EROFS, PermissionDeniedError),
        (errno.EPERM, PermissionDeniedError),
        (errno.EIO, StorageOutageError),
        (errno.ESTALE, StorageOutageError),
        (errno.ENAMETOOLONG, ConfigError),
        (errno.ENOENT, ConfigError),
        (errno.EFBIG, DiskFullError),
        (errno.EMFILE, OSError),
    ],
)
def test_refusal_of_the_system_becomes_the_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    store = FileStore(tmp_path)

    def refusing(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refusing)
    with pytest.raises(kind) as caught:
        store.write("a", b"1", if_generation=0)
    assert type(caught.value) is kind
    if issubclass(kind, JobError):
        assert str(tmp_path / "a") in str(caught.value)
        assert os.strerror(number) in str(caught.value)
    if number == errno.EROFS:
        assert "Mount a volume there" in str(caught.value)


CALLS: dict[str, Callable[[FileStore], object]] = {
    "read": lambda store: store.read("a"),
    "list": lambda store: store.list(""),
    "write": lambda store: store.write("a", b"", if_generation=None),
    "delete": lambda store: store.delete("a", if_generation=None),
}


@pytest.mark.parametrize("below", ["", "runs/typos"])
@pytest.mark.parametrize("call", ["write", "read", "list"])
def test_file_in_place_of_the_folder_is_named(tmp_path: Path, below: str, call: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = FileStore(tmp_path / "file" / below)
    with pytest.raises(ConfigError, match="must be a folder") as caught:
        CALLS[call](store)
    assert str(tmp_path / "file" / below) in str(caught.value)
    if (call, below) != ("list", ""):  # then it is what cannot be listed
        assert f" '{tmp_path / 'file'}' is in the way." in str(caught.value)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_object_name_that_is_already_a_folder_is_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.write("ckpt/a", b"", if_generation=0)
    with pytest.raises(ConfigError, match="Remove what is in the way"):
        store.write("ckpt", b"", if_generation=0)
    with pytest.raises(ConfigError, match="must be a folder"):
        store.write("ckpt/a/b", b"", if_generation=0)
    assert [one.name for one in store.list("")] == ["ckpt/a"]


UNPRIVILEGED = """
import os
import sys
from pathlib import Path
from job.errors import PermissionDeniedError
from job.storage.local import FileStore
from job.storage.run_lock import RunLock
folder, call, uid = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
store = FileStore(folder)
calls = {
    "read": lambda: store.read("a"),
    "list": lambda: store.list(""),
    "write": lambda: store.write("a", b"", if_generation=None),
    "delete": lambda: store.delete("a", if_generation=None),
    "lock": lambda: RunLock(folder).acquire(),
}
try:
    calls[call]()
except PermissionDeniedError as error:
    print(error)
    sys.exit(int(error.exit_code))
"""


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user can reach; `tmp_path` is below one for its owner only."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("call", "folder_mode", "file_mode"),
    [
        ("write", 0o555, 0o644),
        ("delete", 0o555, 0o644),
        ("lock", 0o555, 0o644),
        ("list", 0o311, 0o644),
        ("read", 0o755, 0o200),
    ],
)
def test_missing_permission_names_the_folder_and_changes_nothing(
    open_path: Path, call: str, folder_mode: int, file_mode: int
) -> None:
    folder = open_path / "run"
    store = FileStore(folder)
    store.write("a", b"kept", if_generation=0)
    (folder / "a").chmod(file_mode)
    if os.geteuid() == 0:
        for path in (folder, folder / "a"):
            os.chown(path, NOBODY, NOBODY)
    folder.chmod(folder_mode)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, str(folder), call, str(NOBODY)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    folder.chmod(0o755)
    (folder / "a").chmod(0o644)
    assert done.returncode == 6, done.stderr
    assert f"'{folder}' must be readable and writable" in done.stdout
    assert "Permission denied" in done.stdout
    assert "run.root" in done.stdout
    assert store.read("a").data == b"kept"


def test_the_folder_to_change_is_the_one_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "runs/typos"
    with (
        pytest.raises(PermissionDeniedError, match=f"The folder '{tmp_path}' must be"),
        job_errors("write", folder / "a", folder=folder),
    ):
        raise PermissionError(errno.EACCES, "denied")
