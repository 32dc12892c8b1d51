"""Writes a data set as a packed set, to a folder or into a bucket, complete or not at all.

::

    write_pack(dataset, folder=Path("pairs.packed"), data=data, seed=0)

    store = open_place("gs://sets/pairs", access=access)
    upload_pack(Path("pairs.packed"), store=store, access=access, force=False)

Files are written to `<folder>.packing-XXXX/new` and forced to disk, then that folder is
renamed. A set that is replaced is renamed to `<folder>.packing-XXXX/replaced` first, so a
process killed between the two renames leaves both sets, and opening `<folder>` names them. In a
bucket `dataset.json` is deleted first and written last, so a process killed in between leaves a
prefix that cannot be opened and that the next call overwrites.
"""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.config.uris import has_prefix
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
from job.storage.filesystem import durable_file, lock_exclusively, make_folders, sync_folder
from job.storage.object_store import (
    ListedObject,
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    PreconditionFailedError,
)
from job.storage.os_errors import PACKS, job_errors
from job.storage.parallel import ParallelDownloader
from job.types import Json

OUT = "OUT"


def write_pack(
    dataset: Dataset,
    *,
    folder: Path,
    data: Mapping[str, Json],
    seed: int,
    force: bool = False,
    key: str = OUT,
) -> None:
    """Writes a data set to a folder, which is complete afterwards or unchanged.

    Args:
        dataset: What to write; its arrays may be memory-mapped.
        folder: Where to write; missing parents are created.
        data: The resolved data section that the data set was loaded with.
        seed: `run.seed` that the data set was loaded with.
        force: Whether to replace an existing packed set.
        key: What named the folder, for messages.

    Raises:
        ConfigError: See `require_free_folder`; or another process packs into it.
        DiskFullError: There is no space; nothing is left behind.
        PermissionDeniedError: The folder may not be written.
    """
    arrays = _arrays(dataset)
    num_bytes = sum(array.nbytes for array in arrays.values())
    with _replacing(folder, num_bytes=num_bytes, force=force, key=key) as new:
        statistics: Any = dataset.statistics
        record = PackRecord(
            schema=SCHEMA,
            form=dataset.items.form,
            counts=dataset.counts,
            statistics=None if statistics is None else statistics.to_json(),
            quarantine=dataset.quarantine,
            fingerprint=dataset.fingerprint,
            files={name: _write_array(new, name, array) for name, array in arrays.items()},
            settings=settings_that_matter(data, form=dataset.items.form, seed=seed),
        )
        with durable_file(new / RECORD_NAME) as file:
            file.write(dumps(record))


def require_free_folder(folder: Path, *, force: bool, key: str = OUT) -> list[str]:
    """Refuses a folder with files that must not be lost; its names, all of a packed set.

    Raises:
        ConfigError: It contains a packed set and `force` is off, or other files, or cannot be a
            folder.
        PermissionDeniedError: It may not be read.
    """
    with job_errors("write", folder, folder=folder, purpose=PACKS.at(key)):
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return []
    _require_free(names, place=f"'{folder}'", force=force, key=key)
    return names


def interrupted_work(folder: Path) -> list[Path]:
    """Folders that interrupted processes left next to `folder`, sorted."""
    return sorted(folder.parent.glob(f"{glob.escape(_work_prefix(folder))}*"))


def open_place(uri: str, *, access: ParallelDownloader) -> ObjectStore:
    """The store that a packed set is to be written to; sends no request.

    Raises:
        ConfigError: The URI names no bucket, or a bucket without a prefix.
    """
    if not has_prefix(uri):
        raise ConfigError(
            f"{OUT}: '{uri}' is a bucket. A packed data set needs a prefix, as in "
            f"'{uri.rstrip('/')}/pairs'."
        )
    return access.open(uri, key=OUT, purpose=PACKS)


def require_free_prefix(store: ObjectStore, *, force: bool) -> dict[str, ListedObject]:
    """Refuses a prefix with objects that must not be lost; its objects by name.

    Raises:
        ConfigError: It contains a packed set and `force` is off, or other objects.
        JobError: The bucket fails.
    """
    found = {one.name: one for one in store.list("")}
    _require_free(found, place=store.uri, force=force, key=OUT)
    return found


