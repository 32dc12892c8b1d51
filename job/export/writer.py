"""Exports the model, loads it back and checks that its scores are the same."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from job.config.data import Data, SequenceDataConfig
from job.config.export import ExportConfig
from job.data.dataset import Statistics
from job.data.pipeline.collators import padded
from job.errors import JobError
from job.evaluation.calibration import Calibration
from job.export import onnx_files
from job.export.golden import GoldenPairs, Items
from job.export.manifest import FILE as MANIFEST
from job.export.manifest import Manifest
from job.export.reference import Reference
from job.export.serving import UNCALIBRATED, PairModule, serving_module
from job.export.warmup import embed_arguments, write_warmup
from job.models.distances import DISTANCES
from job.models.siamese import Siamese
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import Vocabulary
from job.types import ItemInput

FOLDER = "export"
# By compute dtype. Another batch shape may round differently, more so with fewer bits; an error
# in the export is orders of magnitude larger.
TOLERANCE: Mapping[str, float] = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


@dataclass(frozen=True)
class ExportFacts:
    """What an export says of a model, besides the model.

    Attributes:
        threshold: The operating point that `match` uses.
        data: The data section of the run.
        head: Kind of the head.
        reference: What the model saw when it was tested.
        calibration: From the logit to the probability of a match.
        section: Which files are written.
    """

    threshold: float
    data: Data
    head: str
    reference: Reference
    calibration: Calibration = UNCALIBRATED
    section: ExportConfig = field(default_factory=ExportConfig)


def export_model(
    siamese: Siamese,
    *,
    statistics: Statistics,
    facts: ExportFacts,
    golden: GoldenPairs,
    write: Callable[[str, bytes], None],
) -> dict[str, str]:
    """Exports the scorer, with its preprocessing, and the two Keras models inside it.

    Args:
        siamese: The trained model, built outside any strategy.
        statistics: Vocabulary or feature statistics of the training items.
        facts: What the manifest says of it.
        golden: Scores to check the export against.
        write: Stores an object of the run. Names begin with `export/`; the manifest is last.

    Returns:
        Names of the written objects, by purpose.

    Raises:
        JobError: The loaded model scores the golden pairs differently.
    """
    artifacts = {"encoder": "encoder.keras", "pair_model": "pair_model.keras"}
    with tempfile.TemporaryDirectory(prefix="siamese-export-") as name:
        folder = Path(name)
        siamese.encoder.save(folder / artifacts["encoder"])
        siamese.scorer.save(folder / artifacts["pair_model"])
        for path in artifacts.values():
            keras.models.load_model(folder / path, compile=False)
        module = serving_module(
            siamese,
            statistics=statistics,
            threshold=facts.threshold,
            calibration=facts.calibration,
        )
        inputs = _save_scorer(module, folder / "scorer")
        _write_warmup(folder / "scorer", golden)
        tolerance = _tolerance(siamese)
        _check(folder / "scorer", golden=golden, tolerance=tolerance)
        artifacts |= {"scorer": "scorer", "golden_pairs": golden.save(folder)}
        onnx = None
        if facts.section.onnx:
            artifacts["onnx"] = onnx_files.FOLDER
            onnx = onnx_files.write_onnx(
                module,
                folder,
                golden=_encoded(golden, siamese.item, statistics),
                section=facts.section,
                tolerance=tolerance,
            )
        if isinstance(statistics, Vocabulary):
            artifacts["vocabulary"] = "vocabulary.json"
            text = json.dumps(statistics.to_json(), ensure_ascii=False, indent=1)
            (folder / artifacts["vocabulary"]).write_text(f"{text}\n", encoding="utf-8")
        manifest = _manifest(siamese, facts, inputs=inputs)
        _upload(folder, manifest=replace(manifest, onnx=onnx), write=write)
    return {what: f"{FOLDER}/{path}" for what, path in artifacts.items()}


def _manifest(siamese: Siamese, facts: ExportFacts, *, inputs: dict[str, Any]) -> Manifest:
    item, data = siamese.item, facts.data
    if isinstance(data, SequenceDataConfig):
        data = data.model_copy(update={"num_features": item.shape[-1]})
    return Manifest(
        threshold=facts.threshold,
        calibration=facts.calibration,
        data=data,
        head=facts.head,
        distance=facts.head if facts.head in DISTANCES else None,
        embedding_size=siamese.encoder.output_shape[-1],
        reference=facts.reference,
        tolerance=_tolerance(siamese),
        pairs_by_id=facts.data.items is not None,
        inputs=inputs,
        encoder_input={"dtype": item.dtype, "shape": [None, *item.shape]},
    )


def _save_scorer(module: PairModule, folder: Path) -> dict[str, Any]:
    """Writes the SavedModel; returns dtype and shape of every input, by signature."""
    signatures = {"score": module.score, "embed": module.embed, "compare": module.compare}
    # Servers call `serving_default` unless a request names another signature.
    served = {"serving_default": module.score, **signatures}
    tf.saved_model.save(module, folder, signatures=served)
    return {
        name: {
            spec.name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for spec in function.input_signature
        }
        for name, function in signatures.items()
    }


def _write_warmup(scorer: Path, golden: GoldenPairs) -> None:
    arguments = golden.arguments()
    requests = {
        "serving_default": arguments,
        "embed": embed_arguments(arguments, as_item="left"),
    }
    write_warmup(scorer, requests)


def _encoded(
    golden: GoldenPairs, item: ItemInput, statistics: Statistics
) -> onnx_files.EncodedPairs:
    """The golden pairs as the encoder takes them."""

    def encoded(items: Items) -> np.ndarray:
        if isinstance(items, np.ndarray):
            return items.astype(np.float32)
        if isinstance(items, RaggedArray):
            return padded(items, item=item)
        if not isinstance(statistics, Vocabulary):
            raise ValueError(f"texts need a vocabulary, got {statistics!r}")
        texts = RaggedArray.from_bytes([text.encode() for text in items])
        return padded(statistics.encode(texts), item=item)

    return onnx_files.EncodedPairs(encoded(golden.left), encoded(golden.right), golden.score)


def _check(scorer: Path, *, golden: GoldenPairs, tolerance: float) -> None:
    loaded = tf.saved_model.load(str(scorer))
    arguments = {name: tf.constant(value) for name, value in golden.arguments().items()}
    score = loaded.score(**arguments)["score"].numpy()
    gap = float(np.max(np.abs(score - golden.score), initial=0.0))
    if not gap <= tolerance:
        raise JobError(
            f"The exported scorer differs from the trained model by {gap:.2g} on "
            f"{len(golden.score)} golden pairs (allowed: {tolerance:g}). Nothing was exported; "
            "please report this with the configuration."
        )


def _tolerance(siamese: Siamese) -> float:
    """The largest difference that rounding explains, by the coarsest dtype of a layer."""
    layers = [*siamese.encoder.layers, *siamese.head.layers]
    return max(TOLERANCE.get(layer.compute_dtype, TOLERANCE["float32"]) for layer in layers)


def _upload(folder: Path, *, manifest: Manifest, write: Callable[[str, bytes], None]) -> None:
    digests = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        relative = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        digests[relative] = hashlib.sha256(data).hexdigest()
        write(f"{FOLDER}/{relative}", data)
    write(f"{FOLDER}/{MANIFEST}", replace(manifest, sha256=digests).encode())
