"""`dataset.json`: what a packed data set contains and which settings it was made with.

It is written last, so a folder that contains it is complete::

    path.write_bytes(dumps(record))
    record = parse(path.read_bytes(), place="data.packed: 'pairs/dataset.json'")
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Final, Literal

import google_crc32c
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from job.config.sampling import PairSamplingConfig
from job.data.dataset import Form, SplitCounts
from job.data.quarantine import Quarantine
from job.errors import DataError
from job.types import SPLITS, Json, Split

SCHEMA: Final = 3
RECORD_NAME = "dataset.json"

# Each array is one file. Those of classes, `training_items`, the pairs of a split and the
# groups of test are optional. Names are UTF-8 in one array, with the offset of each in another.
SIDES = ("left", "right", "label")
ARRAY_NAMES = (
    "values",
    "offsets",
    "classes",
    "class_names",
    "class_offsets",
    "training_items",
    *(f"{split}_{side}" for split in SPLITS for side in SIDES),
    "test_groups",
    "test_group_names",
    "test_group_offsets",
)
FILE_NAMES = frozenset({f"{name}.npy" for name in ARRAY_NAMES} | {RECORD_NAME})

REMEDY = "Pack the data again with `siamese-job data pack`, or copy the set again."

# Settings of the data section that cannot change what is packed. The same files may be at
# another `root` in a container; `packed` and `mirror` say where to read; `augmentation` varies
# items during training.
WITHOUT_EFFECT = ("root", "packed", "mirror", "augmentation")

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_Name = Annotated[str, Field(pattern=f"^({'|'.join(ARRAY_NAMES)})$")]
_Count = Annotated[int, Field(ge=0)]
_Crc32c = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass(frozen=True)
class FileRecord:
    """One array as it was written.

    Attributes:
        dtype: NumPy's name of the type, with its byte order.
        shape: Shape of the array.
        bytes: Length of the file, including its header.
        crc32c: Castagnoli CRC of the file.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dtype: Annotated[str, Field(pattern=r"^(\|u1|<i8|<f4)$")]
    shape: tuple[_Count, ...]
    bytes: _Count
    crc32c: _Crc32c


@dataclass(frozen=True)
class PackRecord:
    """A packed data set without its arrays.

    Attributes:
        schema: Version of the format.
        form: What the values of an item are.
        counts: Size of each split.
        statistics: `to_json()` of the vocabulary or the feature statistics; None for images.
        quarantine: Rejected rows.
        fingerprint: Fingerprint of the data set.
        files: The arrays by name.
        settings: What `settings_that_matter` returned when the set was packed.
        crc32c: Castagnoli CRC of this record, computed with 0 in this field.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[3]
    form: Form
    counts: Mapping[Split, SplitCounts]
    statistics: Mapping[str, Any] | None
    quarantine: Quarantine
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    files: Mapping[_Name, FileRecord]
    settings: Mapping[str, Any]
    crc32c: _Crc32c = 0


_ADAPTER: TypeAdapter[PackRecord] = TypeAdapter(PackRecord)


def dumps(record: PackRecord) -> bytes:
    """The record as JSON, with its checksum."""
    return _ADAPTER.dump_json(replace(record, crc32c=_crc32c_of(record)), indent=1) + b"\n"


def parse(content: bytes, *, place: str) -> PackRecord:
    """The record that `dumps` wrote.

    Args:
        content: The file's content.
        place: Where it was found, for messages, as in "data.packed: 'pairs/dataset.json'".

    Raises:
        DataError: It is not a record, has another schema, or is damaged.
    """
    try:
        record = _ADAPTER.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        got = f" (got {first['input']!r})" if key == "schema" else ""
        raise DataError(f"{place}: {key or 'JSON'}: {first['msg']}{got}. {REMEDY}") from error
    if record.crc32c != _crc32c_of(record):
        raise DataError(
            f"{place}: crc32c is {record.crc32c:08x}, and the content has "
            f"{_crc32c_of(record):08x}: it was edited or damaged. {REMEDY}"
        )
    return record


def settings_that_matter(data: Mapping[str, Json], *, form: Form, seed: int) -> dict[str, Json]:
    """The settings that decide what a set contains, by dotted key.

    Args:
        data: The resolved data section.
        form: What the values of the packed items are.
        seed: `run.seed`.
    """
    kept = {name: value for name, value in data.items() if name not in WITHOUT_EFFECT}
    sampling = kept.pop("sampling", None)
    draws_pairs = kept.get("rows") == "items"
    if draws_pairs:
        # Training pairs are drawn during training; evaluation pairs were drawn before packing.
        default = PairSamplingConfig().evaluation_pairs
        kept["sampling.evaluation_pairs"] = (
            sampling.get("evaluation_pairs") if isinstance(sampling, Mapping) else default
        )
    if form == "encoded":  # resized whenever they are decoded
        kept.pop("size", None)
        kept.pop("resize", None)
    settings = {f"data.{name}": value for name, value in kept.items()}
    if draws_pairs or _splits_training_file(data):
        settings["run.seed"] = seed
    return settings


def differences(packed: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """One line for each setting that differs; empty if the set may be used."""
    return [
        f"{key}: the pack has {json.dumps(packed.get(key))}, "
        f"the config says {json.dumps(now.get(key))}"
        for key in sorted(packed.keys() | now.keys())
        if packed.get(key) != now.get(key)
    ]


def _splits_training_file(data: Mapping[str, Json]) -> bool:
    """Whether `data.split` cuts a split out of the training file."""
    columns = data.get("columns")
    has_column = isinstance(columns, Mapping) and columns.get("split") is not None
    return not has_column and (data.get("validation") is None or data.get("test") is None)


def _crc32c_of(record: PackRecord) -> int:
    return int(google_crc32c.value(_ADAPTER.dump_json(replace(record, crc32c=0))))
