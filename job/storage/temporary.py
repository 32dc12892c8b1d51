"""Temporary files, whose folder is named when it is full: it is seldom what a user thinks of.

::

    with temporary_folder("siamese-model-") as folder:
        (folder / "model").write_bytes(data)
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from job.errors import ConfigError, DiskFullError, PermissionDeniedError
from job.storage.os_errors import DENIED, FULL


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is removed at the end, whatever ends the block.

    The block should write nowhere else: what the operating system refuses in it is said of
    this folder.

    Args:
        prefix: The beginning of its name.

    Raises:
        DiskFullError: There is no space for it, or for what the block writes.
        PermissionDeniedError: It may not be written.
        ConfigError: There is no folder for temporary files.
    """
    with temporary_errors_named(), tempfile.TemporaryDirectory(prefix=prefix) as name:
        yield Path(name)


@contextmanager
def temporary_errors_named() -> Iterator[None]:
    """Translates what the operating system says of temporary files, as `temporary_folder`."""
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise ConfigError(
            f"no folder for temporary files can be written ({error.strerror}). Name one in the "
            "environment variable TMPDIR."
        ) from error
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(
                f"the temporary folder '{folder}' has no space left "
                f"({os.strerror(error.errno or 0)}); nothing was written. Free some space in "
                "it, or name another folder in the environment variable TMPDIR."
            ) from error
        if error.errno in DENIED:
            raise PermissionDeniedError(
                f"the temporary folder '{folder}' may not be written "
                f"({os.strerror(error.errno or 0)}). Give this user write access, or name "
                "another folder in the environment variable TMPDIR."
            ) from error
        raise
