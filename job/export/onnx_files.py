"""The encoder and the head as ONNX, checked by onnxruntime. B pairs or items, D embedding size.

====================  ==========================================================================
file                  from and to
====================  ==========================================================================
onnx/encoder.onnx     `items` as the bare encoder takes them -> `embedding`
onnx/compare.onnx     `left_embedding`, `right_embedding` -> `score`, `logit`, `probability`,
                      `match`
onnx/golden.npz       `left`, `right`: items for the encoder; `score`: that of each pair
====================  ==========================================================================

Texts are token IDs, by `vocabulary.json`: ONNX has no tokenizer. The packages of the extra
`onnx` are imported when they are needed.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from job.config.export import ExportConfig
from job.errors import JobError
from job.export.quantize import quantized
from job.export.serving import PairModule

FOLDER = "onnx"
ENCODER, COMPARE, GOLDEN = "encoder.onnx", "compare.onnx", "golden.npz"
# Supported by every runtime since 2023.
OPSET = 18

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """Golden pairs as the encoder takes their items.

    Attributes:
        left: (B, ...), first items.
        right: (B, ...), second items.
        score: float32 (B,).
    """

    left: NDArray[Any]
    right: NDArray[Any]
    score: FloatArray


def write_onnx(
    module: PairModule,
    folder: Path,
    *,
    golden: EncodedPairs,
    section: ExportConfig,
    tolerance: float,
) -> dict[str, Any]:
    """Writes the files, loads them again and scores the golden pairs.

    Args:
        module: The model.
        folder: The export; files go to `FOLDER` in it.
        golden: Pairs with known scores.
        section: Whether the weights are quantized as well.
        tolerance: Largest difference of a score.

    Returns:
        For the manifest: `opset`, the largest difference on the golden pairs and, for quantized
        weights, what they change.

    Raises:
        JobError: The scores are others.
    """
    place = folder / FOLDER
    place.mkdir()
    encoder = _converted(module.encode, place / ENCODER)
    _converted(module.compare, place / COMPARE)
    np.savez(place / GOLDEN, left=golden.left, right=golden.right, score=golden.score)
    exact = _scores(place / ENCODER, place / COMPARE, golden)
    gap = _largest(exact["score"], golden.score)
    if not gap <= tolerance:
        raise JobError(
            f"The ONNX model differs from the trained model by {gap:.2g} on "
            f"{len(golden.score)} golden pairs (allowed: {tolerance:g}). Nothing was exported; "
            "please report this with the configuration, or set export.onnx to false."
        )
    facts: dict[str, Any] = {"opset": OPSET, "largest_difference": gap}
    if section.quantize != "none":
        name = f"encoder.{section.quantize}.onnx"
        (place / name).write_bytes(quantized(encoder, kind=section.quantize))
        found = _scores(place / name, place / COMPARE, golden)
        facts["quantized"] = {
            "file": f"{FOLDER}/{name}",
            "weights": section.quantize,
            "bytes": (place / name).stat().st_size,
            "bytes_before": (place / ENCODER).stat().st_size,
            "largest_difference": _largest(found["score"], exact["score"]),
            "mean_difference": float(np.mean(np.abs(found["score"] - exact["score"]))),
            "changed_decisions": int(np.count_nonzero(found["match"] != exact["match"])),
            "pairs": len(golden.score),
        }
    return facts


def _converted(function: tf.types.experimental.GenericFunction, path: Path) -> bytes:
    """Converts a function of one signature; writes and returns the model."""
    import tf2onnx

    with _quiet("tf2onnx", "tensorflow"):
        model, _ = tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=OPSET
        )
    data: bytes = model.SerializeToString()
    path.write_bytes(data)
    return data


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Silences loggers below errors: conversion warns of what it then does."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _scores(encoder: Path, compare: Path, golden: EncodedPairs) -> dict[str, NDArray[Any]]:
    """What the files say of the golden pairs, by output."""
    encode, judge = (_session(path) for path in (encoder, compare))
    left_BD, right_BD = (
        encode({"items": items})["embedding"] for items in (golden.left, golden.right)
    )
    return judge({"left_embedding": left_BD, "right_embedding": right_BD})


def _session(
    path: Path,
) -> Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


def _largest(found: FloatArray, expected: FloatArray) -> float:
    return float(np.max(np.abs(found - expected), initial=0.0))
