"""Turns a cell into the item it means: a text, or the contents of the file at a path.

A reader says which item a cell means (`identity`, at once) and gets its values (`read`, in
whatever thread). Neither raises for a bad cell: both return a `Problem`, which `named` gives
its subject::

    reader = TextReader(max_length=256)
    item = reader.identity("cat")
    values = reader.read(item)
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
# Given a file and its size in bytes, > 0: the values of its item, or what is wrong with it.
Decode = Callable[[BinaryIO, int], Values | Problem]

# A path is shown longer than a text: its end is what a person looks for.
_PATH_CHARACTERS = 200
# A picture packed to more than this is larger than any that `data.size` could do justice to.
MAX_PICTURE_BYTES = 64 << 20


class Reader(Protocol):
    """Gives the values of items."""

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        """Of the values."""
        ...

    @property
    def is_slow(self) -> bool:
        """Whether reading waits for files, so that several should be read at once."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether items are copied from a bucket before they are read."""
        ...

    def identity(self, cell: str) -> str | Problem:
        """What two cells share that mean the same item."""
        ...

    def fetch(self, identities: Iterable[str]) -> None:
        """Brings items near that will be read, many at a time where they are far away."""
        ...

    def read(self, identity: str) -> Values | Problem:
        """The values of an item, (L, ...); may be called from several threads at once."""
        ...

    def named(self, problem: Problem, *, cell: str, column: str | None) -> Problem:
        """A problem of an item with its subject before the detail; column None: it has one."""
        ...


@dataclass(frozen=True)
class TextReader:
    """Texts, which stand in the cells themselves.

    Args:
        max_length: Most characters.
    """

    max_length: int

    @property
    def dtype(self) -> "np.dtype[np.generic]":
        return np.dtype(np.uint8)

    @property
    def is_slow(self) -> bool:
        return False

    @property
    def is_remote(self) -> bool:
        return False

    def identity(self, cell: str) -> str | Problem:
        return columns.text_of(cell, max_length=self.max_length)

    def fetch(self, identities: Iterable[str]) -> None:
        """Nothing is far away."""

    def read(self, identity: str) -> Values | Problem:
        return np.frombuffer(identity.encode(), np.uint8)

    def named(self, problem: Problem, *, cell: str, column: str | None) -> Problem:
        return Problem(problem.reason, f"{column} {problem.detail}") if column else problem


@dataclass(frozen=True)
class FileReader:
    """Items that are files of their own; cells hold their paths below `data.root`.

    Args:
        files: The files below `data.root`.
        dtype: Of the values.
        decode: Makes an item of one.
    """

    files: DataFiles
    dtype: "np.dtype[np.generic]"
    decode: Decode
    _fetched: dict[str, Path | FileProblem] = field(default_factory=dict, repr=False)

    @property
    def is_slow(self) -> bool:
        return True

    @property
    def is_remote(self) -> bool:
        return self.files.is_remote

    def identity(self, cell: str) -> str | Problem:
        if not cell.strip():
            return Problem("empty", "is empty")
        # `./a` is `a`. Not more: what `..` means depends on the links of the path before it.
        return cell if "://" in cell else str(PurePosixPath(cell))

    def fetch(self, identities: Iterable[str]) -> None:
        # A file of this machine is looked for when it is read.
        wanted = [one for one in identities if one not in self._fetched]
        if self.files.is_remote and wanted:
            self._fetched.update(self.files.fetch(wanted, key="data.root"))

    def place(self, identity: str, path: Path) -> None:
        """Says where the file of an item is, where no path below the root leads there."""
        self._fetched[identity] = path

    def read(self, identity: str) -> Values | Problem:
        path = self._fetched.get(identity)
        if path is None:
            path = self.files.fetch([identity], key="data.root")[identity]
        if isinstance(path, FileProblem):
            if path.reason == "outside":
                return Problem("outside", "leads out of data.root")
            return Problem("no_file", "there is no such file below data.root")
        with opened(path, where=f"data.root: {_shown(identity)}") as file:
            size = os.fstat(file.fileno()).st_size
            return self.decode(file, size) if size else Problem("empty", "the file is empty")

    def named(self, problem: Problem, *, cell: str, column: str | None) -> Problem:
        if column is None:
            return problem
        return Problem(problem.reason, f"{column} {_shown(cell)}: {problem.detail}")


def reader_of(section: Data, *, files: DataFiles, form: Form, features: Features) -> Reader:
    """The reader of the items that a section describes, where they are not in an `.npz`.

    Args:
        section: The data section.
        files: The files below `data.root`.
        form: What the values become.
        features: Of sequences: how many features they have, as far as that is known yet.
    """
    if isinstance(section, TextDataConfig):
        return TextReader(section.max_length)
    if isinstance(section, ImageDataConfig):
        return FileReader(files, np.dtype(np.uint8), _picture_decoder(section, form))
    return FileReader(files, np.dtype(np.float32), _sequence_decoder(section, features))


def _sequence_decoder(section: SequenceDataConfig, features: Features) -> Decode:
    """Gives float32 (T, F)."""

    def decode(file: BinaryIO, size: int) -> Values | Problem:
        return read_sequence(
            file, num_bytes=size, max_length=section.max_length, features=features
        )

    return decode


def _picture_decoder(section: ImageDataConfig, form: Form) -> Decode:
    """Gives uint8 (S, S, 3), or uint8 (V,), the bytes of a picture that was decoded in vain."""

    def decode(file: BinaryIO, size: int) -> Values | Problem:
        if size > MAX_PICTURE_BYTES:
            return Problem("too_large", f"has {size:,} bytes, at most {MAX_PICTURE_BYTES:,}")
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
