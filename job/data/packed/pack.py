"""A data set as a folder of arrays that are opened instead of read.

`write_pack` puts one there whole or not at all; `open_pack` maps it into memory, however large
it is, and takes it only where reading the files it was made from would give the same::

    write_pack(dataset, folder=Path("pairs.packed"), data=data, seed=0)
    dataset = open_pack(Path("pairs.packed"), data=data, seed=0, key="data.packed")

`record` says what the folder holds, `files` how its arrays are written and checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import TypeAdapter

from job.config.sampling import Sampling
from job.data.dataset import Dataset, Form, ItemTable, PairTable, Statistics
from job.data.packed.arrays import open_array, reading, write_array
from job.data.packed.manifest import (
    LIMIT_BYTES,
    RECORD_NAME,
    REMEDY,
    SCHEMA,
    SIDES,
    FileRecord,
    PackRecord,
    dumps,
    parse,
)
from job.data.packed.publish import PARTIAL_SUFFIX, replacing, write_last
from job.data.packed.source_settings import differences
from job.errors import ConfigError, DataError
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import vocabulary_from_json
from job.types import SPLITS, Json

# Of an item's values: type, and shape but for the first axis; None is any length.
_VALUES: Mapping[Form, tuple[str, tuple[int | None, ...]]] = {
    "text": ("|u1", ()),
    "sequence": ("<f4", (None,)),
    "encoded": ("|u1", ()),
    "decoded": ("|u1", (None, 3)),
}
_SAMPLING: TypeAdapter[Sampling] = TypeAdapter(Sampling)


@dataclass(frozen=True)
class PackSummary:
    """What was written.

    Attributes:
        num_files: Files in the folder.
        num_bytes: Their length together.
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
    """Writes a data set to a folder, which is there whole afterwards or as it was before.

    Args:
        dataset: What to write; its arrays may be memory-mapped.
        folder: Where to; its parents are made.
        data: The resolved data section it was loaded by, as `config.binding.as_record` gives
            it.
        seed: `run.seed` it was loaded with.
        force: Whether a packed set that is there already is replaced.
        key: What named the folder, for messages.

    Raises:
        ConfigError: The folder holds a packed set and `force` is off, or holds something else.
        DataError: The vocabulary is too large.
        DiskFullError: There is no room; nothing is left behind.
        PermissionDeniedError: The folder may not be written, or is being packed into.
    """
    with replacing(folder, num_bytes=_num_bytes(dataset), force=force, key=key) as partial:
        files = {
            name: write_array(partial / f"{name}.npy", array)
            for name, array in _arrays(dataset).items()
        }
        record = dumps(_record(dataset, files, data=data, seed=seed))
        # Last, and in the place it is looked for once all others are there.
        write_last(partial / RECORD_NAME, record)
    return PackSummary(len(files) + 1, sum(one.bytes for one in files.values()) + len(record))


def open_pack(folder: Path, *, data: Mapping[str, Json], seed: int, key: str) -> Dataset:
    """Opens a folder that `write_pack` wrote; its arrays are mapped, not read into memory.

    Every file is read once, a little at a time, to compare its checksum.

    Args:
        folder: The folder.
        data: The resolved data section now, as `config.binding.as_record` gives it.
        seed: `run.seed` now.
        key: Dotted key under which it was given, for messages.

    Raises:
        ConfigError: It was made from other settings.
        DataError: It is missing, half there, damaged, or of another version.
        PermissionDeniedError: It may not be read.
    """
    record = read_record(folder, key=key)
    require_made_from(record, data=data, seed=seed, place=f"{key}: '{folder}'")
    arrays = {
        name: open_array(folder / f"{name}.npy", file, key=key)
        for name, file in record.files.items()
    }
    try:
        return _dataset(record, arrays, sampling=data.get("sampling"))
    except ValueError as error:
        raise DataError(
            f"{key}: the files of {folder} do not fit together ({error}). {REMEDY}"
        ) from error


