"""Translates errors of the operating system into the program's exceptions.

::

    with job_errors("write", path, folder=folder, num_bytes=len(data)):
        os.write(fd, data)
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from job.errors import (
    ConfigError,
    DiskFullError,
    JobError,
    PermissionDeniedError,
    StorageOutageError,
)


@dataclass(frozen=True)
class MessageContext:
    """Words of a message that depend on the use of a store.

    Attributes:
        key: The setting that locates the store.
        content: What the store contains.
        role: Role of Cloud Storage with all required permissions.
        when_full: Setting that saves disk space, ending in ", "; "" if there is none.
        afterwards: What the next start does, to be read after "start again:".
    """

    key: str
    content: str
    role: str
    when_full: str
    afterwards: str

    def at(self, key: str) -> "MessageContext":
        """The same words for another setting."""
        return replace(self, key=key)


RUNS = MessageContext(
    key="run.root",
    content="a run",
    role="roles/storage.objectUser",
    when_full="lower checkpoint.keep_last, ",
    afterwards="the run resumes from its last commit",
)
DATA = MessageContext(
    key="data.root",
    content="copies of data",
    role="roles/storage.objectViewer",
    when_full="",
    afterwards="complete copies are not downloaded again",
)
PACKS = MessageContext(
    key="OUT",
    content="a packed data set",
    role="roles/storage.objectUser",
    when_full="",
    afterwards="packing starts over",
)


# Numbers of errors that mean one thing to a user, for whoever words it for another place.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_BAD_PATH = frozenset(
    {errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EEXIST, errno.EXDEV}
)
_OUTAGE = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV}
)
NO_FLOCK = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


@contextmanager
def job_errors(
    action: str, path: Path, *, folder: Path, num_bytes: int = 0, purpose: MessageContext = RUNS
) -> Iterator[None]:
    """Translates an `OSError` of the block into a `JobError` that says what to do.

    Args:
        action: Verb for the message: "read", "write", "list", "delete" or "lock".
        path: File or folder that was acted on.
        folder: Folder of the store or the run.
        num_bytes: Bytes the action needs, for the message about a full disk.
        purpose: Use of the folder, for messages.

    Raises:
        PermissionDeniedError: Access refused or a read-only file system.
        DiskFullError: No space, or a quota is used up.
        ConfigError: Something else is at the path.
        StorageOutageError: The device or the file server does not answer.
        OSError: Anything else, unchanged.
    """
    try:
        yield
    except OSError as error:
        what = f"cannot {action} '{path}': {os.strerror(error.errno or 0)}"
        known = _as_job_error(
            error,
            what,
            path=path,
            folder=folder,
            num_bytes=num_bytes,
            purpose=purpose,
            makes=action in ("write", "lock"),
        )
        if known is None:
            raise
        raise known from error


def _as_job_error(
    error: OSError,
    what: str,
    *,
    path: Path,
    folder: Path,
    num_bytes: int,
    purpose: MessageContext,
    makes: bool,
) -> JobError | None:
    key = purpose.key
    if error.errno == errno.EROFS:
        return PermissionDeniedError(
            f"{what}. '{folder}' must be on a file system that can be written. Mount a volume "
            f"there, or choose another folder ({key})."
        )
    if error.errno in DENIED:
        return PermissionDeniedError(
            f"{what}. The folder '{_nearest(folder)}' must be readable and writable for user "
            f"id {os.geteuid()}. Change its permissions, or choose another folder ({key})."
        )
    if error.errno in FULL:
        return DiskFullError(
            f"{what}. {num_bytes} bytes are needed and {_free_bytes(folder)} are free in "
            f"'{folder}'; nothing already committed was touched. Free some space, "
            f"{purpose.when_full}or choose another folder ({key}), and start again."
        )
    if error.errno in _BAD_PATH or (error.errno == errno.ENOENT and makes):
        return ConfigError(
            f"{what}.{_in_the_way(path)} '{folder}' must be a folder, or a path where one can "
            f"be made, that holds nothing but {purpose.content}. Remove what is in the way, or "
            f"choose another folder ({key})."
        )
    if error.errno in _OUTAGE:
        return StorageOutageError(
            f"{what}. The device or file server behind '{folder}' must answer. Check it, and "
            f"start again: {purpose.afterwards}."
        )
    return None


def _nearest(folder: Path) -> Path:
    """The folder, or its nearest existing parent."""
    return next((place for place in (folder, *folder.parents) if os.path.exists(place)), folder)


def _in_the_way(path: Path) -> str:
    """Names a file at the path of a parent folder; "" if there is none."""
    above = (place for place in reversed(path.parents) if os.path.lexists(place))
    found = next((place for place in above if not os.path.isdir(place)), None)
    return f" '{found}' is in the way." if found else ""


def _free_bytes(folder: Path) -> int:
    """Bytes that an unprivileged process may still write to the file system of `folder`."""
    for place in (folder, *folder.parents):
        try:
            found = os.statvfs(place)
        except OSError:
            continue
        return found.f_bavail * found.f_frsize
    return 0
