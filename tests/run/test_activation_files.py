"""The activation logger in whole runs."""

import csv
import io
import json

import numpy as np
import pytest

from job.cli import main
from job.errors import ExitCode
from tests.forked import Forked, run_forked
from tests.tiny import LETTERS, files_below, make_project, save_config

pytestmark = pytest.mark.slow

ON = {"keep_epochs": 2, "metric_layers": ["encoder/lstm", "head/logit"]}


def set_up(project, activations, *, devices="cpu"):
    def change(config):
        config["callbacks"] = {"activations": activations}
        config["model"]["encoder"]["bidirectional"] = True
        config["distribution"] = {"devices": devices}

    return str(save_config(project, change))


def train(project, name, activations, *sets):
    config = set_up(project, activations)
    sets = (f"run.name={name}", "export.enabled=false", *sets)
    overrides = [word for one in sets for word in ("--set", one)]
    run_forked(main, ["train", config, *overrides])
    return project / "runs" / name


def state(folder):
    return json.loads((folder / "summary.json").read_text())["state_sha256"]


@pytest.fixture(scope="module")
def on(tmp_path_factory):
    """The folder of a run with activations that ran through."""
    project = tmp_path_factory.mktemp("activations")
    make_project(project)
    return train(project, "on", ON)


def test_a_run_with_activations_ends_in_the_same_bits_and_leaves_its_newest_files(project, on):
    off = train(project, "off", None)
    assert state(on) == state(off)
    assert not (off / "activations").exists()
    files = files_below(on / "activations")
    assert list(files) == ["epoch-0002.npz", "epoch-0003.npz"]
    assert files["epoch-0002.npz"] != files["epoch-0003.npz"]
    assert json.loads((on / "summary.json").read_text())["artifacts"]["activations"] == (
        "activations"
    )
    with np.load(io.BytesIO(files["epoch-0003.npz"]), allow_pickle=False) as file:
        for name in ("embedding", "lstm"):
            assert {f"encoder/{name}/left", f"encoder/{name}/right"} <= set(file.files)
        assert {"head/concatenate", "head/logit", "score"} <= set(file.files)
        assert {file[name].dtype.name for name in file.files} == {"float32"}
        assert file["encoder/lstm/left"].shape == (1, 8)


def test_the_logged_pair_is_the_first_of_validation(project):
    on = train(project, "looked", ON, "training.epochs=1")
    with (project / "validation.csv").open() as file:
        first = next(csv.DictReader(file))
    with np.load(on / "activations/epoch-0001.npz", allow_pickle=False) as file:
        for side in ("left", "right"):
            ids = file[f"encoder/ids/{side}"][0].astype(int)
            # Every letter occurs in training; padding is 0 and what is unknown 1.
            assert "".join(LETTERS[number - 2] for number in ids if number) == first[side]


def test_a_run_in_parts_leaves_the_files_of_one_that_ran_through(project, on):
    whole = files_below(on / "activations")
    # Its second epoch was committed without a file, as by a process killed in between.
    train(project, "parts", None, "training.epochs=2")
    parts = files_below(train(project, "parts", ON) / "activations")
    assert parts == whole


def test_an_unknown_layer_is_rejected_before_anything_is_written(project):
    config = set_up(project, {"metric_layers": ["encoder/lsmt"]})
    process = Forked(main, ["train", config])
    _, err = process.communicate(timeout=600)
    assert process.returncode == ExitCode.CONFIG
    assert "Did you mean 'encoder/lstm'? Available: encoder/ids, " in err
    assert not (project / "runs").exists()


@pytest.mark.prove
def test_logging_changes_nothing_on_two_replicas(project):
    states = []
    for name, activations in (("off", None), ("on", ON)):
        config = set_up(project, activations, devices="cpu:2")
        sets = (f"run.name={name}", "training.epochs=2", "export.enabled=false")
        overrides = [word for one in sets for word in ("--set", one)]
        run_forked(main, ["train", config, *overrides])
        states.append(state(project / "runs" / name))
    assert states[0] == states[1]
    files = files_below(project / "runs" / "on" / "activations")
    assert list(files) == ["epoch-0001.npz", "epoch-0002.npz"]
    with np.load(io.BytesIO(files["epoch-0002.npz"])) as file:
        assert np.isfinite(file["score"]).all()
