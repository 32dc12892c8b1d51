"""Reads the arrays of an `.npz` file a block at a time, never a pickle.

Every size that the archive declares is held against the file before anything is unpacked, so a
few bytes cannot ask for much memory::

    with open_npz(path, where="data.train: 'watch.npz'") as arrays:
        classes = list(arrays.names("class", key="item_class"))
"""

import math
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from job.config.suggest import did_you_mean
from job.data.sources.npy import ArrayError, Header, read_array, read_blocks, read_header
from job.data.sources.table import FREE_BYTES, MAX_EXPANSION, opened
from job.errors import DataError

_BLOCK_BYTES = 1 << 20
_ARRAYS_SHOWN = 20

# What zipfile raises on bytes that are no sound archive; encryption and unknown methods are
# RuntimeError, a name that is not UTF-8 is ValueError.
_MOST_CHARACTERS = 1 << 16  # as many as `data.max_length` may allow
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class Npz:
    """The arrays of one open file.

    Args:
        archive: The file.
        num_bytes: Its size.
        where: Key and file, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, *, num_bytes: int, where: str) -> None:
        self.where = where
        self._archive = archive
        self._num_bytes = num_bytes
        self._members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def header(self, name: str, *, key: str | None = None) -> Header:
        """What an array is.

        Args:
            name: Of the array.
            key: The key below `data.columns` that names it; None: it has this one name.

        Raises:
            DataError: There is no such array, or it cannot be read.
        """
        self.require(name, key=key)
        with self._member(name) as (_, header):
            return header

    def require(self, name: str, *, key: str | None) -> None:
        """Refuses a file without an array of that name; see `header`."""
        if name in self._members:
            return
        which = f" (data.columns.{key})" if key else ""
        fix = f"Name the array that holds it: `data.columns.{key}: NAME`." if key else "Add it."
        has = ", ".join(map(repr, list(self._members)[:_ARRAYS_SHOWN])) or "none"
        raise DataError(
            f"{self.where} has no array {name!r}{which}."
            f"{did_you_mean(name, self._members)} Arrays of the file: {has}. {fix}"
        )

    def array(self, name: str, *, dtype: "np.dtype[np.generic]") -> NDArray[np.generic]:
        """A whole array, its values converted while they are read."""
        with self._member(name) as (stream, header):
            return read_array(stream, header, dtype=dtype)

    def blocks(self, name: str, *, rows: int | None = None) -> Iterator[NDArray[np.generic]]:
        """The rows of an array, some at a time.

        Args:
            name: Of the array.
            rows: How many; None: about a megabyte.

        Yields:
            Arrays of the array's type that together are the array.
        """
        with self._member(name) as (stream, header):
            if header.by_column:  # whose first row ends where the file does
                yield read_array(stream, header, dtype=header.dtype)
                return
            row_shape = header.shape[1:]
            row_values = math.prod(row_shape)
            if rows is None:
                rows = max(1, _BLOCK_BYTES // max(1, row_values * header.dtype.itemsize))
            for block in read_blocks(stream, header, values=max(1, rows * row_values)):
                yield block.reshape(-1, *row_shape)

    def num_rows(self, name: str, *, key: str) -> int:
        """How many entries an array of texts or whole numbers has; see `names`."""
        header = self.header(name, key=key)
        if header.dtype.kind == "U" and header.dtype.itemsize > 4 * _MOST_CHARACTERS:
            raise self.error(
                name,
                f"makes room for {header.dtype.itemsize // 4:,} characters in each row, and at "
                f"most {_MOST_CHARACTERS:,} are read",
                "Leave the longest texts out, and save it again.",
            )
        if len(header.shape) != 1 or header.dtype.kind not in "Uiu":
            raise self.error(
                name,
                f"must hold one text or whole number a row (NumPy's type U or int), got "
                f"{header.dtype} {header.shape}",
                "Save it so, for example with np.array(LIST_OF_TEXTS).",
            )
        return header.shape[0]

    def names(self, name: str, *, key: str, num_rows: int) -> Iterator[str | int]:
        """The entries of a 1-D array of texts or whole numbers.

        Args:
            name: Of the array.
            key: The key below `data.columns` that names it.
            num_rows: How many there have to be.
        """
        found = self.num_rows(name, key=key)
        if found != num_rows:
            raise self.error(
                name,
                f"has {found:,} rows, where the file holds {num_rows:,} items",
                "Every array needs one entry an item: save them again.",
            )
        for block in self.blocks(name):
            # NumPy would give up on such a number with an error that names nothing.
            if block.dtype.kind == "U" and (_code_points(block) > sys.maxunicode).any():
                raise self.error(name, "holds what is no text", "Save the array again.")
            yield from block.tolist()

    def error(self, name: str, what: str, advice: str) -> DataError:
        """The error for an array that is not what it has to be."""
        return DataError(f"{self.where}: the array {name!r} {what}. {advice}")

    @contextmanager
    def _member(self, name: str) -> Iterator[tuple[IO[bytes], Header]]:
        info = self._members[name]
        with self._damage_named(name):
            self._refuse_bomb(name, info)
            with self._archive.open(info) as stream:
                header = read_header(stream, num_bytes=info.file_size)
                yield stream, header

    @contextmanager
    def _damage_named(self, name: str) -> Iterator[None]:
        try:
            yield
        except ArrayError as error:
            raise self.error(
                name, error.detail, "Save it again with np.savez, as numbers or texts."
            ) from error
        except _DAMAGE as error:
            raise self.error(
                name, f"cannot be unpacked ({error})", "Copy or save the file again."
            ) from error

    def _refuse_bomb(self, name: str, info: zipfile.ZipInfo) -> None:
        packed, unpacked = info.compress_size, info.file_size
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Python unpacks these in steps of any size.
            raise self.error(
                name,
                "is packed in a way that NumPy does not use",
                "Save the file with np.savez or np.savez_compressed.",
            )
        if packed > self._num_bytes:
            raise zipfile.BadZipFile(f"{packed:,} bytes in a file of {self._num_bytes:,}")
        if unpacked > max(FREE_BYTES, MAX_EXPANSION * packed):
            raise self.error(
                name,
                f"expands from {packed:,} to {unpacked:,} bytes, more than {MAX_EXPANSION} "
                "times, as no data does",
                "Save the file with np.savez, unpacked, if that is what it should hold.",
            )


def _code_points(texts: NDArray[np.generic]) -> NDArray[np.uint32]:
    return texts.view(np.dtype(np.uint32).newbyteorder(texts.dtype.byteorder))


@contextmanager
def open_npz(path: Path, *, where: str) -> Iterator[Npz]:
    """The arrays of a file.

    Args:
        path: The file, links resolved.
        where: Key and file, for messages.

    Raises:
        DataError: It is no `.npz`, or it is damaged; its arrays are checked as they are read.
        PermissionDeniedError: It may not be read.
    """
    with opened(path, where=where) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise DataError(
                f"{where} is no intact .npz file ({error}). Copy it again, or make it with "
                "np.savez."
            ) from error
        with archive:
            yield Npz(archive, num_bytes=os.fstat(file.fileno()).st_size, where=where)
