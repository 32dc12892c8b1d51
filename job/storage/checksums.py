"""Checksums of files that are never in memory whole.

::

    with path.open("rb") as file:
        crc32c = crc32c_of(chunks_of(file))
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import google_crc32c

# Plain reads of this size: what is read leaves memory again, unlike a mapped file's pages.
CHUNK_BYTES = 1 << 20


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """What is left of a file, `CHUNK_BYTES` at a time.

    Raises:
        OSError: As reading does.
    """
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def crc32c_of(chunks: Iterable[bytes]) -> int:
    """Castagnoli CRC of the chunks one after the other, in [0, 2**32)."""
    crc = 0
    for chunk in chunks:
        crc = google_crc32c.extend(crc, chunk)
    return crc
