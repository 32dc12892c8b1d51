"""Opens a packed data set from a folder or, through the mirror, from a bucket.

The arrays are memory-mapped, so a set may be larger than memory, and the time to open it is
bounded for any number of pairs::

    dataset = open_packed(section, folder=folder, seed=0, access=access)

What is verified: `dataset.json` by its own checksum; length, type and shape of every file; the
checksum of files of at most `CHECKED_BYTES`; and, in a bucket, the checksum of every object.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from job.config.data import DataConfig
from job.config.sampling import Sampling
from job.config.uris import is_in_bucket
from job.data.dataset import Dataset, Form, Groups, ItemTable, PairTable, Statistics
from job.data.packed.manifest import (
    RECORD_NAME,
    REMEDY,
    SIDES,
    FileRecord,
    PackRecord,
    differences,
    parse,
    settings_that_matter,
)
from job.data.packed.pack import interrupted_work
from job.data.sources.paths import local_path
from job.errors import ConfigError, DataError
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import vocabulary_from_json
from job.storage.mirror import FileProblem, open_mirror
from job.storage.os_errors import PACKS, job_errors
from job.storage.parallel import ParallelDownloader
from job.types import SPLITS, Json, Split

KEY = "data.packed"
# A bound, so that opening does not take longer for more data.
CHECKED_BYTES = 16 << 20

# Type and trailing shape of an item's values; None is any length.
_VALUES: Mapping[Form, tuple[str, tuple[int | None, ...]]] = {
    "text": ("|u1", ()),
    "sequence": ("<f4", (None,)),
    "encoded": ("|u1", ()),
    "decoded": ("|u1", (None, 3)),
}
_SAMPLING: TypeAdapter[Sampling] = TypeAdapter(Sampling)


def open_packed(
    section: DataConfig, *, folder: Path, seed: int, access: ParallelDownloader | None = None
) -> Dataset:
    """Opens the set that `data.packed` names.

    Args:
        section: The data section, with `packed`.
        folder: Absolute folder of the configuration file.
        seed: `run.seed`.
        access: How a bucket is accessed; None uses the defaults.

    Raises:
        ConfigError: It was made with other settings, or its URI is not supported.
        DataError: It is missing, incomplete, damaged, or of another version.
        PermissionDeniedError: It may not be read.
        JobError: A bucket or the mirror fails, see `Mirror.fetch`.
    """
    packed = section.packed
    if packed is None:
        raise ValueError("data.packed is null")
    data = section.model_dump(mode="json")
    if is_in_bucket(packed):
        access = access or ParallelDownloader()
        local = _mirrored(packed, data=data, seed=seed, mirror=section.mirror, access=access)
    else:
        local = folder / local_path(packed, key=KEY)
    return open_pack(local, data=data, seed=seed)


def open_pack(folder: Path, *, data: Mapping[str, Json], seed: int) -> Dataset:
    """Opens a folder that `write_pack` wrote.

    Args:
        folder: The folder.
        data: The resolved data section.
        seed: `run.seed`.

    Raises:
        ConfigError: It was made with other settings.
        DataError: It is missing, incomplete, damaged, or of another version.
        PermissionDeniedError: It may not be read.
    """
    record = _read_record(folder)
    _require_same_settings(record, data=data, seed=seed, place=str(folder))
    arrays = {
        name: _open_array(folder / f"{name}.npy", file) for name, file in record.files.items()
    }
    if _read_record(folder) != record:
        raise DataError(
            f"{KEY}: '{folder}' was replaced while it was opened. Start again once packing has "
            "ended."
        )
    try:
        return _dataset(record, arrays, sampling=data.get("sampling"))
    except KeyError as error:
        raise DataError(
            f"{KEY}: {RECORD_NAME} lists no {error.args[0]}.npy ({folder}). {REMEDY}"
        ) from error
    except ValueError as error:
        raise DataError(
            f"{KEY}: the files of {folder} do not fit together ({error}). {REMEDY}"
        ) from error


def _mirrored(
    uri: str,
    *,
    data: Mapping[str, Json],
    seed: int,
    mirror: str | None,
    access: ParallelDownloader,
) -> Path:
    """Copies a set from a bucket; the folder of the copy.

    A set that cannot be used is refused before its arrays are copied.
    """
    copies = open_mirror(uri, folder=mirror, access=access, key=KEY)
    if isinstance(copies.fetch([RECORD_NAME])[RECORD_NAME], FileProblem):
        raise DataError(
            f"{KEY}: '{uri}' contains no {RECORD_NAME}, which is written last: it is not a "
            "packed data set, or an incomplete one. Run `siamese-job data pack CONFIG "
            f"'{uri}'`, or copy it again."
        )
    record = _read_record(copies.folder)
    _require_same_settings(record, data=data, seed=seed, place=uri)
    names = {f"{name}.npy": file for name, file in record.files.items()}
    for seen in access.in_parallel(copies.store.stat, names):
        file = None if seen is None else names[seen.name]
        if seen is not None and file is not None:
            _require_intact(seen.name, file, size=seen.size, crc32c=seen.crc32c, place=uri)
    copies.fetch(names)
    return copies.folder


def _read_record(folder: Path) -> PackRecord:
    path = folder / RECORD_NAME
    with job_errors("read", path, folder=folder, purpose=PACKS.at(KEY)):
        if not path.is_file():  # reading a pipe would block
            raise DataError(_missing(folder))
        content = path.read_bytes()
    return parse(content, place=f"{KEY}: '{path}'")


def _require_same_settings(
    record: PackRecord, *, data: Mapping[str, Json], seed: int, place: str
) -> None:
    now = settings_that_matter(data, form=record.form, seed=seed)
    lines = differences(record.settings, now)
    if lines:
        raise ConfigError(
            f"{KEY}: '{place}' was packed with other settings:\n  "
            + "\n  ".join(lines)
            + "\nPack it again with `siamese-job data pack --force`, undo the change, or set "
            f"{KEY} to null to read the files themselves."
        )


def _missing(folder: Path) -> str:
    if folder.is_dir():
        return (
            f"{KEY}: '{folder}' contains no {RECORD_NAME}, which is written last: it is not a "
            f"packed data set, or an incomplete one. {REMEDY}"
        )
    left_behind = ", ".join(f"'{work}'" for work in interrupted_work(folder))
    hint = (
        f" An interrupted `siamese-job data pack` left {left_behind}: a folder in there that "
        f"contains {RECORD_NAME} is a whole set and may be renamed."
    )
    return (
        f"{KEY}: there is no folder '{folder}'.{hint if left_behind else ''} Run `siamese-job "
        f"data pack CONFIG '{folder}'`, or set {KEY} to null to read the files themselves."
    )


def _open_array(path: Path, record: FileRecord) -> NDArray[Any]:
    """The array of a file, read-only and memory-mapped."""
    place = str(path.parent)
    with job_errors("read", path, folder=path.parent, purpose=PACKS.at(KEY)):
        if not path.is_file():
            raise DataError(f"{KEY}: there is no file {path.name} in {place}. {REMEDY}")
        size, crc32c = path.stat().st_size, record.crc32c
        if size <= CHECKED_BYTES:
            crc32c = google_crc32c.value(path.read_bytes())
        _require_intact(path.name, record, size=size, crc32c=crc32c, place=place)
        try:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise DataError(
                f"{KEY}: {path.name} is not an array ({error}) in {place}. {REMEDY}"
            ) from error
    if (array.dtype.str, array.shape) != (record.dtype, record.shape):
        raise DataError(
            f"{KEY}: {path.name} is {array.dtype.str} {array.shape} and was written as "
            f"{record.dtype} {record.shape} ({place}). {REMEDY}"
        )
    return array


def _require_intact(
    name: str, record: FileRecord, *, size: int, crc32c: int, place: str
) -> None:
    if size != record.bytes:
        raise DataError(
            f"{KEY}: {name} has {size} bytes and was written with {record.bytes}: it was "
            f"copied or written in part ({place}). {REMEDY}"
        )
    if crc32c != record.crc32c:
        raise DataError(
            f"{KEY}: {name} has crc32c {crc32c:08x} and was written with "
            f"{record.crc32c:08x}: it is damaged ({place}). {REMEDY}"
        )


def _dataset(
    record: PackRecord, arrays: Mapping[str, NDArray[Any]], *, sampling: Json
) -> Dataset:
    """The data set of mapped arrays.

    Raises:
        ValueError: Their shapes do not fit each other or the form.
    """
    values = arrays["values"]
    dtype, rest = _VALUES[record.form]
    fits = len(values.shape) == 1 + len(rest) and all(
        wanted in (None, length) for wanted, length in zip(rest, values.shape[1:], strict=True)
    )
    if values.dtype.str != dtype or not fits:
        raise ValueError(f"values are {values.dtype} {values.shape}, not {record.form}")
    classes, class_names = arrays.get("classes"), None
    if classes is not None and "class_names" in arrays:
        class_names = RaggedArray(arrays["class_names"], arrays["class_offsets"])
        _require_names("classes", classes, names=class_names)
    items = ItemTable(record.form, RaggedArray(values, arrays["offsets"]), classes, class_names)
    pairs = {split: _pairs(arrays, split) for split in SPLITS if f"{split}_left" in arrays}
    training_items = arrays.get("training_items")
    if (training_items is None) != ("train" in pairs) or set(record.counts) != set(SPLITS):
        raise ValueError("training needs either pairs or items to draw them from")
    counts = dict(record.counts)
    if training_items is not None:
        drawn = _SAMPLING.validate_python(sampling or {"kind": "pairs"})
        counts["train"] = counts["train"].drawn_by(drawn)
    statistics = _statistics(record.statistics)
    return Dataset(
        items, pairs, training_items, statistics, counts, record.quarantine, record.fingerprint
    )


def _pairs(arrays: Mapping[str, NDArray[Any]], split: Split) -> PairTable:
    """The pairs of a split, with their groups if they have some."""
    left, right, label = (arrays[f"{split}_{side}"] for side in SIDES)
    if split != "test" or "test_groups" not in arrays:
        return PairTable(left, right, label)
    names = RaggedArray(arrays["test_group_names"], arrays["test_group_offsets"])
    groups = Groups(arrays["test_groups"], names)
    _require_names("test_groups", groups.number, names=names)
    return PairTable(left, right, label, groups)


def _require_names(key: str, number: NDArray[Any], *, names: RaggedArray) -> None:
    """Refuses a class or a group without a name, in a file whose content is verified."""
    largest = number.max(initial=-1) if number.nbytes <= CHECKED_BYTES else -1
    if largest >= len(names):
        raise ValueError(f"{key} has the number {largest}, and there are {len(names)} names")


def _statistics(record: Mapping[str, Any] | None) -> Statistics:
    if record is None:
        return None
    if record.get("kind") == "moments":
        return FeatureStats.from_json(record)
    return vocabulary_from_json(record)
