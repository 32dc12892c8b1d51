"""The data of `time_to_quality` as a peer's script reads it, and how it reports its quality."""

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "data" / "typos"


def read_pairs(split: str) -> tuple[list[str], list[str], NDArray[np.float32]]:
    """Left and right texts and labels of `train` or `validation`."""
    with gzip.open(FOLDER / f"{split}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    label = np.array([row["label"] for row in rows], np.float32)
    return [row["left"] for row in rows], [row["right"] for row in rows], label


def report(label: NDArray[np.float32], score: Sequence[float] | NDArray[np.float32]) -> None:
    """Prints the ROC-AUC as a line of JSON, for the process that holds the clock."""
    from sklearn.metrics import roc_auc_score

    print(json.dumps({"roc_auc": float(roc_auc_score(label, score))}), flush=True)
