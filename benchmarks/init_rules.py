"""What the choices of `init` are worth: one change at a time, on many data sets.

    .venv/bin/python -m benchmarks.init_rules FOLDER [--sets typos,emoji] [--variants base,max]
        [--json FILE]

`FOLDER` holds the sets of `benchmarks.init_sets`; those of the examples lie in the repository.
Every run has as many steps as the others of its set. `docs/init.md` has the table.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import REPOSITORY, progress

_EXAMPLES = REPOSITORY / "examples" / "data"


@dataclass(frozen=True)
class DataSet:
    """A data set and its `data` section without paths.

    Attributes:
        family: Which variants apply.
        data: The section; `train` and others relative to `folder`.
        folder: Of the files; relative to the folder of made sets.
        steps: Optimizer steps of a run.
        batch: Pairs in a step.
        steps_per_epoch: Steps in an epoch, at most as many as the data have batches.
    """

    family: str
    data: Mapping[str, Any]
    folder: Path
    steps: int = 600
    batch: int = 128
    steps_per_epoch: int = 50


def _files(suffix: str = "csv") -> dict[str, str]:
    return {split: f"{split}.{suffix}" for split in ("train", "validation", "test")}


def _pairs(left: str, right: str, label: str) -> dict[str, str]:
    return {"left": left, "right": right, "label": label}


SETS: Mapping[str, DataSet] = {
    "typos": DataSet("pairs", _files("csv.gz"), _EXAMPLES / "typos"),
    "verses": DataSet(
        "pairs",
        {**_files("csv.gz"), "max_length": 600},
        _EXAMPLES / "verses",
        steps=400,
    ),
    "names": DataSet(
        "pairs",
        {"train": "names.csv", "columns": _pairs("name_a", "name_b", "same")},
        Path("names"),
        batch=64,
        steps_per_epoch=30,
    ),
    "people": DataSet(
        "pairs",
        {**_files(), "columns": _pairs("record_1", "record_2", "is_match")},
        Path("people"),
    ),
    "persons": DataSet(
        "texts",
        {
            "train": "persons.csv",
            "rows": "items",
            "columns": {"item": "text", "item_class": "person"},
        },
        Path("persons"),
    ),
    "emoji": DataSet(
        "images",
        {"kind": "image", "train": "emoji.npz", "rows": "items", "size": 32},
        _EXAMPLES / "emoji",
        steps=300,
    ),
    "styles": DataSet(
        "images",
        {
            "kind": "image",
            "train": "styles.npz",
            "rows": "items",
            "size": 32,
            "columns": {"item_class": "vendor"},
            "split": {"by": "row"},
        },
        Path("styles"),
        steps=300,
    ),
    "digits8": DataSet(
        "images",
        {
            "kind": "image",
            "train": "digits8.npz",
            "rows": "items",
            "size": 8,
            "columns": {"item_class": "digit"},
            "split": {"by": "row"},
        },
        Path("digits8"),
        steps=300,
    ),
    "fashion": DataSet(
        "images",
        {
            "kind": "image",
            "train": "fashion.npz",
            "rows": "items",
            "size": 28,
            "columns": {"item_class": "garment"},
            "split": {"by": "row"},
        },
        Path("fashion"),
        steps=300,
    ),
    "watch": DataSet(
        "sequences",
        {
            "kind": "sequence",
            "train": "watch.npz",
            "rows": "items",
            "columns": {"group": "group", "split": "split"},
        },
        _EXAMPLES / "watch",
        steps=300,
        batch=64,
    ),
    "spoken": DataSet(
        "sequences",
        {
            "kind": "sequence",
            "train": "digits.npz",
            "rows": "items",
            "columns": {"split": "split"},
        },
        _EXAMPLES / "digits",
        steps=300,
        batch=64,
    ),
    "vowels": DataSet(
        "sequences",
        {
            "kind": "sequence",
            "train": "vowels.npz",
            "rows": "items",
            "columns": {"item_class": "speaker"},
            "split": {"by": "row"},
        },
        Path("vowels"),
        steps=300,
        batch=64,
    ),
    "leaves": DataSet(
        "sequences",
        {
            "kind": "sequence",
            "train": "leaves.npz",
            "rows": "items",
            "columns": {"item_class": "species"},
            "split": {"by": "row"},
        },
        Path("leaves"),
        steps=200,
        batch=32,
    ),
}

_LSTM = {"kind": "lstm", "units": 32, "bidirectional": True}
_CNN = {"kind": "cnn"}
_BALANCED = {"training.loss": {"kind": "binary_crossentropy"}}
_IN_BATCH = {
    "model.head": {"kind": "cosine"},
    "training.loss": {"kind": "multiple_negatives", "temperature": 0.1, "symmetric": True},
}
_WORDS = {"data.tokens": {"kind": "words"}}
_DRAWN = {"data.sampling": {"kind": "pairs"}}
_CLASSES = {"data.sampling": {"kind": "classes"}}
_FOURS = {"data.sampling": {"kind": "classes", "items_per_class": 4}}
_COSINE = {"model.head": {"kind": "cosine"}}
_TRIPLET = {"model.head": {"kind": "cosine"}, "training.loss": {"kind": "triplet"}}
_CIRCLE = {"model.head": {"kind": "cosine"}, "training.loss": {"kind": "circle"}}


def _pooling(name: str) -> dict[str, Any]:
    return {"model.encoder.pooling": name}


# What each variant changes in the base of its family.
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "pairs": {
        "characters max": _pooling("max"),
        "characters mean": _pooling("mean"),
        "characters last": {},
        "words max": {**_WORDS, **_pooling("max")},
        "words mean": {**_WORDS, **_pooling("mean")},
        "cosine": {**_pooling("max"), **_COSINE},
        "in batch": {**_pooling("max"), **_IN_BATCH},
        "in batch mean": {**_pooling("mean"), **_IN_BATCH},
        "words in batch": {**_WORDS, **_pooling("max"), **_IN_BATCH},
        "words in batch mean": {**_WORDS, **_pooling("mean"), **_IN_BATCH},
        "weighted": {**_pooling("max"), "training.loss.positive_weight": 9.0},
    },
    "texts": {
        "drawn": {**_pooling("max"), **_DRAWN},
        "drawn mean": {**_pooling("mean"), **_DRAWN},
        "drawn cosine": {**_pooling("max"), **_DRAWN, **_COSINE},
        "in batch": {**_pooling("max"), **_CLASSES, **_IN_BATCH},
        "in batch mean": {**_pooling("mean"), **_CLASSES, **_IN_BATCH},
        "words in batch": {**_WORDS, **_pooling("max"), **_CLASSES, **_IN_BATCH},
    },
    "sequences": {
        "drawn": {**_pooling("mean"), **_DRAWN},
        "drawn cosine": {**_pooling("mean"), **_DRAWN, **_COSINE},
        "drawn cosine max": {**_pooling("max"), **_DRAWN, **_COSINE},
        "drawn cosine last": {**_DRAWN, **_COSINE},
        "in batch": {**_pooling("mean"), **_CLASSES, **_IN_BATCH},
        "triplet": {**_pooling("mean"), **_FOURS, **_TRIPLET},
        "circle": {**_pooling("mean"), **_FOURS, **_CIRCLE},
    },
    "images": {
        "drawn": _DRAWN,
        "drawn cosine": {**_DRAWN, **_COSINE},
        "in batch": {**_CLASSES, **_IN_BATCH},
        "in batch, changed": {
            **_CLASSES,
            **_IN_BATCH,
            "data.augmentation": {"crop": 0.1, "colour": 0.2},
        },
        "triplet": {**_FOURS, **_TRIPLET},
        "circle": {**_FOURS, **_CIRCLE},
    },
}


def config_of(name: str, variant: str, *, below: Path, out: Path) -> dict[str, Any]:
    """The configuration of one run."""
    chosen = SETS[name]
    folder = below / chosen.folder  # an absolute folder stays as it is
    config: dict[str, Any] = {
        "run": {"name": "one", "root": str(out), "seed": 7},
        "data": {"root": str(folder), **chosen.data},
        "model": {"encoder": dict(_CNN if chosen.family == "images" else _LSTM)},
        "training": {
            "global_batch_size": chosen.batch,
            "optimizer": {"kind": "adam", "learning_rate": 0.003},
        },
        "checkpoint": {"monitor": "val_roc_auc", "every_steps": 100000},
        "evaluation": {"validation_pairs": 4000, "retrieval_queries": 0},
        "export": {"enabled": False},
        "metrics": {"enabled": False},
        "logging": {"format": "json"},
    }
    for key, value in VARIANTS[chosen.family][variant].items():
        *above, last = key.split(".")
        place = config
        for part in above:
            place = place.setdefault(part, {})
        place[last] = {**place.get(last, {}), **value} if isinstance(value, dict) else value
    if config["model"].get("head", {}).get("kind") not in ("cosine", "euclidean"):
        del config["evaluation"]["retrieval_queries"]
    sampling = config["data"].get("sampling")
    pairs = chosen.steps_per_epoch * chosen.batch
    if sampling and sampling["kind"] == "pairs":
        sampling |= {"positives_per_epoch": pairs // 2, "negatives_per_epoch": pairs // 2}
    elif sampling:
        sampling["pairs_per_epoch"] = pairs
    if sampling:
        sampling["evaluation_pairs"] = 4000
    return config


def measure(
    name: str, variant: str, *, below: Path, sets: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """Trains once; quality and seconds."""
    with tempfile.TemporaryDirectory(prefix="init-rules-") as scratch:
        config = config_of(name, variant, below=below, out=Path(scratch))
        path = Path(scratch) / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        per_epoch, epochs = SETS[name].steps_per_epoch, SETS[name].steps
        command = [sys.executable, "-m", "job", "train", str(path)]
        command += ["--set", f"training.steps_per_epoch={per_epoch}"]
        command += ["--set", f"training.epochs={epochs // per_epoch}"]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        started = time.monotonic()
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        seconds = time.monotonic() - started
        if done.returncode:
            return {"set": name, "variant": variant, "error": done.stderr[-400:]}
        summary = json.loads((Path(scratch) / "one" / "summary.json").read_text())
        metrics = summary["metrics"]
        return {
            "set": name,
            "variant": variant,
            **dict(sets),
            "steps": summary["global_step"],
            "seconds": round(seconds, 1),
            "best_epoch": summary["best"]["epoch"],
            "validation": round(metrics["validation"]["roc_auc"], 4),
            "test": round(metrics["test"]["roc_auc"], 4),
            "average_precision": round(metrics["test"]["average_precision"], 4),
            "f1": round(metrics["test"]["f1"], 4),
            "baseline": round(metrics["test"]["baseline_roc_auc"], 4),
        }


def main() -> None:
    """Measures the sets and variants that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--variants")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    changes = dict(one.split("=", 1) for one in args.set)
    for name in args.sets.split(","):
        known = VARIANTS[SETS[name].family]
        for variant in args.variants.split(",") if args.variants else known:
            found = measure(name, variant, below=args.folder, sets=changes)
            progress(json.dumps(found))
            if args.json:
                with args.json.open("a") as file:
                    file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
