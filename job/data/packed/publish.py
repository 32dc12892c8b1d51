"""Puts a folder in its place whole, or leaves everything as it was.

Files go to a folder beside the place, which takes the place's name once all of them are on
disk. A process that is killed leaves that folder behind; the next one clears and uses it::

    with replacing(folder, num_bytes=1000, force=False, key="OUT") as partial:
        (partial / "values.npy").write_bytes(...)
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from job.data.packed.manifest import FILE_NAMES, RECORD_NAME
from job.errors import ConfigError, PermissionDeniedError
from job.storage.filesystem import lock_exclusively, make_folders, sync_folder, write_all
from job.storage.os_errors import PACKS, job_errors

PARTIAL_SUFFIX = ".partial"
_REPLACED_SUFFIX = ".replaced"


@contextmanager
def replacing(folder: Path, *, num_bytes: int, force: bool, key: str) -> Iterator[Path]:
    """Gives the block an empty folder that becomes `folder` when the block ends well.

    Args:
        folder: The place; links are followed.
        num_bytes: How much the block writes, for the message about a full disk.
        force: Whether a packed set in the place is replaced.
        key: What named the place, for messages.

    Raises:
        ConfigError: The place holds a packed set and `force` is off, or something else.
        DiskFullError: There is no room; what was written is removed.
        PermissionDeniedError: The place may not be written, or another process packs into it.
    """
    # Not `resolve`, which raises a RuntimeError where links form a circle.
    folder = Path(os.path.realpath(folder))
    if not folder.name:
        raise ConfigError(
            f"{key}: '{folder}' is no place for a packed data set. Give a folder."
        )
    partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
    replaced = folder.with_name(folder.name + _REPLACED_SUFFIX)
    with job_errors(
        "write", folder, folder=folder.parent, num_bytes=num_bytes, purpose=PACKS.at(key)
    ):
        require_free(folder, force=force, key=key)
        with _held(partial, key=key):
            for left_behind in (partial, replaced):
                _require_only_ours(left_behind, key=key)
            try:
                _empty(partial)
                yield partial
                sync_folder(partial)
                _put_in_place(partial, folder, replaced=replaced, key=key)
            except (Exception, KeyboardInterrupt):
                with suppress(OSError):
                    _empty(partial)
                    partial.rmdir()
                raise


def require_free(folder: Path, *, force: bool, key: str) -> None:
    """Refuses a place that holds what must not be lost.

    Raises:
        ConfigError: It holds a packed set and `force` is off, or something else, or has a path
            no folder can have.
        PermissionDeniedError: It may not be looked at.
    """
    with job_errors("write", folder, folder=folder, purpose=PACKS.at(key)):
        try:
            mode = folder.stat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            raise ConfigError(f"{key}: '{folder}' is a file. Give a folder that is to be made.")
        _require_only_ours(folder, key=key)
        if (folder / RECORD_NAME).exists() and not force:
            raise ConfigError(
                f"{key}: '{folder}' holds a packed data set already. Give another folder, or "
                "--force to replace it."
            )


def write_last(path: Path, content: bytes) -> None:
    """Writes a small file and forces it to disk.

    Raises:
        OSError: As the system does.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_all(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _held(partial: Path, *, key: str) -> Iterator[None]:
    """Keeps others from packing into the same place; the lock ends with the process."""
    try:
        make_folders(partial)
        fd = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        with suppress(OSError):
            partial.rmdir()
        raise
    try:
        is_ours = lock_exclusively(fd, path=partial, blocking=False, purpose=PACKS.at(key))
        if not is_ours or not _is_at(fd, partial):
            raise PermissionDeniedError(
                f"{key}: another process is packing into '{partial}'. Wait for it or stop it, "
                "or give another folder."
            )
        yield
    finally:
        os.close(fd)


def _is_at(fd: int, folder: Path) -> bool:
    """Whether the open folder still is where it was: who held it may have moved it."""
    try:
        return os.path.samestat(os.fstat(fd), folder.stat())
    except FileNotFoundError:
        return False


def _require_only_ours(folder: Path, *, key: str) -> None:
    others = sorted(set(os.listdir(folder)) - FILE_NAMES) if folder.exists() else []
    if others:
        raise ConfigError(
            f"{key}: '{folder}' holds other things than a packed data set ({others[0]!r} is "
            "one), which are not replaced. Give a folder that is empty or is to be made."
        )


def _empty(folder: Path) -> None:
    # The record first: what is left of a set after a crash in here must not look whole.
    for name in sorted(FILE_NAMES.intersection(os.listdir(folder)), key=_record_first):
        (folder / name).unlink()


def _record_first(name: str) -> tuple[bool, str]:
    return name != RECORD_NAME, name


def _put_in_place(partial: Path, folder: Path, *, replaced: Path, key: str) -> None:
    is_replacing = (folder / RECORD_NAME).exists()
    if is_replacing:
        _remove(replaced)
        folder.rename(replaced)
    elif folder.exists():
        _empty(folder)
    try:
        partial.rename(folder)
    except OSError as error:
        if is_replacing:
            replaced.rename(folder)
        if error.errno != errno.EBUSY:
            raise
        raise ConfigError(
            f"{key}: '{folder}' is where a volume is mounted and cannot be replaced. Give a "
            "folder below it."
        ) from error
    sync_folder(folder.parent)
    _remove(replaced)


def _remove(folder: Path) -> None:
    """Removes what was replaced, now or by a process that was killed before it could."""
    if folder.exists():
        _empty(folder)
        folder.rmdir()
