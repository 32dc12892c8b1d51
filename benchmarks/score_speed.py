"""Scoring a file: how fast, and in how much memory.

    .venv/bin/python -m benchmarks.score_speed [--pairs N] [--rounds N] [--json FILE]

Speed: a million pairs of 100,000 random texts, with the model of `examples/text.yaml` and
untrained weights. `score` is held against the sum of its parts, each measured alone in the same
process: reading the pairs as training does, embedding the texts, writing the table. Comparing
embeddings is in none of them.

Memory: the same in processes of their own, with a quarter of the pairs and with all of them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from job.config.data import Data
from job.config.loader.load_config import load_config
from job.data.dataset import ItemTable
from job.data.load import load_dataset
from job.export.golden import GoldenPairs
from job.export.loaded import ExportedModel, load_exported
from job.export.reference import Reference
from job.export.writer import ExportFacts, export_model
from job.run.components import build_components, build_for_export
from job.scoring.output import replacing_output, table_writer
from job.scoring.pairs_file import PairsFile, open_pairs
from job.scoring.score_pairs import ADDED, BLOCK_PAIRS, cells_of, score_pairs
from job.storage.parallel import ParallelDownloader
from job.telemetry.terminal import aligned_columns
from job.types import Problem

CONFIG = Path(__file__).resolve().parents[1] / "examples" / "text.yaml"
NUM_ITEMS, NUM_PAIRS = 100_000, 1_000_000
ROUNDS = 3
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz "))


def write_export(folder: Path) -> Path:
    """Exports the model of the example without training it."""
    loaded = load_config(CONFIG, env={}, sets=[])
    config = loaded.config
    dataset = load_dataset(config.data, folder=loaded.folder, seed=0)
    components = build_components(config, dataset=dataset)
    siamese = build_for_export(config, components)
    pairs = dataset.pairs["test"]
    sides = [side[:16] for side in (pairs.left, pairs.right)]
    inputs = [components.feed.batch(rows) for rows in sides]
    score = siamese.scorer(inputs, training=False).numpy()[:, 0]

    def write(name: str, data: bytes) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    export_model(
        siamese,
        statistics=dataset.statistics,
        facts=ExportFacts(
            0.5,
            config.data,
            config.model.head.kind,
            Reference.of(score, feed=components.feed, rows=pairs.items()),
        ),
        golden=GoldenPairs(*(dataset.items.texts(rows) for rows in sides), score),
        write=write,
    )
    return folder / "export"


def write_pairs(path: Path, *, num_pairs: int) -> None:
    """Pairs of texts of 5 to 30 characters."""
    random = np.random.default_rng(0)
    lengths = random.integers(5, 31, NUM_ITEMS)
    letters = LETTERS[random.integers(0, len(LETTERS), lengths.sum())]
    ends = np.cumsum(lengths)
    texts = [
        f"{number}{''.join(letters[end - length : end])}".replace(" ", "_")
        for number, (length, end) in enumerate(zip(lengths, ends, strict=True))
    ]
    left, right = random.integers(0, NUM_ITEMS, (2, num_pairs)).tolist()
    with path.open("w", encoding="utf-8") as file:
        file.write("id,left,right\n")
        file.writelines(
            f"{row},{texts[u]},{texts[v]}\n"
            for row, (u, v) in enumerate(zip(left, right, strict=True))
        )


def opened(path: Path, section: Data) -> PairsFile:
    """The file of pairs."""
    access = ParallelDownloader()
    return open_pairs(str(path), section=section, items=None, root=None, access=access)


def score_all(model: ExportedModel, path: Path, out: Path) -> int:
    """The whole command without its start; returns the number of pairs."""
    with replacing_output(str(out)) as stream:
        result = score_pairs(
            model,
            opened(path, model.data),
            section=model.data,
            out=str(out),
            stream=stream,
            progress=lambda done, rows: None,
        )
    return result.num_pairs


class Parts:
    """Each part of the work alone; later parts use what the first has read."""

    def __init__(self, model: ExportedModel, path: Path, out: Path) -> None:
        self._model, self._path, self._out = model, path, out
        self.items = ItemTable("text", model_items([]))
        self.rows: list[Any] = []

    def read(self) -> None:
        """Reads, checks and numbers the items of every pair."""
        self.rows = []
        with opened(self._path, self._model.data).opened(
            self._model.data, watch=lambda file: None
        ) as found:
            for record, pair in found.rows:
                if isinstance(pair, Problem):
                    raise ValueError(pair.detail)
                found.items.add(pair.left)
                found.items.add(pair.right)
                self.rows.append(record.row)
            self.items = ItemTable("text", found.items.drain())

    def embed(self) -> None:
        """Encodes every item."""
        self._model.embed(self.items, np.arange(len(self.items)))

    def write(self) -> None:
        """Formats and writes the table."""
        score = np.linspace(0, 1, len(self.rows), dtype=np.float32)
        header = ["id", "left", "right"]
        with replacing_output(str(self._out)) as stream:
            writer = table_writer(str(self._out), stream, header=header, added=ADDED)
            for first in range(0, len(self.rows), BLOCK_PAIRS):
                some = score[first : first + BLOCK_PAIRS]
                writer.write(
                    self.rows[first : first + BLOCK_PAIRS],
                    cells_of(some, some, match=some > 0.5),
                )


def model_items(texts: list[str]) -> Any:
    """Texts as the values of items."""
    from job.preprocessing.ragged import RaggedArray

    return RaggedArray.from_bytes([text.encode() for text in texts])


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def measure_speed(export: Path, path: Path, out: Path, *, rounds: int) -> dict[str, Any]:
    """The whole and its parts, in turns."""
    model = load_exported(export)
    few = out.with_name("few.csv")
    few.write_text("left,right\na,b\n")
    score_all(model, few, out)  # compiles
    parts = Parts(model, path, out)
    work = {"score": lambda: score_all(model, path, out)}
    work |= {"reading": parts.read, "embedding": parts.embed, "writing": parts.write}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, do in work.items():
            seconds[name].append(timed(do))
        parts.rows = []
    found = {}
    for place, clock in enumerate(("wall", "processor")):
        taken = {name: median(one[place] for one in all) for name, all in seconds.items()}
        alone = sum(taken[name] for name in ("reading", "embedding", "writing"))
        found[clock] = {**taken, "sum": alone, "ratio": taken["score"] / alone}
    return found


def measure_memory(export: str, path: str, out: str) -> None:
    """Prints the peak of a process that scores a file, and what it was before, in MB."""
    model = load_exported(export)
    few = Path(out).with_name("few.csv")
    score_all(model, few, Path(out))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    score_all(model, Path(path), Path(out))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"before": before / 1024, "peak": peak / 1024}))


def memory_of(export: Path, path: Path, out: Path) -> dict[str, float]:
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.score_speed", "--memory"]
    output = subprocess.run(
        [*command, str(export), str(path), str(out)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=NUM_PAIRS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--memory", nargs=3, metavar=("EXPORT", "PAIRS", "OUT"))
    args = parser.parse_args()
    if args.memory:
        measure_memory(*args.memory)
        return
    with tempfile.TemporaryDirectory(prefix="siamese-score-") as name:
        folder = Path(name)
        export = write_export(folder)
        sizes = (args.pairs // 4, args.pairs)
        files = [folder / f"pairs-{size}.csv" for size in sizes]
        for size, path in zip(sizes, files, strict=True):
            write_pairs(path, num_pairs=size)
        out = folder / "out.csv"
        speed = measure_speed(export, files[-1], out, rounds=args.rounds)
        memory = {
            size: memory_of(export, path, out) for size, path in zip(sizes, files, strict=True)
        }
    result = {"pairs": args.pairs, "items": NUM_ITEMS, "speed": speed, "memory_mb": memory}
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1))
    names = list(speed["wall"])
    table = [(name, *(f"{speed[clock][name]:.2f}" for clock in speed)) for name in names]
    print(aligned_columns(("seconds", *speed), table))
    rows = [
        (f"{size:,}", *(f"{value:.0f}" for value in one.values()))
        for size, one in memory.items()
    ]
    print(aligned_columns(("pairs", "MB before", "MB at most"), rows))


if __name__ == "__main__":
    main()
