"""`manifest.json` of an export: what it needs, what it decides, and the hash of every file.

It is written last, so a folder with a manifest is complete.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from job.config.data import Data
from job.errors import ConfigError, DataError
from job.evaluation.calibration import Calibration
from job.export.reference import Reference
from job.types import Json

FILE = "manifest.json"
SCHEMA = 3

# The keys of the data section that say what an item is and when a row is bad. The others name
# files, or matter to training alone.
_DATA_KEYS = {
    "kind",
    "columns",
    "max_bad_fraction",
    "tokens",
    "max_length",
    "num_features",
    "size",
    "resize",
    "storage",
    "max_pixels",
}
# Need other keys of the section beside them.
_TRAINING_COLUMNS = ("group", "split")


@dataclass(frozen=True)
class Manifest:
    """The content.

    Attributes:
        threshold: A pair matches when its score is at least this.
        calibration: From the logit to the probability of a match.
        data: The data section of the run, without its files.
        head: Kind of the head.
        distance: The distance that the head orders pairs by: its kind, or None.
        embedding_size: Size of an embedding.
        reference: What the model saw when it was tested.
        tolerance: Largest difference of a score that rounding explains.
        pairs_by_id: Whether the pair files of the run held IDs of items in another file.
        inputs: dtype and shape of every input, by signature.
        encoder_input: dtype and shape of the input of the bare encoder.
        onnx: What was found of the ONNX files; None without them.
        sha256: Of every other file, by its name in the export.
    """

    threshold: float
    calibration: Calibration
    data: Data
    head: str
    distance: str | None
    embedding_size: int
    reference: Reference
    tolerance: float
    pairs_by_id: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)
    encoder_input: Mapping[str, Any] = field(default_factory=dict)
    onnx: Mapping[str, Any] | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The file."""
        content = {
            "schema": SCHEMA,
            "kind": self.data.kind,
            "threshold": self.threshold,
            "calibration": self.calibration.to_json(),
            "data": data_record(self.data),
            "tolerance": self.tolerance,
            "pairs_by_id": self.pairs_by_id,
            "head": self.head,
            "distance": self.distance,
            "embedding_size": self.embedding_size,
            "reference": self.reference.to_json(),
            "inputs": dict(self.inputs),
            "encoder_input": dict(self.encoder_input),
            "onnx": None if self.onnx is None else dict(self.onnx),
            "sha256": dict(self.sha256),
        }
        return json.dumps(content, indent=1, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes, *, where: str) -> "Manifest":
        """Reads a file.

        Args:
            data: Its content.
            where: Its place, for messages.

        Raises:
            ConfigError: Another release wrote it.
            DataError: It is damaged.
        """
        try:
            record = json.loads(data)
            if record["schema"] != SCHEMA:
                raise _other_release(record["schema"], where=where)
            return cls(
                threshold=float(record["threshold"]),
                calibration=Calibration.from_json(record["calibration"]),
                data=data_section(record["data"]),
                head=str(record["head"]),
                distance=record["distance"],
                embedding_size=int(record["embedding_size"]),
                reference=Reference.from_json(record["reference"]),
                tolerance=float(record["tolerance"]),
                pairs_by_id=bool(record["pairs_by_id"]),
                inputs=record["inputs"],
                encoder_input=record["encoder_input"],
                onnx=record["onnx"],
                sha256=record["sha256"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{where} is not the manifest of an export ({type(error).__name__}: "
                f"{str(error)[:200]}). Copy the export again, or export the model again."
            ) from error


def _other_release(schema: object, *, where: str) -> ConfigError:
    return ConfigError(
        f"{where} has schema {schema}; this release of siamese-job reads {SCHEMA}. Use the "
        "release that exported the model, or train the run with this one."
    )


def data_record(section: Data) -> dict[str, Json]:
    """The part of a data section that an export keeps."""
    record = section.model_dump(mode="json", include=_DATA_KEYS)
    record["columns"] = {
        name: column
        for name, column in record["columns"].items()
        if name not in _TRAINING_COLUMNS
    }
    return record


def data_section(record: Mapping[str, Any]) -> Data:
    """A data section from what `data_record` kept.

    Args:
        record: From `data_record`.

    Raises:
        ValueError: The record is something else.
    """
    # As JSON, whose lists are tuples of a section.
    text = json.dumps({**record, "train": "PAIRS"})
    section: Data = TypeAdapter(Data).validate_json(text)
    return section
