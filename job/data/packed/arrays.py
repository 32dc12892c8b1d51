"""The `.npy` files of a packed data set: written in chunks, checked in chunks, mapped.

What is checked is read plainly, a chunk at a time, and does not stay in memory; what is mapped
is in memory as far as it is used::

    record = write_array(folder / "values.npy", values)
    values = open_array(folder / "values.npy", record, key="data.packed")
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from job.data.packed.manifest import REMEDY, FileRecord
from job.errors import DataError
from job.storage.filesystem import CHUNK_BYTES, chunks_of, crc32c_of, write_all
from job.storage.os_errors import PACKS, job_errors


def write_array(path: Path, array: NDArray[Any]) -> FileRecord:
    """Writes an array as `.npy` to a new file, and forces it to disk.

    Args:
        path: The file; there must be none.
        array: Of any length; not copied whole, and may be memory-mapped.

    Raises:
        OSError: As the system does.
    """
    dtype = array.dtype.newbyteorder("<")
    crc32c, size, digest = 0, 0, hashlib.sha256()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for chunk in (_header(array.shape, dtype), *_contents(array, dtype)):
            write_all(fd, chunk)
            crc32c = google_crc32c.extend(crc32c, chunk)
            digest.update(chunk)
            size += len(chunk)
        os.fsync(fd)
    finally:
        os.close(fd)
    return FileRecord(dtype.str, array.shape, size, crc32c, digest.hexdigest())


def open_array(path: Path, record: FileRecord, *, key: str) -> NDArray[Any]:
    """The array of a file, read-only and mapped, once the file is known to be what was written.

    It is opened once: what was checked is what is mapped, also when another file takes its
    name meanwhile.

    Args:
        path: The file.
        record: What was written.
        key: Dotted key under which the set was given, for messages.

    Raises:
        DataError: It is missing, or has another length, header or checksum.
        PermissionDeniedError: It may not be read.
        StorageOutageError: The disk does not answer.
    """
    with reading(path, key=key), path.open("rb", buffering=0) as file:
        _require_intact(file, record, path=path, key=key)
        offset = record.bytes - record.num_bytes
        if not record.num_bytes:  # nothing cannot be mapped
            return np.zeros(record.shape, record.dtype)
        return np.memmap(file, record.dtype, mode="r", offset=offset, shape=record.shape)


def _require_intact(file: io.FileIO, record: FileRecord, *, path: Path, key: str) -> None:
    """Reads all of a file, a chunk at a time, and compares."""
    size = os.fstat(file.fileno()).st_size
    if size != record.bytes:
        raise DataError(
            f"{key}: {path.name} has {size} bytes and was written with {record.bytes} "
            f"({path}): it was copied or written in part. {REMEDY}"
        )
    header = file.read(record.bytes - record.num_bytes)
    if header != _header(record.shape, np.dtype(record.dtype)):
        raise DataError(
            f"{key}: {path.name} does not begin as an array of shape {record.shape} and "
            f"type {record.dtype} does ({path}). {REMEDY}"
        )
    file.seek(0)
    crc32c = crc32c_of(chunks_of(file))
    if crc32c != record.crc32c:
        raise DataError(
            f"{key}: {path.name} has another checksum than what was written (crc32c "
            f"{crc32c:08x}, expected {record.crc32c:08x}): it is damaged ({path}). {REMEDY}"
        )


@contextmanager
def reading(path: Path, *, key: str) -> Iterator[None]:
    """Says what is wrong with a file of a set that the block fails to read."""
    with job_errors("read", path, folder=path.parent, purpose=PACKS.at(key)):
        try:
            if path.exists() and not path.is_file():  # a pipe would be waited for
                raise FileNotFoundError(path)
            yield
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise DataError(
                f"{key}: there is no file {path.name} in {path.parent}. {REMEDY}"
            ) from error


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    buffer = io.BytesIO()
    description = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _contents(array: NDArray[Any], dtype: np.dtype[Any]) -> Iterator[bytes]:
    row = dtype.itemsize
    for length in array.shape[1:]:
        row *= length
    rows = max(1, CHUNK_BYTES // max(1, row))
    for start in range(0, len(array), rows):
        yield array[start : start + rows].astype(dtype, copy=False).tobytes()
