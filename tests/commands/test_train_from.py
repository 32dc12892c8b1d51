"""`train --from` and `run.init_from`, on one run that was trained to its end."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from job.checkpoints.records import Head, dumps, parse
from job.cli import main
from job.errors import ExitCode
from tests.tiny import files_below, make_project

pytestmark = pytest.mark.slow

# Its evaluated weights are not those that it trains.
AVERAGED = "training.ema_momentum=0.9"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project whose run `tiny` has 30 steps and checkpoints of the last few."""
    project = tmp_path_factory.mktemp("finished")
    make_project(project)
    assert train(project) == ExitCode.FINISHED
    return project


@pytest.fixture
def project(finished, tmp_path):
    """A copy, because a run keeps its bits when its directory is copied."""
    copy = tmp_path / "project"
    shutil.copytree(finished, copy)
    return copy


def train(project, *sets, flags=()):
    sets = (f"run.root={project / 'runs'}", AVERAGED, *sets)
    overrides = [word for one in sets for word in ("--set", one)]
    return main(["train", str(project / "tiny.yaml"), *overrides, *flags])


def summary(project, name="tiny"):
    return json.loads((project / "runs" / name / "summary.json").read_text())


def steps(project, capsys):
    capsys.readouterr()
    main(["checkpoints", "ls", str(project / "runs" / "tiny"), "--json"])
    listed = json.loads(capsys.readouterr().out)["checkpoints"]
    return [one["step"] for one in listed if one["restorable"]]


def test_a_finished_run_is_trained_again_from_an_older_step(project, capsys):
    before = summary(project)
    first, *later = steps(project, capsys)
    assert later
    without = ["export.enabled=false"]
    assert train(project, *without, flags=["--from", str(first)]) == ExitCode.FINISHED
    out = capsys.readouterr().out
    assert re.search(rf"resumed attempt=2 step={first} ", out)
    after = summary(project)
    assert (after["attempts"], after["global_step"]) == (2, 30)
    assert after["state_sha256"] == before["state_sha256"]
    assert after["best"]["value"] == before["best"]["value"]
    assert steps(project, capsys)[-1] == 30


def test_a_finished_run_names_the_settings_that_it_was_finished_without(project, capsys):
    before, files = summary(project), files_below(project / "runs")
    sets = ["evaluation.threshold=f1", "evaluation.calibration=none", "export.enabled=false"]
    assert train(project, *sets, "logging.every_seconds=9") == ExitCode.FINISHED
    out = capsys.readouterr().out
    (line,) = [one for one in out.splitlines() if "settings not applied" in one]
    for text in (
        "evaluation.threshold: finished with 'accuracy', the config says 'f1'",
        "evaluation.calibration: finished with 'platt', the config says 'none'",
        "export.enabled: finished with true, the config says false",
        "siamese-job evaluate CONFIG",
        "siamese-job train CONFIG --from 30",
    ):
        assert text in line
    assert "logging" not in line
    assert files_below(project / "runs") == files
    # What it names does apply them, without training.
    assert train(project, *sets, flags=["--from", "30"]) == ExitCode.FINISHED
    after = summary(project)
    assert after["state_sha256"] == before["state_sha256"]
    assert (before["threshold_target"], after["threshold_target"]) == ("accuracy", "f1")
    assert after["calibration"]["kind"] == "none"
    capsys.readouterr()
    assert train(project, *sets) == ExitCode.FINISHED
    assert "settings not applied" not in capsys.readouterr().out


def test_a_run_that_an_older_version_finished_has_no_settings_to_compare(project, capsys):
    path = project / "runs" / "tiny" / "HEAD.json"
    head = parse(Head, path.read_bytes())
    older = {name: value for name, value in head.facts.items() if name != "settings"}
    assert len(older) < len(head.facts)
    path.write_bytes(dumps(replace(head, facts=older)))
    assert train(project, "evaluation.threshold=f1") == ExitCode.FINISHED
    out = capsys.readouterr().out
    assert "already finished" in out
    assert "settings not applied" not in out


def test_a_step_without_a_checkpoint_is_refused_before_anything_is_written(project, capsys):
    known = ", ".join(map(str, steps(project, capsys)))
    before = files_below(project / "runs")
    assert train(project, flags=["--from", "7"]) == ExitCode.CONFIG
    assert f"There are: {known}." in capsys.readouterr().err
    assert train(project, "run.name=new", flags=["--from", "7"]) == ExitCode.CONFIG
    assert "contains no run" in capsys.readouterr().err
    assert {
        name: data for name, data in files_below(project / "runs").items() if "lock" not in name
    } == {name: data for name, data in before.items() if "lock" not in name}


def test_a_diverged_run_names_the_checkpoint_to_train_again(project, capsys):
    # Steps 26 to 28 diverge; the checkpoint of an earlier one is finite.
    (project / "bomb.py").write_text(
        "import keras\n"
        "class Bomb(keras.callbacks.Callback):\n"
        "    def on_epoch_begin(self, epoch, logs=None):\n"
        "        if epoch == 2: self.model.optimizer.learning_rate = 1e38\n"
        "    def get_state(self): return None\n"
        "    def set_state(self, state): pass\n"
    )
    sets = ["run.name=bomb", 'callbacks.custom=[{target: "bomb:Bomb"}]']
    assert train(project, *sets) == ExitCode.DIVERGED
    err = capsys.readouterr().err
    found = re.search(r"finite weights is that of step (\d+): `siamese-job train CONFIG", err)
    assert found, err
    assert int(found[1]) >= 20


@pytest.mark.parametrize("source", ["", "/export", "/export/pair_model.keras"])
def test_a_run_starts_from_the_weights_of_another(project, capsys, source):
    sets = [
        "run.name=new",
        f"run.init_from={project / 'runs' / 'tiny'}{source}",
        "training.epochs=1",
        "training.steps_per_epoch=1",
        "training.optimizer.learning_rate=1e-30",
        "export.enabled=false",
    ]
    assert train(project, *sets) == ExitCode.FINISHED
    assert "initial weights" in capsys.readouterr().out
    new, old = summary(project, "new"), summary(project)
    assert (new["global_step"], new["epochs"]) == (1, 1)
    assert new["metrics"]["test"] == old["metrics"]["test"]
    if not source:
        # A run that has started does not need the source any more.
        shutil.rmtree(project / "runs" / "tiny")
        assert train(project, *sets, "training.epochs=2") == ExitCode.FINISHED


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["model.encoder.units=5"], r"has shape \(\d+, \d+\) in this model, \(\d+, \d+\) in"),
        (["run.init_from={root}/absent"], "contains neither config.json nor pair_model.keras"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
    project, capsys, sets, message
):
    root = project / "runs"
    common = ["run.name=new", f"run.init_from={root / 'tiny'}"]
    code = train(project, *common, *(one.format(root=root) for one in sets))
    assert code == ExitCode.CONFIG
    assert re.search(message, capsys.readouterr().err)
    assert not (root / "new").exists()


def test_another_vocabulary_is_refused_with_what_differs(project, capsys):
    train_file = project / "train.csv"
    train_file.write_text(train_file.read_text().replace("d", "z"))
    sets = ["run.name=new", f"run.init_from={project / 'runs' / 'tiny'}"]
    assert train(project, *sets) == ExitCode.CONFIG
    err = capsys.readouterr().err
    assert "only there: ['d'], only here: ['z']" in err
