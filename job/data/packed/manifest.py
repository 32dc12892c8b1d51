"""`dataset.json`: what a packed data set consists of, and what it was made from.

It is written last, so that a folder that holds it holds all the rest, and it carries a
checksum of itself::

    record = parse(path.read_bytes(), place="data.packed: 'pairs/dataset.json'")
    path.write_bytes(dumps(record))
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from job.data.dataset import Form, SplitCounts
from job.data.quarantine import Quarantine
from job.errors import DataError
from job.types import SPLITS, Split

SCHEMA: Final = 1
RECORD_NAME = "dataset.json"
# A vocabulary of several million words fits; a file of another kind is not read to its end.
LIMIT_BYTES = 64 << 20
_HEADER_LIMIT_BYTES = 4096

# The arrays of a set, each in a file of its own; the last but one and the pairs of a split may
# be missing.
SIDES = ("left", "right", "label")
ARRAY_NAMES = (
    "values",
    "offsets",
    "classes",
    "training_items",
    *(f"{split}_{side}" for split in SPLITS for side in SIDES),
)
FILE_NAMES = frozenset({f"{name}.npy" for name in ARRAY_NAMES} | {RECORD_NAME})

REMEDY = "Make it again with `siamese-job data pack`, or copy it again."

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class FileRecord:
    """One array as it was written.

    Attributes:
        dtype: NumPy name of the type of its values, with their byte order.
        shape: Its shape.
        bytes: Length of the file, its header included.
        crc32c: Castagnoli CRC of the file.
        sha256: Of the file, hexadecimal.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dtype: Annotated[str, Field(pattern=r"^(\|u1|<i8|<f4)$")]
    shape: tuple[_Count, ...]
    bytes: _Count
    crc32c: Annotated[int, Field(ge=0, lt=2**32)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def __post_init__(self) -> None:
        header = self.bytes - self.num_bytes
        if not 0 < header <= _HEADER_LIMIT_BYTES:
            raise ValueError(f"bytes and shape leave {header} bytes for the header")

    @property
    def num_bytes(self) -> int:
        """Length of the values alone."""
        size = np.dtype(self.dtype).itemsize
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class PackRecord:
    """Everything about a packed data set but its arrays.

    Attributes:
        schema: Version of this record.
        form: What the values of an item are.
        counts: How much each split holds.
        statistics: What `to_json` of the vocabulary or the moments gave; None for pictures.
        quarantine: Rows that were kept out.
        fingerprint: That of the data set.
        files: The arrays by their names.
        seed: `run.seed` under which splits were cut and pairs drawn.
        data: The resolved data section it was made from.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[1]
    form: Form
    counts: Mapping[Split, SplitCounts]
    statistics: Mapping[str, Any] | None
    quarantine: Quarantine
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    files: Mapping[str, FileRecord]
    seed: _Count
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        unknown = sorted(self.files.keys() - ARRAY_NAMES)
        missing = sorted({"values", "offsets"} - self.files.keys())
        for split in SPLITS:
            of_split = {f"{split}_{side}" for side in SIDES}
            if of_split & self.files.keys():
                missing += sorted(of_split - self.files.keys())
        if unknown or missing:
            raise ValueError(f"files must be whole (unknown {unknown}, missing {missing})")

    @property
    def num_bytes(self) -> int:
        """Length of all arrays' files together."""
        return sum(file.bytes for file in self.files.values())


_ADAPTER: TypeAdapter[PackRecord] = TypeAdapter(PackRecord)


def dumps(record: PackRecord) -> bytes:
    """The record as JSON text for a file.

    Raises:
        DataError: It is longer than a reader takes: the vocabulary has too many words.
    """
    value = _ADAPTER.dump_python(record, mode="json")
    text = json.dumps({**value, "sha256": _digest(value)}, indent=1, allow_nan=False) + "\n"
    if len(text) > LIMIT_BYTES:
        raise DataError(
            f"{RECORD_NAME} would have {len(text)} bytes; at most {LIMIT_BYTES} are read. The "
            "vocabulary is that large: lower data.tokens.max_vocabulary."
        )
    return text.encode("ascii")


def parse(data: bytes, *, place: str) -> PackRecord:
    """The record that `dumps` wrote.

    Args:
        data: The file's content.
        place: Where it was found, for messages, as in "data.packed: 'pairs/dataset.json'".

    Raises:
        DataError: It is something else, of a later version, or damaged.
    """
    value = _object(data, place=place)
    schema = value.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        raise DataError(
            f"{place}: schema: is {schema!r}; this program reads {SCHEMA}. Use the version of "
            f"siamese-job that packed it. {REMEDY}"
        )
    digest = value.pop("sha256", None)
    if digest is None:
        raise DataError(f"{place}: sha256: is missing. {REMEDY}")
    try:
        record = _ADAPTER.validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "record"
        raise DataError(f"{place}: {key}: {first['msg']}. {REMEDY}") from error
    if digest != _digest(value):
        raise DataError(
            f"{place}: its checksum (sha256) is not that of its content: it was edited or "
            f"damaged. {REMEDY}"
        )
    return record


def _object(data: bytes, *, place: str) -> dict[str, Any]:
    try:
        value = json.loads(
            data.decode("ascii"), parse_constant=_refuse, object_pairs_hook=_unique
        )
        if not isinstance(value, dict):
            raise ValueError("it must be an object")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not what was written ({error}). {REMEDY}") from error
    return value


def _digest(value: Mapping[str, Any]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value
