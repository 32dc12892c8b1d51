"""Runs of seconds on labelled items of every kind, with all that is drawn or varied."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

CLASSES, PER_CLASS = 12, 6


def write_pictures(path: Path) -> None:
    """Pictures of 16 pixels: each class has a colour and a little noise."""
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (CLASSES, 1, 1, 1, 3))
    noise = random.integers(-20, 21, (CLASSES, PER_CLASS, 16, 16, 3))
    images = np.clip(colours + noise, 0, 255).astype(np.uint8)
    _write(path, images=images.reshape(-1, 16, 16, 3))


def write_sequences(path: Path) -> None:
    """Sequences of 3 to 20 steps: each class has a direction and a little noise."""
    random = np.random.default_rng(0)
    lengths = random.integers(3, 21, CLASSES * PER_CLASS)
    directions = np.repeat(random.normal(size=(CLASSES, 3)), PER_CLASS, axis=0)
    values = np.repeat(directions, lengths, axis=0)
    values = values + random.normal(scale=0.3, size=values.shape)
    _write(path, values=values.astype(np.float32), lengths=lengths)


def write_texts(path: Path) -> None:
    """Texts of 3 to 40 characters: those of a class begin with the same two."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefgh"))
    texts = [
        "".join(
            [*letters[np.array(divmod(number // PER_CLASS, 8))], *random.choice(letters, n)]
        )
        for number, n in enumerate(random.integers(1, 39, CLASSES * PER_CLASS))
    ]
    _write(path, item=np.array(texts))


def _write(path: Path, **arrays: np.ndarray) -> None:
    names = np.repeat([f"class-{number}" for number in range(CLASSES)], PER_CLASS)
    np.savez(path, **arrays, **{"class": names})


SPLIT = {"by": "identity", "validation_fraction": 0.25, "test_fraction": 0.25}
PICTURES: dict[str, Any] = {
    "data": {
        "kind": "image",
        "train": "pictures.npz",
        "rows": "items",
        "size": 16,
        "split": SPLIT,
        "sampling": {"kind": "classes", "pairs_per_epoch": 40, "evaluation_pairs": 40},
        "augmentation": {"flip": True, "crop": 0.2, "colour": 0.3},
    },
    "model": {
        "encoder": {"kind": "cnn", "filters": [4, 8], "embedding_size": 8, "dropout": 0.2},
        "head": {"kind": "cosine"},
    },
    "training": {
        "global_batch_size": 4,
        "per_replica_micro_batch_size": 2,
        "loss": {"kind": "multiple_negatives"},
    },
}
SEQUENCES: dict[str, Any] = {
    "data": {
        "kind": "sequence",
        "train": "sequences.npz",
        "rows": "items",
        "split": SPLIT,
        "sampling": {
            "kind": "pairs",
            "positives_per_epoch": 20,
            "negatives_per_epoch": 20,
            "evaluation_pairs": 40,
        },
        "augmentation": {"jitter": 0.1, "crop": 0.2},
    },
    "model": {
        "encoder": {
            "kind": "lstm",
            "units": 4,
            "bidirectional": True,
            "pooling": "mean",
            "dropout": 0.2,
        },
    },
    "training": {
        "global_batch_size": 4,
        "bucket_window_batches": 4,
        "optimizer": {"kind": "adamw"},
        "schedule": {"kind": "cosine", "warmup_steps": 3},
        "clip_norm": 0.5,
        "ema_momentum": 0.8,
    },
}
TEXTS: dict[str, Any] = {
    "data": {
        "kind": "text",
        "train": "texts.npz",
        "rows": "items",
        "split": SPLIT,
        "sampling": {"kind": "pairs", "evaluation_pairs": 40},
    },
    "model": {"encoder": {"kind": "lstm", "units": 4, "embedding_size": 4, "dropout": 0.2}},
    "training": {"global_batch_size": 4},
}
KINDS = {"pictures": PICTURES, "sequences": SEQUENCES, "texts": TEXTS}
WRITERS = {"pictures": write_pictures, "sequences": write_sequences, "texts": write_texts}


def make_project(folder: Path, kind: str) -> Path:
    """Writes `tiny.yaml` and its data into a folder; runs go to `runs` beside them."""
    WRITERS[kind](folder / f"{kind}.npz")
    config = KINDS[kind] | {
        "run": {"name": "tiny", "root": str(folder / "runs"), "seed": 3},
        "checkpoint": {"every_steps": 3},
        "distribution": {"devices": "cpu:1"},
        "logging": {"format": "text"},
    }
    config["training"] = config["training"] | {"epochs": 4, "steps_per_call": 2}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path
