"""Writes a data set as a folder of `.npy` files, complete or not at all.

::

    write_pack(dataset, folder=Path("pairs.packed"), data=data, seed=0)

Files are written to `<folder>.packing-XXXX/new` and forced to disk, then that folder is
renamed. A set that is replaced is renamed to `<folder>.packing-XXXX/replaced` first, so a
process killed between the two renames leaves both sets, and opening `<folder>` names them.
"""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from job.data.dataset import Dataset
from job.data.packed.manifest import (
    FILE_NAMES,
    RECORD_NAME,
    SCHEMA,
    SIDES,
    FileRecord,
    PackRecord,
    dumps,
    settings_that_matter,
)
from job.errors import ConfigError
from job.storage.filesystem import lock_exclusively, make_folders, sync_folder
from job.storage.os_errors import PACKS, job_errors
from job.types import Json

_NEW, _REPLACED = "new", "replaced"


@dataclass(frozen=True)
class PackSummary:
    """What was written.

    Attributes:
        num_files: Files in the folder.
        num_bytes: Their total length.
    """

    num_files: int
    num_bytes: int


def write_pack(
    dataset: Dataset,
    *,
    folder: Path,
    data: Mapping[str, Json],
    seed: int,
    force: bool = False,
    key: str = "OUT",
) -> PackSummary:
    """Writes a data set to a folder, which is complete afterwards or unchanged.

    Args:
        dataset: What to write; its arrays may be memory-mapped.
        folder: Where to write; missing parents are created.
        data: The resolved data section that the data set was loaded with.
        seed: `run.seed` that the data set was loaded with.
        force: Whether to replace an existing packed set.
        key: What named the folder, for messages.

    Raises:
        ConfigError: The folder contains a packed set and `force` is off, or other files.
        DiskFullError: There is no space; nothing is left behind.
        PermissionDeniedError: The folder may not be written.
    """
    arrays = _arrays(dataset)
    num_bytes = sum(array.nbytes for array in arrays.values())
    with _replacing(folder, num_bytes=num_bytes, force=force, key=key) as new:
        files = {
            name: _write_array(new / f"{name}.npy", array) for name, array in arrays.items()
        }
        statistics: Any = dataset.statistics
        record = PackRecord(
            schema=SCHEMA,
            form=dataset.items.form,
            counts=dataset.counts,
            statistics=None if statistics is None else statistics.to_json(),
            quarantine=dataset.quarantine,
            fingerprint=dataset.fingerprint,
            files=files,
            settings=settings_that_matter(data, form=dataset.items.form, seed=seed),
        )
        content = dumps(record)
        with _new_file(new / RECORD_NAME) as file:
            file.write(content)
    return PackSummary(len(files) + 1, sum(one.bytes for one in files.values()) + len(content))


def require_free(folder: Path, *, force: bool, key: str) -> None:
    """Refuses a folder with files that must not be lost.

    Raises:
        ConfigError: It contains a packed set and `force` is off, or other files, or cannot be a
            folder.
        PermissionDeniedError: It may not be read.
    """
    with job_errors("write", folder, folder=folder, purpose=PACKS.at(key)):
        try:
            mode = folder.stat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            raise ConfigError(f"{key}: '{folder}' is a file. Give the path of a new folder.")
        others = sorted(set(os.listdir(folder)) - FILE_NAMES)
        if others:
            raise ConfigError(
                f"{key}: '{folder}' contains files that are not part of a packed data set, "
                f"such as {others[0]!r}, and is not replaced. Give an empty or a new folder."
            )
        if (folder / RECORD_NAME).exists() and not force:
            raise ConfigError(
                f"{key}: '{folder}' already contains a packed data set. Give another folder, "
                "or --force to replace it."
            )


def interrupted_work(folder: Path) -> list[Path]:
    """Folders that interrupted processes left next to `folder`, sorted."""
    prefix = _work_prefix(folder)
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(one for one in folder.parent.iterdir() if one.name.startswith(prefix))
    return []


def _work_prefix(folder: Path) -> str:
    return f"{folder.name}.packing-"


@contextmanager
def _replacing(folder: Path, *, num_bytes: int, force: bool, key: str) -> Iterator[Path]:
    """Yields an empty folder that becomes `folder` when the block succeeds."""
    # Not `resolve`, which raises a RuntimeError for a loop of links.
    folder = Path(os.path.realpath(folder))
    if not folder.name:
        raise ConfigError(f"{key}: '{folder}' cannot be replaced. Give the path of a folder.")
    with job_errors(
        "write", folder, folder=folder.parent, num_bytes=num_bytes, purpose=PACKS.at(key)
    ):
        require_free(folder, force=force, key=key)
        make_folders(folder.parent)
        left_behind = interrupted_work(folder)
        work = Path(tempfile.mkdtemp(prefix=_work_prefix(folder), dir=folder.parent))
        new, replaced = work / _NEW, work / _REPLACED
        try:
            with _locked(work, key=key):
                new.mkdir()  # mkdtemp makes a folder that only its owner may read
                yield new
                sync_folder(new)
                _put_in_place(new, folder, replaced=replaced, key=key)
        except (Exception, KeyboardInterrupt):
            with suppress(OSError):
                if replaced.exists() and not folder.exists():
                    replaced.rename(folder)
                shutil.rmtree(work)
            raise
        for path in (work, *left_behind):
            with suppress(OSError), _locked(path, key=key) as is_ours:
                if is_ours:
                    shutil.rmtree(path)


@contextmanager
def _locked(work: Path, *, key: str) -> Iterator[bool]:
    """Locks a folder while its process lives; False if another process has it."""
    fd = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield lock_exclusively(fd, path=work, blocking=False, purpose=PACKS.at(key))
    finally:
        os.close(fd)


def _put_in_place(new: Path, folder: Path, *, replaced: Path, key: str) -> None:
    try:
        if folder.exists() and os.listdir(folder):
            folder.rename(replaced)
        new.rename(folder)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise ConfigError(
                f"{key}: '{folder}' is the mount point of a volume and cannot be replaced. "
                "Give a folder below it."
            ) from error
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ConfigError(
                f"{key}: another process packed into '{folder}' at the same time. Give another "
                "folder, or --force to replace it."
            ) from error
        raise
    sync_folder(folder.parent)


def _arrays(dataset: Dataset) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "values": dataset.items.values.values,
        "offsets": dataset.items.values.offsets,
    }
    if dataset.items.item_class is not None:
        arrays["classes"] = dataset.items.item_class
    if dataset.training_items is not None:
        arrays["training_items"] = dataset.training_items
    for split, pairs in dataset.pairs.items():
        for side in SIDES:
            arrays[f"{split}_{side}"] = getattr(pairs, side)
    return arrays


class _Checksummed:
    """A file that counts what is written.

    NumPy writes to any other object than a file of Python's in chunks, and an error keeps its
    errno, which `ndarray.tofile` drops.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = self.crc32c = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.crc32c = google_crc32c.extend(self.crc32c, bytes(data))
        self.size += len(data)
        return len(data)


def _write_array(path: Path, array: NDArray[Any]) -> FileRecord:
    with _new_file(path) as file:
        checksummed = _Checksummed(file)
        np.save(checksummed, array, allow_pickle=False)
    return FileRecord(array.dtype.str, array.shape, checksummed.size, checksummed.crc32c)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that is forced to disk when the block succeeds."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
