"""A run that takes seconds: a few hundred pairs, four LSTM units. See the fixture `project`."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from job.distribution.hardware import num_cores

LETTERS = "abcdefgh"


def write_pairs(path: Path, *, rows: int, seed: int) -> None:
    """Pairs of three-letter words; they match when they begin with the same letter."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("left", "right", "label"))
        for index in range(rows):
            left, right = ("".join(rng.choice(list(LETTERS), 3)) for _ in "lr")
            label = index % 2
            if label:
                right = left[0] + right[1:]
            elif left[0] == right[0]:
                right = LETTERS[(LETTERS.index(left[0]) + 1) % len(LETTERS)] + right[1:]
            writer.writerow((left, right, label))


def tiny_config(root: Path) -> dict[str, Any]:
    return {
        "run": {"name": "tiny", "root": str(root), "seed": 3},
        "data": {"train": "train.csv", "validation": "validation.csv", "test": "test.csv"},
        "model": {"encoder": {"units": 4, "embedding_size": 4, "dropout": 0.2}},
        "training": {
            "epochs": 3,
            "global_batch_size": 16,
            "compute_threads": num_cores(),  # as every test of a process (`conftest`)
            "optimizer": {"kind": "adam", "learning_rate": 0.02},
        },
        "checkpoint": {"every_steps": 5},
        "logging": {"format": "text"},
    }


def save_config(project: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Writes `tiny.yaml` after `change` was applied to its content."""
    config = tiny_config(project / "runs")
    change(config)
    path = project / "tiny.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def make_project(folder: Path) -> None:
    """Writes `tiny.yaml` and its data into a folder; runs go to `runs` beside them."""
    for seed, (name, rows) in enumerate({"train": 160, "validation": 64, "test": 64}.items()):
        write_pairs(folder / f"{name}.csv", rows=rows, seed=seed)
    save_config(folder, lambda config: None)


def files_below(folder: Path) -> Mapping[str, bytes]:
    """Content of every file below a folder, by relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
