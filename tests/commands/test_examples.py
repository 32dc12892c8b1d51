"""Every example, for an epoch of a slice of its own data, to the exported model."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from job.cli import main
from job.errors import ExitCode
from tests.prepared import EXAMPLES, require_prepared

pytestmark = pytest.mark.slow

ALL = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
# What is made by `make data`, and what to leave out so that an epoch takes seconds.
NEEDS = {
    "book-lstm": "digits/digits.npz",
    "records": "records/train.csv.gz",
    "sequences": "watch/watch.npz",
    "text-translation": "verses/train.csv.gz",
}
DRAWN = ["data.sampling.evaluation_pairs=100"]
PAIRS = ["data.sampling.positives_per_epoch=64", "data.sampling.negatives_per_epoch=64"]
SLICES = {
    "book-lstm": [*DRAWN, *PAIRS],
    "book-xception": ["data.size=71", "data.sampling.evaluation_pairs=8"],
    "images": [*DRAWN, "data.sampling.pairs_per_epoch=256"],
    "sequences": [*DRAWN, *PAIRS],
    "records": ["data.train=data/records/validation.csv.gz"],
    "text": ["data.train=data/typos/validation.csv.gz"],
    "text-translation": ["data.train=data/verses/validation.csv.gz"],
}


def test_every_example_has_its_slice():
    assert set(SLICES) == set(ALL)


# The longest; `book-lstm` and `text` show most of what they show, tests/docs/test_commands.py
# trains `records` on a few rows, tests/e2e/test_workers.py other sequences.
LONG = ("book-xception", "text-translation", "records", "sequences")


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.prove) if name in LONG else name for name in ALL
    ]
)
def trained(request, tmp_path, capsys):
    name = request.param
    if name in NEEDS:
        require_prepared(EXAMPLES / "data" / NEEDS[name])
    sets = [f"run.root={tmp_path}", "training.epochs=1", *SLICES[name]]
    arguments = [word for assignment in sets for word in ("--set", assignment)]
    code = main(["train", str(EXAMPLES / f"{name}.yaml"), *arguments])
    out, err = capsys.readouterr()
    assert code == ExitCode.FINISHED, err
    (folder,) = tmp_path.iterdir()
    return name, folder, out


def test_an_example_trains_measures_and_exports(trained):
    name, folder, out = trained
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["outcome"], summary["epochs"]) == ("finished", 1)
    assert 0 <= summary["metrics"]["test"]["roc_auc"] <= 1
    assert summary["best"]["epoch"] == 1
    assert (folder / "export" / "manifest.json").is_file()
    assert re.search(r"baseline [a-z -]+ +0\.\d{4}", out)
    assert ("additive head" in out) == name.startswith("book-")
    if name.startswith("book-"):
        holds_every_layer(folder, kind=name)


def holds_every_layer(folder: Path, *, kind: str) -> None:
    """The activation file opens and has both items of every layer of the encoder."""
    import keras

    (path,) = (folder / "activations").iterdir()
    encoder = keras.models.load_model(folder / "export" / "encoder.keras", compile=False)
    with np.load(path, allow_pickle=False) as arrays:
        for layer in encoder.layers:
            for side in ("left", "right"):
                array = arrays[f"encoder/{layer.name}/{side}"]
                assert array.dtype == np.float32
                assert array.shape[1:] == tuple(
                    size if size is not None else array.shape[1]
                    for size in layer.output.shape[1:]
                )
        assert "head/logit" in arrays
        assert len(encoder.layers) > (100 if kind == "book-xception" else 1)
