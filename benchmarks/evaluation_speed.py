"""Scoring pairs: how fast, and in how much memory.

    .venv/bin/python -m benchmarks.evaluation_speed [--rounds N] [--json FILE]

Speed: pairs of the words of `examples/text.yaml`, ten for each item, with its model and
untrained weights. This product encodes each item once. The peer `pair_by_pair` runs both towers
for every pair, in batches of consecutive pairs in one compiled call, each side padded to its
longest item. The sides take turns; the scores have to be equal to 1e-6.

Memory: a million pairs of 100,000 items with embeddings of 2048 numbers, in a process of its
own. The encoder is a mean of vectors of tokens, since what an encoder takes is no part of this.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from job.config.data import CharactersConfig
from job.config.loader.load_config import load_config
from job.config.model import AbsDiffProductConfig, LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.data.dataset import ItemTable, PairTable
from job.data.load import load_dataset
from job.data.pipeline.collators import Collator, TextCollator
from job.evaluation.evaluate import SplitScorer
from job.models.heads import build_head
from job.models.pair_scorer import PairScorer
from job.models.siamese import Siamese, build_siamese
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import build_vocabulary
from job.run.components import build_components
from job.telemetry.terminal import aligned_columns

CONFIG = Path(__file__).resolve().parents[1] / "examples" / "text.yaml"
PAIRS_PER_ITEM = 10
NUM_ITEMS = 3_000
BATCH_SIZE = 1024
ROUNDS = 3
LARGEST_DIFFERENCE = 1e-6

MEMORY_ITEMS, MEMORY_PAIRS, MEMORY_SIZE = 100_000, 1_000_000, 2048


def random_pairs(rows: np.ndarray, *, count: int) -> PairTable:
    """Pairs of some items; what their labels are has no effect on time or memory."""
    random = np.random.default_rng(0)
    left, right = rows[random.integers(0, len(rows), (2, count))]
    return PairTable(left, right, (np.arange(count) % 2).astype(np.uint8))


def pair_by_pair(siamese: Siamese, feed: Collator) -> Callable[[PairTable], np.ndarray]:
    """Scores pairs with the whole model, as a user of Keras writes it."""
    item = tf.TensorSpec((None, *siamese.item.shape), siamese.item.dtype)
    scorer = tf.function(
        lambda left, right: siamese.scorer([left, right], training=False),
        input_signature=[item, item],
    )

    def score(pairs: PairTable) -> np.ndarray:
        scores = [
            scorer(feed.batch(pairs.left[part]), feed.batch(pairs.right[part])).numpy()[:, 0]
            for part in parts_of(len(pairs))
        ]
        return np.concatenate(scores)

    return score


def parts_of(count: int) -> Iterator[slice]:
    """Batches of consecutive pairs."""
    return (slice(start, start + BATCH_SIZE) for start in range(0, count, BATCH_SIZE))


def measure_speed(*, rounds: int) -> dict[str, Any]:
    """Both sides in turns, in the other order every second round."""
    loaded = load_config(CONFIG, env={}, sets=[])
    dataset = load_dataset(loaded.config.data, folder=loaded.folder, seed=0)
    built = build_components(loaded.config, dataset=dataset)
    splits = SplitScorer(
        PairScorer(built.siamese, check_stop=lambda: None),
        built.feed,
        dataset.items,
        batch_size=BATCH_SIZE,
        threads=loaded.config.training.input_threads,
    )
    items = dataset.pairs["validation"].items()[:NUM_ITEMS]
    pairs = random_pairs(items, count=PAIRS_PER_ITEM * len(items))
    sides: dict[str, Callable[[PairTable], np.ndarray]] = {
        "ours": lambda chosen: splits.score(chosen).pairs.score,
        "pair_by_pair": pair_by_pair(built.siamese, built.feed),
    }
    few = pairs.take(np.arange(BATCH_SIZE))
    for score in sides.values():
        score(few)  # compiles
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    scores = {}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            started = time.perf_counter()
            scores[name] = sides[name](pairs)
            seconds[name].append(time.perf_counter() - started)
    difference = float(np.max(np.abs(scores["ours"] - scores["pair_by_pair"])))
    if not difference <= LARGEST_DIFFERENCE:
        sys.exit(f"the scores differ by {difference:g}, more than {LARGEST_DIFFERENCE:g}")
    rates = {name: len(pairs) / median(taken) for name, taken in seconds.items()}
    return {
        "case": "evaluation_10_pairs_per_item",
        "unit": "pairs_per_second",
        "ours": rates.pop("ours"),
        "peers": rates,
        "largest_difference": difference,
        "seconds": seconds,
    }


def measure_memory() -> dict[str, int]:
    """Peak of memory while pairs of wide embeddings are scored, in bytes."""
    random = np.random.default_rng(0)
    letters = random.integers(97, 123, (MEMORY_ITEMS, 8)).astype(np.uint8)
    words = RaggedArray(letters.reshape(-1), 8 * np.arange(MEMORY_ITEMS + 1))
    rows = np.arange(MEMORY_ITEMS)
    feed = TextCollator(words, build_vocabulary(CharactersConfig(), items=words, rows=rows))
    small = build_siamese(
        ModelConfig(encoder=LstmConfig(units=4)),
        training=TrainingConfig(),
        item=feed.input,
        seed=0,
    )
    tokens = keras.Input(feed.input.shape, dtype=feed.input.dtype)
    vectors = keras.layers.Embedding(feed.input.vocabulary_size, MEMORY_SIZE)(tokens)
    mean = keras.layers.GlobalAveragePooling1D()(vectors)
    head = build_head(AbsDiffProductConfig(), embedding_size=MEMORY_SIZE, seed=0)
    siamese = replace(small, encoder=keras.Model(tokens, mean), head=head)
    splits = SplitScorer(
        PairScorer(siamese, check_stop=lambda: None),
        feed,
        ItemTable("text", words),
        batch_size=BATCH_SIZE,
        threads=2,
    )
    pairs = random_pairs(rows, count=MEMORY_PAIRS)
    splits.score(pairs.take(rows[:1]))  # compiles
    # Makes the kernel count the peak from here on; see proc_pid_clear_refs(5).
    Path("/proc/self/clear_refs").write_text("5")
    before, started = memory("VmRSS"), time.perf_counter()
    scores = splits.score(pairs)
    seconds = time.perf_counter() - started
    if not scores.pairs.is_finite:
        sys.exit("some pairs have no score")
    embeddings = 4 * MEMORY_ITEMS * MEMORY_SIZE
    return {
        "pairs": MEMORY_PAIRS,
        "items": MEMORY_ITEMS,
        "embedding_size": MEMORY_SIZE,
        "embeddings_bytes": embeddings,
        "bytes_above_embeddings": memory("VmHWM") - before - embeddings,
        "seconds": round(seconds, 1),
    }


def memory(name: str) -> int:
    """Memory of this process in bytes: `VmRSS` now, `VmHWM` at its peak."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(rf"{name}:\s+(\d+) kB", status)[0])


def main() -> None:
    """Prints both results, and writes them as JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(measure_memory()))
        return
    speed = measure_speed(rounds=arguments.rounds)
    child = [sys.executable, "-m", "benchmarks.evaluation_speed", "--memory"]
    output = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout
    used = json.loads(output.splitlines()[-1])
    theirs = speed["peers"]["pair_by_pair"]
    rows = [
        ("ours, pairs/s", f"{speed['ours']:,.0f}"),
        ("pair by pair, pairs/s", f"{theirs:,.0f}"),
        ("ratio", f"{speed['ours'] / theirs:.1f}"),
        ("largest difference of a score", f"{speed['largest_difference']:.1e}"),
        ("memory of the embeddings, MB", f"{used['embeddings_bytes'] / 1e6:,.0f}"),
        ("memory above them, MB", f"{used['bytes_above_embeddings'] / 1e6:,.0f}"),
        ("scored in, s", f"{used['seconds']:,.0f}"),
    ]
    print(aligned_columns(("evaluation", ""), rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"cases": [speed], "memory": used}, indent=1))


if __name__ == "__main__":
    main()
