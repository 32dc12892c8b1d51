"""Reads the arrays of an `.npz` file, each whole, never a pickle.

The sizes that the archive declares are compared with the size of the file first, so that a
small file cannot ask for much memory::

    with open_npz(path, where="data.train: 'watch.npz'") as arrays:
        classes = arrays.names("class", key="item_class")
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from job.config.suggest import did_you_mean
from job.data.sources.npy import ArrayError, Header, read_array, read_header
from job.data.sources.table import FREE_BYTES, MAX_EXPANSION, opened
from job.errors import DataError

_ARRAYS_SHOWN = 20

# What zipfile raises for a damaged archive. Encryption and unknown methods are RuntimeError, a
# name that is not UTF-8 is ValueError.
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
        where: Key and file, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, *, where: str) -> None:
        self.where = where
        self._archive = archive
        self._members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }

    def has(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return name in self._members

    def header(self, name: str, *, key: str | None = None) -> Header:
        """Reads the shape and type of an array.

        Args:
            name: Name of the array.
            key: Key below `data.columns` that names the array; None: the name is fixed.

        Raises:
            DataError: There is no such array, or it cannot be read.
        """
        with self._member(name, key=key) as (_, header):
            return header

    def array(self, name: str, *, key: str | None = None) -> NDArray[np.generic]:
        """Reads an array; see `header`."""
        with self._member(name, key=key) as (stream, _):
            return read_array(stream)

    def names(self, name: str, *, key: str, num_rows: int | None = None) -> list[str | int]:
        """Reads a 1-D array of strings or integers.

        Args:
            name: Name of the array.
            key: Key below `data.columns` that names it.
            num_rows: Required length; None: any.

        Raises:
            DataError: There is no such array, or it has another type or length.
        """
        header = self.header(name, key=key)
        if len(header.shape) != 1 or header.dtype.kind not in "Uiu":
            raise self.error(
                name,
                "must hold one string or integer a row (a NumPy dtype of kind U or int), got "
                f"{header.dtype} {header.shape}",
                "Save it as such, for example with np.array(LIST_OF_STRINGS).",
            )
        if num_rows not in (None, header.shape[0]):
            raise self.error(
                name,
                f"has {header.shape[0]:,} rows, where the file holds {num_rows:,} items",
                "Every array needs one entry an item: save them again.",
            )
        try:
            entries: list[str | int] = self.array(name, key=key).tolist()
        except (ValueError, SystemError) as error:  # a code point beyond Unicode
            raise self.error(
                name, f"holds invalid text ({error})", "Save the array again."
            ) from error
        return entries

    def error(self, name: str, what: str, advice: str) -> DataError:
        """The error for an array that does not meet a requirement."""
        return DataError(f"{self.where}: the array {name!r} {what}. {advice}")

    @contextmanager
    def _member(self, name: str, *, key: str | None) -> Iterator[tuple[IO[bytes], Header]]:
        self._require(name, key=key)
        info = self._members[name]
        try:
            with self._archive.open(info) as stream:
                yield stream, read_header(stream, num_bytes=info.file_size)
        except ArrayError as error:
            raise self.error(
                name, error.detail, "Save it again with np.savez, as numbers or strings."
            ) from error
        except _DAMAGE as error:
            raise self.error(
                name, f"cannot be unpacked ({error})", "Copy or save the file again."
            ) from error

    def _require(self, name: str, *, key: str | None) -> None:
        if name in self._members:
            return
        which = f" (data.columns.{key})" if key else ""
        fix = f"Name the array that holds it: `data.columns.{key}: NAME`." if key else "Add it."
        has = ", ".join(map(repr, list(self._members)[:_ARRAYS_SHOWN])) or "none"
        raise DataError(
            f"{self.where} has no array {name!r}{which}."
            f"{did_you_mean(name, self._members)} Arrays of the file: {has}. {fix}"
        )


@contextmanager
def open_npz(path: Path, *, where: str) -> Iterator[Npz]:
    """Opens a file; each array is checked when it is read.

    Args:
        path: The file, links resolved.
        where: Key and file, for messages.

    Raises:
        DataError: The file is not an intact `.npz`, or expands far beyond its size.
        PermissionDeniedError: The file may not be read.
    """
    with opened(path, where=where) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise DataError(
                f"{where} is not an intact .npz file ({error}). Copy it again, or save it with "
                "np.savez."
            ) from error
        with archive:
            _refuse_bomb(archive, packed=os.fstat(file.fileno()).st_size, where=where)
            yield Npz(archive, where=where)


def _refuse_bomb(archive: zipfile.ZipFile, *, packed: int, where: str) -> None:
    # zipfile reads at most the declared size of a member, so the sum bounds the unpacked size.
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > max(FREE_BYTES, MAX_EXPANSION * packed):
        raise DataError(
            f"{where} expands from {packed:,} to {unpacked:,} bytes, more than {MAX_EXPANSION} "
            "times its size. Save it with np.savez, which does not compress, if it really "
            "holds that much."
        )
