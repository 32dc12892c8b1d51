"""`siamese-job match`: how long it takes to compare every pair of a collection, and the memory.

    .venv/bin/python -m benchmarks.match_speed [--items N] [--check] [--json FILE]

100,000 items of 64 numbers, four of each identity, with the cosine head of this product and a
threshold that finds about as many pairs as there are items. The time is that of everything
behind the embeddings: searching, scoring by the model, writing a CSV. The peer `blas` is the
product of all items with all items alone, in blocks, without looking at the result: what no
search by comparing every pair can be faster than.

`--check` compares every pair again in float64, which takes minutes, and ends with 1 if one pair
differs.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.match_index import made_embeddings
from job.config.model import CosineConfig
from job.data.dataset import ItemTable
from job.data.quarantine import NOTHING_QUARANTINED
from job.models.heads import build_head
from job.preprocessing.ragged import RaggedArray
from job.scoring.collection import Collection
from job.scoring.copies import RowsOfItems
from job.scoring.match_items import Embedded, MatchOptions, find_matches
from job.scoring.match_output import MatchWriter
from job.telemetry.terminal import aligned_columns

ITEMS, SIZE = 100_000, 64
THRESHOLD = 0.93
BLOCK = 2048


@dataclass(frozen=True)
class Scores:
    """What the head says of pairs."""

    logit: np.ndarray
    score: np.ndarray
    probability: np.ndarray


class CosineModel:
    """The cosine head with its first weights, in the part of an exported model."""

    threshold, distance, embedding_size = THRESHOLD, "cosine", SIZE

    def __init__(self) -> None:
        head = build_head(CosineConfig(), embedding_size=SIZE, seed=0)
        spec = tf.TensorSpec((None, SIZE), tf.float32)
        self._head = tf.function(
            lambda left, right: head([left, right], training=False)[:, 0],
            input_signature=[spec, spec],
        )

    def embed(self, items: ItemTable, rows: np.ndarray) -> np.ndarray:
        raise NotImplementedError("the items are embeddings already")

    def compare(self, left_BD: np.ndarray, right_BD: np.ndarray) -> Scores:
        logit = self._head(tf.constant(left_BD), tf.constant(right_BD))
        score = tf.sigmoid(logit).numpy()
        return Scores(logit.numpy(), score, score)


def collection(num_items: int) -> Collection:
    """Rows of an id and a name, one an item."""
    letters = np.full(num_items, 97, np.uint8)
    items = ItemTable("text", RaggedArray(letters, np.arange(num_items + 1)))
    rows = [(str(row), f"item {row}") for row in range(num_items)]
    text = [row[1] for row in rows]
    item = np.arange(num_items)
    return Collection("items", items, item, text, ("id", "item"), rows, NOTHING_QUARANTINED)


def measure(model: CosineModel, embedding: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Time and memory of a match, and the pairs that it finds."""
    num_items = len(embedding)
    rows = RowsOfItems.of(np.arange(num_items), num_items=num_items)
    side, people = Embedded(embedding, rows), collection(num_items)
    found = []
    Path("/proc/self/clear_refs").write_text("5")  # see proc_pid_clear_refs(5)
    before, started = memory("VmRSS"), time.perf_counter()
    cpu = time.process_time()
    with tempfile.TemporaryFile() as stream:
        writer = MatchWriter("matches.csv", stream, left=people, right=people)
        for pairs in find_matches(model, side, side, options=MatchOptions(THRESHOLD)).pairs:
            writer.write(pairs)
            found.append(pairs.left * num_items + pairs.right)
    seconds = time.perf_counter() - started
    keys = np.concatenate(found)
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "bytes": memory("VmHWM") - before,
        "matches": len(keys),
    }, keys


def blas_alone(embedding: np.ndarray) -> dict[str, float]:
    """Time of the product of all pairs i <= j."""
    started, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(embedding), BLOCK):
        part = embedding[start : start + BLOCK]
        for other in range(start, len(embedding), BLOCK):
            np.matmul(part, embedding[other : other + BLOCK].T)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }


def by_brute_force(model: CosineModel, embedding: np.ndarray) -> np.ndarray:
    """Every pair in float64; the model decides where that is as near as 1e-5."""
    unit = embedding.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    logit = np.log(THRESHOLD) - np.log1p(-THRESHOLD)
    cosine = (logit + 4.0) / 8.0  # the first weights of the head: 8 cos - 4
    keys = []
    for start in range(0, len(unit), BLOCK):
        table = unit[start : start + BLOCK] @ unit[start:].T
        left, right = np.nonzero(table >= cosine - 1e-5)
        left, right = left + start, right + start
        left, right = left[left < right], right[left < right]
        kept = model.compare(embedding[left], embedding[right]).score >= np.float32(THRESHOLD)
        keys.append(left[kept] * len(unit) + right[kept])
    return np.concatenate(keys)


def memory(name: str) -> int:
    """Memory of this process in bytes: `VmRSS` now, `VmHWM` at its peak."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(rf"{name}:\s+(\d+) kB", status)[0])


def main() -> None:
    """Prints the result, and writes it as JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--check", action="store_true", help="compare with brute force")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    model, embedding = CosineModel(), made_embeddings(arguments.items)
    few = embedding[:1000]
    measure(model, few)  # compiles
    ours, keys = measure(model, embedding)
    blas = blas_alone(embedding)
    result = {
        "case": "match_within",
        "items": arguments.items,
        "cores": len(os.sched_getaffinity(0)),
        "ours": ours,
        "peers": {"blas": blas},
    }
    if arguments.check:
        expected = by_brute_force(model, embedding)
        result["differences"] = len(np.setxor1d(keys, expected))
    rows = [
        ("items", f"{arguments.items:,}"),
        ("matches", f"{ours['matches']:,}"),
        ("seconds (of all cores together)", f"{ours['seconds']} ({ours['cpu_seconds']})"),
        ("products alone, seconds", f"{blas['seconds']} ({blas['cpu_seconds']})"),
        ("memory above the embeddings, MB", f"{ours['bytes'] / 1e6:,.0f}"),
        ("differences to brute force", f"{result.get('differences', 'not checked')}"),
    ]
    print(aligned_columns(("match --within", ""), rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    sys.exit(1 if result.get("differences") else 0)


if __name__ == "__main__":
    main()