def upload_pack(
    folder: Path, *, store: ObjectStore, access: ParallelDownloader, force: bool
) -> None:
    """Writes a folder that `write_pack` wrote into a bucket.

    Args:
        folder: The folder.
        store: The prefix.
        access: When to stop.
        force: Whether to replace an existing packed set.

    Raises:
        ConfigError: See `require_free_prefix`; or another process packs into it.
        JobError: The bucket fails.
    """
    before = require_free_prefix(store, force=force)
    names = sorted(path.name for path in folder.iterdir() if path.name != RECORD_NAME)

    def send(name: str) -> ObjectStat:
        return store.write_file(name, folder / name, if_generation=None)

    try:
        # The record first: without it nobody opens what is there.
        for name in sorted(before.keys() - names, key=lambda name: name != RECORD_NAME):
            store.delete(name, if_generation=before[name].generation)
        for _ in access.in_parallel(send, names):
            pass
        store.write_file(RECORD_NAME, folder / RECORD_NAME, if_generation=0)
    except (ObjectMissingError, PreconditionFailedError) as error:
        raise ConfigError(
            f"{OUT}: another process is packing into {store.uri}. Pack again with --force once "
            "it has ended."
        ) from error


def _require_free(names: Collection[str], *, place: str, force: bool, key: str) -> None:
    others = sorted(set(names) - FILE_NAMES)
    if others:
        raise ConfigError(
            f"{key}: {place} contains files that are not part of a packed data set, such as "
            f"{others[0]!r}, and is not replaced. Give an empty or a new place."
        )
    if RECORD_NAME in names and not force:
        raise ConfigError(
            f"{key}: {place} already contains a packed data set. Give another place, or "
            "--force to replace it."
        )


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
        require_free_folder(folder, force=force, key=key)
        make_folders(folder.parent)
        left_behind = interrupted_work(folder)
        work = Path(tempfile.mkdtemp(prefix=_work_prefix(folder), dir=folder.parent))
        new, replaced = work / "new", work / "replaced"
        try:
            with _locked(work, key=key):
                new.mkdir()  # mkdtemp makes a folder that only its owner may read
                yield new
                sync_folder(new)
                # Again: another process may have packed in the meantime.
                if require_free_folder(folder, force=force, key=key):
                    _rename(folder, replaced, key=key)
                _rename(new, folder, key=key)
                sync_folder(folder.parent)
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


def _work_prefix(folder: Path) -> str:
    return f"{folder.name}.packing-"


@contextmanager
def _locked(work: Path, *, key: str) -> Iterator[bool]:
    """Locks a folder while its process lives; False if another process has it."""
    fd = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield lock_exclusively(fd, path=work, blocking=False, purpose=PACKS.at(key))
    finally:
        os.close(fd)


def _rename(old: Path, new: Path, *, key: str) -> None:
    try:
        old.rename(new)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise ConfigError(
                f"{key}: '{new}' is the mount point of a volume and cannot be replaced. Give a "
                "folder below it."
            ) from error
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ConfigError(
                f"{key}: another process packed into '{new}' at the same time. Give another "
                "place, or --force to replace it."
            ) from error
        raise


def _arrays(dataset: Dataset) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any] | None] = {
        "values": dataset.items.values.values,
        "offsets": dataset.items.values.offsets,
        "classes": dataset.items.item_class,
        "training_items": dataset.training_items,
    }
    if (classes := dataset.items.class_names) is not None:
        arrays |= {"class_names": classes.values, "class_offsets": classes.offsets}
    for split, pairs in dataset.pairs.items():
        arrays |= {f"{split}_{side}": getattr(pairs, side) for side in SIDES}
    if (groups := dataset.pairs["test"].groups) is not None:
        arrays |= {
            "test_groups": groups.number,
            "test_group_names": groups.names.values,
            "test_group_offsets": groups.names.offsets,
        }
    return {name: array for name, array in arrays.items() if array is not None}


def _write_array(folder: Path, name: str, array: NDArray[Any]) -> FileRecord:
    with durable_file(folder / f"{name}.npy") as file:
        np.save(file, array, allow_pickle=False)
    return FileRecord(array.dtype.str, array.shape, file.size, file.crc32c)
