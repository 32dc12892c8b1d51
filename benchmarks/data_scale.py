"""How start-up and memory grow with the number of pairs of a packed set.

    .venv/bin/python -m benchmarks.data_scale [NUM_PAIRS ...]

For each size a pair file is written, packed with `siamese-job data pack` and trained on for
some steps in a process of its own, which says how long it took to its first batch and how much
memory it held. Validation and test are the same few pairs for every size, since measuring a
model takes memory for the items it measures. Prints a Markdown table.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (100_000, 1_000_000)
HELD_OUT = 2_000
STEPS = 50
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))

CONFIG = {
    "run": {"name": "scale", "root": "runs"},
    "data": {"train": "train.csv", "validation": "validation.csv", "test": "test.csv"},
    "training": {"global_batch_size": 256, "steps_per_call": 10},
}


def write_pairs(path: Path, *, num_pairs: int, seed: int) -> None:
    """Pairs of random words of 4 to 20 letters; two thirds of the items occur once."""
    random = np.random.default_rng(seed)
    num_items = num_pairs * 3 // 2
    lengths = random.integers(4, 21, num_items)
    letters = "".join(LETTERS[random.integers(0, 26, lengths.sum())])
    ends = np.cumsum(lengths)
    words = [letters[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    left = random.integers(0, num_items, num_pairs)
    right = random.integers(0, num_items, num_pairs)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("left", "right", "label"))
        writer.writerows(
            (words[u], words[v], k % 2)
            for k, (u, v) in enumerate(zip(left.tolist(), right.tolist(), strict=True))
        )


def memory() -> dict[str, float]:
    """MB this process holds: in all, of its own, and of files it has mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    values = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    own, files = (int(values[name]) / 1000 for name in ("RssAnon", "RssFile"))
    return {"all": own + files, "own": own, "files": files}


def measure(config: Path) -> dict[str, Any]:
    """Opens the packed set, trains STEPS steps and says what that took."""
    # Libraries first: what they take is there without any data.
    from job.config.loader.load_config import load_config
    from job.data.load import load_dataset
    from job.run.components import build_components
    from job.training.loop import TrainingData
    from job.training.step import TrainStep

    loaded = load_config(config, env={}, sets=["data.packed=pack"])
    section = loaded.config
    before, started = memory(), time.monotonic()
    dataset = load_dataset(section.data, folder=loaded.folder, seed=section.run.seed)
    opened = time.monotonic() - started
    after_opening = memory()
    assembly = build_components(section, dataset=dataset)
    batch_size = section.training.global_batch_size
    data = TrainingData(
        assembly.pairs.sampler, assembly.feed, dataset.items, batch_size, seed=0, threads=2
    )
    step = TrainStep(assembly.siamese, strategy=assembly.strategy, global_batch_size=batch_size)
    started = time.monotonic()
    with data.batches(0) as batches:
        batches.take(first=0, count=1)
        first_batch = time.monotonic() - started
        for first in range(1, STEPS, 7):
            step(batches.take(first=first, count=7))
    return {
        "opened": opened,
        "first_batch": first_batch,
        "opening": after_opening["all"] - before["all"],
        "end": memory(),
    }


def of_size(num_pairs: int) -> dict[str, Any]:
    """Writes, packs and measures one size; everything in processes of their own."""
    with tempfile.TemporaryDirectory(prefix="siamese-scale-") as name:
        folder = Path(name)
        write_pairs(folder / "train.csv", num_pairs=num_pairs, seed=0)
        for seed, split in ((1, "validation"), (2, "test")):
            write_pairs(folder / f"{split}.csv", num_pairs=HELD_OUT, seed=seed)
        (folder / "scale.yaml").write_text(json.dumps(CONFIG))
        started = time.monotonic()
        command = [sys.executable, "-m", "job", "data", "pack", "scale.yaml", "pack"]
        env = {**os.environ, "PYTHONPATH": os.getcwd()}
        subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
        packed = time.monotonic() - started
        size = sum(path.stat().st_size for path in (folder / "pack").iterdir())
        child = [
            sys.executable,
            "-m",
            "benchmarks.data_scale",
            "--measure",
            f"{name}/scale.yaml",
        ]
        output = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(output.splitlines()[-1])
        return {"pairs": num_pairs, "packed": packed, "megabytes": size / 1e6, **found}


def rows(found: list[dict[str, Any]]) -> Iterator[str]:
    """The table."""
    yield (
        "| pairs | pack, MB | packing, s | opening, s | first batch, s | opening, MB "
        "| after 50 steps, MB | of it own |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for one in found:
        yield (
            f"| {one['pairs']:,} | {one['megabytes']:.0f} | {one['packed']:.1f} "
            f"| {one['opened']:.3f} | {one['first_batch']:.3f} | {one['opening']:.1f} "
            f"| {one['end']['all']:.0f} | {one['end']['own']:.0f} |"
        )


def main(arguments: list[str]) -> None:
    """Prints the table, or one measurement as JSON for the process that asked for it."""
    if arguments[:1] == ["--measure"]:
        print(json.dumps(measure(Path(arguments[1]))))
        return
    sizes = [int(argument) for argument in arguments] or SIZES
    print("\n".join(rows([of_size(size) for size in sizes])))


if __name__ == "__main__":
    main(sys.argv[1:])
