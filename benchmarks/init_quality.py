"""What `init` writes against what a person wrote: quality and time on the same data.

    .venv/bin/python -m benchmarks.init_quality FOLDER [--sets typos,...] [--sides init]
        [--seeds 7,8,9] [--json FILE]

`FOLDER` holds the sets of `benchmarks.init_sets`. Both sides train with the same seed, one
after the other, so that they share what the machine does meanwhile. A side's `share` is the
part of the way from the best untrained baseline to a ROC-AUC of 1 that it goes on test.
`docs/init.md` has the table.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import REPOSITORY, progress

SEEDS = "7"
# What `init` has to reach of a person's share.
REQUIRED = 0.95
_EXAMPLES = REPOSITORY / "examples"
_QUIET = ("metrics.enabled=false", "export.enabled=false", "logging.format=json")


@dataclass(frozen=True)
class DataSet:
    """A data set, and what a person wrote for it.

    Attributes:
        data: What `init` is given; relative to the folder of made sets.
        example: The example of the repository; None for `written`.
        written: A configuration, for a set without an example.
    """

    data: Path
    example: Path | None = None
    written: Mapping[str, Any] | None = None


_SHARED = {
    "callbacks": {"early_stopping": {"monitor": "val_roc_auc", "patience_epochs": 3}},
    "checkpoint": {"monitor": "val_roc_auc"},
}

SETS: Mapping[str, DataSet] = {
    "typos": DataSet(_EXAMPLES / "data/typos", _EXAMPLES / "text.yaml"),
    "verses": DataSet(_EXAMPLES / "data/verses", _EXAMPLES / "text-translation.yaml"),
    "emoji": DataSet(_EXAMPLES / "data/emoji", _EXAMPLES / "images.yaml"),
    "watch": DataSet(_EXAMPLES / "data/watch", _EXAMPLES / "sequences.yaml"),
    "spoken": DataSet(_EXAMPLES / "data/digits", _EXAMPLES / "book-lstm.yaml"),
    # Not used to write the rules.
    "territories": DataSet(
        Path("territories"),
        written={
            "data": {
                "train": "territories.csv",
                "rows": "items",
                "columns": {"item": "name", "item_class": "territory"},
                "split": {"by": "identity"},
                "sampling": {"kind": "classes", "pairs_per_epoch": 8192},
            },
            "model": {
                "encoder": {"kind": "lstm", "units": 32, "bidirectional": True},
                "head": {"kind": "cosine"},
            },
            "training": {
                "epochs": 8,
                "global_batch_size": 128,
                "optimizer": {"kind": "adam", "learning_rate": 0.003},
                "loss": {"kind": "multiple_negatives", "temperature": 0.1, "symmetric": True},
            },
            **_SHARED,
        },
    ),
    "mnist": DataSet(
        Path("mnist"),
        written={
            "data": {
                "kind": "image",
                "train": "mnist.npz",
                "rows": "items",
                "size": 28,
                "columns": {"item_class": "label"},
                "split": {"by": "row", "validation_fraction": 0.2, "test_fraction": 0.2},
                "sampling": {
                    "kind": "pairs",
                    "positives_per_epoch": 2048,
                    "negatives_per_epoch": 2048,
                },
            },
            "model": {"encoder": {"kind": "cnn"}, "head": {"kind": "abs_diff_product"}},
            "training": {
                "epochs": 8,
                "global_batch_size": 64,
                "optimizer": {"kind": "adam", "learning_rate": 0.002},
            },
            **_SHARED,
        },
    ),
}


def written_by_hand(name: str, *, below: Path, scratch: Path) -> Path:
    """The configuration of a person."""
    chosen = SETS[name]
    if chosen.example is not None:
        return chosen.example
    config = {"run": {"name": name}, **(chosen.written or {})}
    config["data"] = {"root": str(below / chosen.data), **config["data"]}
    path = scratch / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def written_by_init(name: str, *, below: Path, scratch: Path) -> Path:
    """The configuration that `init` writes; the time it takes is said."""
    path = scratch / f"{name}.yaml"
    command = [sys.executable, "-m", "job", "init", str(below / SETS[name].data), str(path)]
    started = time.monotonic()
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    progress(f"{name}: init took {time.monotonic() - started:.1f} s")
    return path


SIDES: Mapping[str, Callable[..., Path]] = {"hand": written_by_hand, "init": written_by_init}


def measure(name: str, side: str, *, below: Path, seed: int) -> dict[str, Any]:
    """Trains one side; quality, steps and seconds."""
    with tempfile.TemporaryDirectory(prefix="init-quality-") as folder:
        scratch = Path(folder)
        config = SIDES[side](name, below=below, scratch=scratch)
        sets = [f"run.root={scratch}", "run.name=one", f"run.seed={seed}", *_QUIET]
        command = [sys.executable, "-m", "job", "train", str(config)]
        for one in sets:
            command += ["--set", one]
        started = time.monotonic()
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        seconds = time.monotonic() - started
        if done.returncode:
            raise RuntimeError(f"{name}, {side}: {done.stderr[-2000:]}")
        summary = json.loads((scratch / "one" / "summary.json").read_text())
    test = summary["metrics"]["test"]
    baseline = test["baseline_roc_auc"]
    return {
        "set": name,
        "side": side,
        "seed": seed,
        "test": round(test["roc_auc"], 4),
        "average_precision": round(test["average_precision"], 4),
        "baseline": round(baseline, 4),
        "share": round((test["roc_auc"] - baseline) / (1.0 - baseline), 4),
        "steps": summary["global_step"],
        "epochs": summary["epochs"],
        "seconds": round(seconds, 1),
        "advice": summary["advice"],
    }


def verdict(hand: Mapping[str, Any], init: Mapping[str, Any]) -> bool:
    """Whether `init` reaches what is required; a person below the baseline requires nothing."""
    return init["share"] >= REQUIRED * max(hand["share"], 0.0)


def main() -> None:
    """Measures the sets and sides that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--seeds", default=SEEDS, help="several: their mean shares count")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    for name in args.sets.split(","):
        shares: dict[str, list[float]] = {side: [] for side in args.sides.split(",")}
        for seed in seeds:
            for side, found in shares.items():
                result = measure(name, side, below=args.folder.resolve(), seed=seed)
                found.append(result["share"])
                progress(json.dumps(result))
                if args.json:
                    with args.json.open("a") as file:
                        file.write(json.dumps(result) + "\n")
        if shares.keys() == SIDES.keys():
            means = {side: {"share": mean(found)} for side, found in shares.items()}
            word = "reaches" if verdict(means["hand"], means["init"]) else "MISSES"
            progress(f"{name}: init {word} {REQUIRED:.0%} of the person's share: {means}")


if __name__ == "__main__":
    main()
