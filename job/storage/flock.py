"""One exclusive `flock`, with the file systems that have none named.

The kernel drops the lock when the last process holding the descriptor ends, however it ends,
so a killed process is never in anybody's way.
"""

import errno
import fcntl
from pathlib import Path

from job.errors import ConfigError
from job.storage.os_errors import NO_FLOCK
from job.storage.purpose import RUNS, Purpose


def lock_exclusively(fd: int, *, path: Path, blocking: bool, purpose: Purpose = RUNS) -> bool:
    """Locks an open file.

    Args:
        fd: Descriptor of the open file.
        path: Its path, for the message.
        blocking: Whether to wait for another holder.
        purpose: What the folder is used for.

    Returns:
        False if another process holds the lock and `blocking` is off, else True.

    Raises:
        ConfigError: The file system has no locks.
        OSError: Anything else.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        if error.errno in NO_FLOCK:
            raise ConfigError(
                f"cannot lock '{path}': its file system has no flock ({error.strerror}). It is "
                f"needed so that two processes never write {purpose.content} at once. Choose "
                f"a folder on a local disk, or on a mount with locking on ({purpose.key})."
            ) from error
        raise
    return True
