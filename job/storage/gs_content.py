"""A file as something that an upload cuts its parts from.

::

    with FileBytes.opened(path, purpose=RUNS) as content:
        content[0:4]
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from job.storage.checksums import CHUNK_BYTES, crc32c_of
from job.storage.os_errors import translated
from job.storage.purpose import Purpose


class FileBytes:
    """The bytes of a file, read where they are sliced; never all of them at once.

    Args:
        file: The open file; it must not change.
        path: Its path, for messages.
        purpose: What the store it goes to is used for.
    """

    def __init__(self, file: BinaryIO, *, path: Path, purpose: Purpose) -> None:
        self._file, self._path, self._purpose = file, path, purpose
        self._size = os.fstat(file.fileno()).st_size

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, purpose: Purpose) -> Iterator["FileBytes"]:
        """Opens a file for as long as the block lasts."""
        with translated("read", path, folder=path.parent, purpose=purpose):
            file = path.open("rb", buffering=0)
        with file:
            yield cls(file, path=path, purpose=purpose)

    @property
    def crc32c(self) -> int:
        """Castagnoli CRC of all of it; reads the file."""
        starts = range(0, self._size, CHUNK_BYTES)
        return crc32c_of(self[start : start + CHUNK_BYTES] for start in starts)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self._size)
        with translated("read", self._path, folder=self._path.parent, purpose=self._purpose):
            return os.pread(self._file.fileno(), max(0, end - start), start)
