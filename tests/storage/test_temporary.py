"""What the operating system refuses of temporary files is said of their folder."""

import errno
import tempfile
from pathlib import Path

import pytest

from job.errors import ConfigError, DataError, DiskFullError, PermissionDeniedError
from job.storage.temporary import temporary_folder
from tests.full_disk import no_file_above


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_removed_whatever_ends_the_block(place):
    def interrupted():
        with temporary_folder("some-") as folder:
            assert (folder.parent, folder.is_dir()) == (place, True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(place.iterdir()) == []


def test_a_full_disk_is_named(place):
    with (
        pytest.raises(DiskFullError, match=f"temporary folder '{place}' has no space.*TMPDIR"),
        no_file_above(100),
        temporary_folder("some-") as folder,
    ):
        (folder / "a").write_bytes(bytes(1000))
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EACCES, PermissionDeniedError),
        (errno.EROFS, PermissionDeniedError),
        (errno.EIO, OSError),
    ],
)
def test_each_error_has_its_class(number, error):
    with pytest.raises(error), temporary_folder("some-"):
        raise OSError(number, "said the system")


def test_errors_of_the_program_stay_as_they_are():
    with pytest.raises(DataError, match=r"^damaged$"), temporary_folder("some-"):
        raise DataError("damaged")


def test_a_machine_without_a_folder_is_told_what_to_set(monkeypatch):
    def none() -> Path:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(ConfigError, match="variable TMPDIR"), temporary_folder("some-"):
        pass
