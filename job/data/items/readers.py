"""Turns a cell into the item it names: a text, or the content of the file at a path.

A reader tells which item a cell names (`key`, without reading) and reads it (`read`, in any
thread). Neither raises for a bad cell: both return a `Problem`, and `named` adds its subject::

    reader = TextReader(max_length=256)
    key = reader.key("cat")
    values = reader.read(key)
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import Form
from job.data.items import columns
from job.data.quarantine import sample_of
from job.data.sources.files import DataFiles
from job.data.sources.sequence_file import Features, read_sequence
from job.data.sources.table import opened
from job.preprocessing.decode_image import ImageError, read_image
from job.storage.mirror import FileProblem
from job.types import Problem

Values = NDArray[np.generic]
# Decodes a file of the given size in bytes, > 0.
Decode = Callable[[BinaryIO, int], Values | Problem]

# A path is shown longer than a text: its end is what identifies it.
_PATH_CHARACTERS = 200
# A larger image file has more detail than any practical `data.size` can use.
MAX_IMAGE_BYTES = 64 << 20


class Reader(Protocol):
    """Reads the values of items."""

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        """Type of the values."""
        ...

    @property
    def is_slow(self) -> bool:
        """Whether reading waits for files, so that several should be read at once."""
        ...

    def key(self, cell: str) -> str | Problem:
        """The key that two cells share if they name the same item."""
        ...

    def fetch(self, keys: Iterable[str]) -> None:
        """Copies the files of items that will be read from a bucket, many at a time."""
        ...

    def read(self, key: str) -> Values | Problem:
        """The values of an item, (L, ...); may be called from several threads at once."""
        ...

    def named(self, problem: Problem, *, cell: str, column: str | None) -> Problem:
        """The problem with its subject before the detail; column None: unchanged."""
        ...


@dataclass(frozen=True)
class TextReader:
    """Texts, which are the cells themselves.

    Args:
        max_length: Largest number of characters.
    """

    max_length: int

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        return np.dtype(np.uint8)

    @property
    def is_slow(self) -> bool:
        return False

    def key(self, cell: str) -> str | Problem:
        return columns.text_of(cell, max_length=self.max_length)

    def fetch(self, keys: Iterable[str]) -> None:
        """Does nothing: a text is not in a file."""

    def read(self, key: str) -> Values | Problem:
        return np.frombuffer(key.encode(), np.uint8)

    def named(self, problem: Problem, *, cell: str, column: str | None) -> Problem:
        return Problem(problem.reason, f"{column} {problem.detail}") if column else problem


@dataclass(frozen=True)
class FileReader:
    """Items in separate files; cells hold paths below `data.root`.

    Args:
        files: The files below `data.root`.
        dtype: Type of the values.
        decode: Makes an item of an open file.
    """

    files: DataFiles
    dtype: "np.dtype[np.generic]"
    decode: Decode
    _located: dict[str, Path | FileProblem] = field(default_factory=dict, repr=False)

    @property
    def is_slow(self) -> bool:
        return True

    def key(self, cell: str) -> str | Problem:
        if not cell.strip():
            return Problem("empty", "is empty")
        # `./a` is `a`. No further: the meaning of `..` depends on links in the path before it.
        return cell if "://" in cell else str(PurePosixPath(cell))

    def fetch(self, keys: Iterable[str]) -> None:
        # A local file is looked up when it is read.
        wanted = [key for key in keys if key not in self._located]
        if self.files.is_remote and wanted:
            self._located.update(self.files.fetch(wanted, key="data.root"))

    def locate(self, key: str, path: Path) -> None:
        """Sets the file of an item that no path below the root leads to."""
        self._located[key] = path

    def read(self, key: str) -> Values | Problem:
        path = self._located.get(key)
        if path is None:
            path = self.files.fetch([key], key="data.root")[key]
        if isinstance(path, FileProblem):
            if path.reason == "outside":
                return Problem("outside", "leads out of data.root")
            return Problem("no_file", "there is no such file below data.root")
        with opened(path, where=f"data.root: {_shown(key)}") as file:
            size = os.fstat(file.fileno()).st_size
            return self.decode(file, size) if size else Problem("empty", "the file is empty")

    def named(self, problem: Problem, *, cell: str, column: str | None) -> Problem:
        if column is None:
            return problem
        return Problem(problem.reason, f"{column} {_shown(cell)}: {problem.detail}")


def reader_of(section: Data, *, files: DataFiles, form: Form, features: Features) -> Reader:
    """Makes the reader of the items of a section, unless they are in an `.npz`.

    Args:
        section: The data section.
        files: The files below `data.root`.
        form: Form of the values.
        features: The number of features of sequences.
    """
    if isinstance(section, TextDataConfig):
        return TextReader(section.max_length)
    if isinstance(section, ImageDataConfig):
        return FileReader(files, np.dtype(np.uint8), _image_decoder(section, form))
    return FileReader(files, np.dtype(np.float32), _sequence_decoder(section, features))


def _sequence_decoder(section: SequenceDataConfig, features: Features) -> Decode:
    """Decodes to float32 (T, F)."""

    def decode(file: BinaryIO, size: int) -> Values | Problem:
        return read_sequence(
            file, num_bytes=size, max_length=section.max_length, features=features
        )

    return decode


def _image_decoder(section: ImageDataConfig, form: Form) -> Decode:
    """Decodes to uint8 (S, S, 3), or checks the image and returns its file, uint8 (V,)."""

    def decode(file: BinaryIO, size: int) -> Values | Problem:
        if size > MAX_IMAGE_BYTES:
            return Problem("too_large", f"has {size:,} bytes, at most {MAX_IMAGE_BYTES:,}")
        data = file.read(size)
        try:
            pixels = read_image(
                data,
                size=section.size,
                resize=section.resize,
                max_pixels=section.max_pixels,
            )
        except ImageError as error:
            return Problem(error.reason, error.detail)
        return np.frombuffer(data, np.uint8) if form == "encoded" else pixels

    return decode


def _shown(path: str) -> str:
    return sample_of(path, most=_PATH_CHARACTERS)
