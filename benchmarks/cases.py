"""The models and data of `training_speed`, for this product and for the peers alike.

Imports NumPy alone, since the peers run in an environment of their own. Values are random:
training takes as long whatever they are::

    case = CASES["book_lstm_b64"]
    left, right, label = pair_arrays(case)  # what a peer trains on
    config = write_files(case, folder)      # what `siamese-job train` is given
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

UNITS = 32
_CLASSES = 16
# Longer than any run: a measurement ends by SIGTERM, inside the first epoch.
_PAIRS_PER_EPOCH = 1_000_000
_HELD_OUT_PAIRS = 16


@dataclass(frozen=True)
class TrainingCase:
    """One model on one kind of items, at one batch size.

    Attributes:
        name: Its name.
        encoder: The book's encoder.
        shape: One item: (steps, features) or (size, size, channels).
        batch: Pairs in a step.
        items: Items that this product draws pairs of.
        pairs: Pairs that a peer has in memory.
        bf16: Whether the encoder may compute in bfloat16; a peer is then measured both ways.
        seconds: Length of one measurement.
    """

    name: str
    encoder: Literal["lstm", "xception"]
    shape: tuple[int, ...]
    batch: int
    items: int
    pairs: int
    bf16: bool = False
    seconds: float = 5.0


def _lstm(batch: int, *, bf16: bool = False) -> TrainingCase:
    name = f"book_lstm_b{batch}" + "_bf16" * bf16
    return TrainingCase(name, "lstm", (40, 128), batch, items=2048, pairs=8192, bf16=bf16)


def _xception(batch: int, *, name: str, pairs: int, bf16: bool = False) -> TrainingCase:
    shape = (96, 96, 3)
    name += "_bf16" * bf16
    return TrainingCase(
        name, "xception", shape, batch, items=256, pairs=pairs, bf16=bf16, seconds=10.0
    )


def _by_name(*cases: TrainingCase) -> "MappingProxyType[str, TrainingCase]":
    return MappingProxyType({case.name: case for case in cases})


CASES = _by_name(
    _lstm(64),
    _lstm(256),
    _xception(8, name="xception_96", pairs=32),
    _xception(8, name="xception_96", pairs=32, bf16=True),
)
# A GPU is for larger batches; these are of `benchmarks/gpu.py`.
GPU_CASES = _by_name(
    _lstm(64),
    _lstm(256),
    _lstm(1024),
    _lstm(1024, bf16=True),
    _xception(64, name="xception_96_b64", pairs=512),
    _xception(64, name="xception_96_b64", pairs=512, bf16=True),
)


@lru_cache(maxsize=1)
def pair_arrays(
    case: TrainingCase,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Pairs as arrays, as the book's script and PyTorch's users hold them.

    Returns:
        Left and right items, float32 (pairs, *shape), and labels, float32 (pairs,).
    """
    random = np.random.default_rng(0)
    left, right = (
        random.standard_normal((case.pairs, *case.shape), dtype=np.float32) for _ in range(2)
    )
    return left, right, random.integers(0, 2, case.pairs).astype(np.float32)


def write_files(case: TrainingCase, folder: Path) -> Path:
    """Writes the items as an `.npz` and the configuration that trains the model on them.

    Returns:
        The configuration.
    """
    random = np.random.default_rng(0)
    arrays: dict[str, NDArray[Any]]
    if case.encoder == "lstm":
        steps, features = case.shape
        arrays = {
            "values": random.standard_normal((case.items * steps, features), dtype=np.float32),
            "lengths": np.full(case.items, steps, np.int64),
        }
        data: dict[str, Any] = {"kind": "sequence"}
    else:
        pixels = random.integers(0, 256, (case.items, *case.shape), dtype=np.uint8)
        arrays = {"images": pixels}
        data = {"kind": "image", "size": case.shape[0]}
    # A class lies in one split: each split has items of two classes or more.
    classes = np.arange(case.items) % _CLASSES
    splits = np.array(["train"] * (_CLASSES - 4) + ["validation"] * 2 + ["test"] * 2)
    arrays["class"] = np.array([f"class {number}" for number in classes])
    arrays["split"] = splits[classes]
    np.savez(folder / "items.npz", **arrays)
    config = folder / f"{case.name}.yaml"
    config.write_text(json.dumps(_config(case, data)), encoding="utf-8")  # YAML holds JSON
    return config


def _config(case: TrainingCase, data: Mapping[str, Any]) -> dict[str, Any]:
    half = _PAIRS_PER_EPOCH // 2
    encoder: dict[str, Any] = {"kind": case.encoder}
    if case.encoder == "lstm":
        encoder["units"] = UNITS
    return {
        "run": {"name": case.name.replace("_", "-"), "root": "runs"},
        "data": {
            **data,
            "train": "items.npz",
            "rows": "items",
            "columns": {"split": "split"},
            "sampling": {
                "kind": "pairs",
                "positives_per_epoch": half,
                "negatives_per_epoch": half,
                "evaluation_pairs": _HELD_OUT_PAIRS,
            },
        },
        "model": {
            "encoder": encoder,
            "head": {"kind": "concat"},
            "precision": "mixed_bfloat16" if case.bf16 else "float32",
        },
        "training": {
            "epochs": 1,
            "global_batch_size": case.batch,
            "optimizer": {"kind": "rmsprop"},
            "loss": {"kind": "binary_crossentropy"},
        },
    }