def read_record(folder: Path, *, key: str) -> PackRecord:
    """What a packed set consists of; none of its arrays is looked at.

    Raises:
        DataError: The folder or its `dataset.json` is missing or damaged.
        PermissionDeniedError: It may not be read.
    """
    path = folder / RECORD_NAME
    partial = folder.with_name(folder.name + PARTIAL_SUFFIX)
    with reading(path, key=key):
        if not path.exists():
            raise DataError(_missing(folder, partial, key=key))
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    if len(content) > LIMIT_BYTES:
        raise DataError(f"{key}: {path} is longer than {LIMIT_BYTES} bytes. {REMEDY}")
    return parse(content, place=f"{key}: '{path}'")


def require_made_from(
    record: PackRecord, *, data: Mapping[str, Json], seed: int, place: str
) -> None:
    """Refuses a set that reading the files would not give now.

    Args:
        record: What was packed.
        data: The resolved data section now.
        seed: `run.seed` now.
        place: Where the set is, for the message.

    Raises:
        ConfigError: A setting that decides what is packed differs; all that do are named.
    """
    lines = differences(record.data, data, form=record.form, stored_seed=record.seed, seed=seed)
    if lines:
        raise ConfigError(
            f"{place} was packed with other settings:\n  "
            + "\n  ".join(lines)
            + "\nPack it again with `siamese-job data pack`, undo the change, or set "
            "data.packed to null to read the files themselves."
        )


def _missing(folder: Path, partial: Path, *, key: str) -> str:
    if folder.is_dir():
        return (
            f"{key}: '{folder}' holds no {RECORD_NAME}, which is written last: it is no packed "
            f"data set, or only a part of one. {REMEDY}"
        )
    if partial.is_dir():
        return (
            f"{key}: there is no '{folder}', only '{partial}', which packing left behind when "
            "it was interrupted. Run the same `siamese-job data pack` again."
        )
    return (
        f"{key}: there is no folder '{folder}'. Make it with `siamese-job data pack CONFIG "
        f"'{folder}'`, or set data.packed to null to read the files themselves."
    )


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


def _num_bytes(dataset: Dataset) -> int:
    return sum(array.nbytes for array in _arrays(dataset).values())


def _record(
    dataset: Dataset,
    files: Mapping[str, FileRecord],
    *,
    data: Mapping[str, Json],
    seed: int,
) -> PackRecord:
    statistics = dataset.statistics
    record: Any = None if statistics is None else statistics.to_json()
    return PackRecord(
        schema=SCHEMA,
        form=dataset.items.form,
        counts=dataset.counts,
        statistics=record,
        quarantine=dataset.quarantine,
        fingerprint=dataset.fingerprint,
        files=files,
        seed=seed,
        data={name: value for name, value in data.items() if name not in ("packed", "mirror")},
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
        raise ValueError(f"values are {values.dtype} {values.shape}, no {record.form}")
    items = ItemTable(
        record.form, RaggedArray(values, arrays["offsets"]), arrays.get("classes")
    )
    pairs = {
        split: PairTable(*(arrays[f"{split}_{side}"] for side in SIDES))
        for split in SPLITS
        if f"{split}_left" in arrays
    }
    training_items = arrays.get("training_items")
    if (training_items is None) != ("train" in pairs) or set(record.counts) != set(SPLITS):
        raise ValueError("training has pairs and items to draw them from, or neither")
    counts = dict(record.counts)
    if training_items is not None:
        drawn = _SAMPLING.validate_python(sampling or {"kind": "pairs"})
        counts["train"] = counts["train"].drawn_by(drawn)
    statistics = _statistics(record.statistics)
    return Dataset(
        items, pairs, training_items, statistics, counts, record.quarantine, record.fingerprint
    )


def _statistics(record: Mapping[str, Any] | None) -> Statistics:
    if record is None:
        return None
    if record.get("kind") == "moments":
        return FeatureStats.from_json(record)
    return vocabulary_from_json(record)
