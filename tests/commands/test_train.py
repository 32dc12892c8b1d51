"""The whole command in this process, on a data set of seconds."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from job.cli import main
from job.errors import ExitCode, JobError
from job.run import quality
from tests.tiny import files_below, make_project, save_config

pytestmark = pytest.mark.slow


def summary(project, name="tiny"):
    return json.loads((project / "runs" / name / "summary.json").read_text())


def train(project, *sets):
    overrides = [word for assignment in sets for word in ("--set", assignment)]
    return main(["train", str(project / "tiny.yaml"), *overrides])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project that was trained once, and the process that did it."""
    folder = tmp_path_factory.mktemp("finished")
    make_project(folder)
    command = [sys.executable, "-m", "job", "train", str(folder / "tiny.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == ExitCode.FINISHED, done.stderr
    return folder, done


@pytest.fixture
def trained(finished, tmp_path):
    """A copy of it."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    save_config(tmp_path, lambda config: None)
    return tmp_path


def test_a_run_ends_with_a_summary_that_scripts_can_read(trained):
    content = summary(trained)
    assert content["schema"] == 1
    assert (content["outcome"], content["exit_code"]) == ("finished", 0)
    assert (content["global_step"], content["epochs"], content["attempts"]) == (30, 3, 1)
    assert re.fullmatch(r"[0-9a-f]{64}", content["state_sha256"])
    assert content["best"]["monitor"] == "val_loss"
    assert 0 <= content["threshold"] <= 1
    assert content["seconds"] > 0
    test = content["metrics"]["test"]
    assert 0 <= test["roc_auc"] <= 1
    assert test["baseline_roc_auc"] == max(test["baselines"].values())
    assert 0 <= content["metrics"]["validation"]["roc_auc"] <= 1


def test_everything_the_summary_names_was_written(trained):
    folder = trained / "runs" / "tiny"
    for path in summary(trained)["artifacts"].values():
        assert (folder / path).exists(), path
    quarantine = json.loads((folder / "quarantine.json").read_text())
    assert (quarantine["rows_read"], quarantine["bad"]) == (288, 0)
    history = json.loads((folder / "history.json").read_text())
    assert len(history) == 3
    assert {"loss", "accuracy", "val_loss", "val_roc_auc", "learning_rate"} <= set(history[0])


def test_a_person_can_follow_the_log(finished):
    _, done = finished
    for expected in (
        "siamese-job starts",
        r'train="160 pairs \(50% match\)"',
        "model built .*weights",
        r"training step=\d+/30 epoch=1/3 loss=",
        r"epoch finished epoch=3/3 .*val_roc_auc=.*best=",
        "run finished .*test_roc_auc=",
        "ROC-AUC +0",
        "baseline edit similarity",
        "a pair matches from score",
        "written to .*tiny",
    ):
        assert re.search(expected, done.stdout), expected
    assert "\r" not in done.stdout
    # TensorFlow says so before its own log level applies; the third depends on the CPU.
    known = (
        "before absl::InitializeLog()",
        "Could not find cuda drivers",
        "oneDNN custom operations are on",
    )
    assert [one for one in done.stderr.splitlines() if not any(k in one for k in known)] == []


def test_a_finished_run_says_so_and_writes_nothing(trained, capsys):
    before = files_below(trained / "runs")
    assert train(trained) == ExitCode.FINISHED
    assert "already finished" in capsys.readouterr().out
    assert files_below(trained / "runs") == before


def test_more_epochs_take_a_finished_run_further(trained):
    assert train(trained, "training.epochs=4") == ExitCode.FINISHED
    content = summary(trained)
    assert (content["epochs"], content["global_step"], content["attempts"]) == (4, 40, 2)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(trained):
    hashes = [summary(trained)["state_sha256"]]
    for name, seed in (("same", 3), ("other", 4)):
        sets = (f"run.name={name}", f"run.seed={seed}", "export.enabled=false")
        assert train(trained, *sets) == ExitCode.FINISHED
        hashes.append(summary(trained, name)["state_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def pull_plug(project, number, *, after_steps):
    """A callback next to the config that sends this process a signal, as a cluster would."""
    (project / "plug.py").write_text(
        "import os, keras\n"
        "class Plug(keras.callbacks.Callback):\n"
        "    calls = 0\n"
        "    def on_train_batch_end(self, batch, logs=None):\n"
        "        Plug.calls += 1\n"
        f"        if Plug.calls == {after_steps}: os.kill(os.getpid(), {int(number)})\n"
        "    def get_state(self): return None\n"
        "    def set_state(self, state): pass\n"
    )
    return save_config(
        project,
        lambda config: config.update(
            callbacks={"custom": [{"target": "plug:Plug"}]},
            training=config["training"] | {"steps_per_call": 2},
        ),
    )


@pytest.fixture
def _handlers_restored():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_handlers_restored")
@pytest.mark.parametrize(
    ("number", "code", "outcome"),
    [
        (signal.SIGTERM, ExitCode.PREEMPTED, "preempted"),
        (signal.SIGINT, ExitCode.INTERRUPTED, "interrupted"),
    ],
)
def test_a_stopped_run_resumes_at_that_step_and_ends_in_the_same_bits(
    finished, project, capsys, number, code, outcome
):
    pull_plug(project, number, after_steps=4)
    assert train(project) == code
    stopped = summary(project)
    assert (stopped["outcome"], stopped["exit_code"]) == (outcome, code)
    assert 0 < stopped["global_step"] < 30
    assert f"Step {stopped['global_step']} " in capsys.readouterr().err

    assert train(project) == ExitCode.FINISHED
    out = capsys.readouterr().out
    assert re.search(rf"resumed attempt=2 step={stopped['global_step']} ", out)
    assert summary(project)["state_sha256"] == summary(finished[0])["state_sha256"]
    assert summary(project)["attempts"] == 2
    sys.modules.pop("plug")


def test_a_loss_that_is_not_finite_ends_with_its_own_code(project, capsys):
    code = train(project, "training.optimizer.learning_rate=1e38")
    assert code == ExitCode.DIVERGED
    assert summary(project)["outcome"] == "diverged"
    assert re.search(
        r"siamese-job: The loss became (nan|inf) at step \d+", capsys.readouterr().err
    )


def test_a_model_with_nan_weights_is_not_evaluated_whatever_the_policy(project, capsys):
    save_config(project, lambda config: config.update(callbacks={"terminate_on_nan": False}))
    code = train(project, "training.optimizer.learning_rate=1e38")
    assert code == ExitCode.DIVERGED
    assert "scores that are not finite" in capsys.readouterr().err
    assert summary(project)["outcome"] == "diverged"


def test_the_exported_scorer_takes_strings_and_repeats_the_golden_scores(trained):
    import tensorflow as tf

    folder = trained / "runs" / "tiny" / "export"
    golden = json.loads((folder / "golden.json").read_text())
    model = tf.saved_model.load(str(folder / "scorer"))
    left, right = ([row[side] for row in golden] for side in ("left", "right"))
    answer = model.score(left=tf.constant(left), right=tf.constant(right))
    np.testing.assert_allclose(
        answer["score"], [row["score"] for row in golden], rtol=0, atol=1e-6
    )
    threshold = summary(trained)["threshold"]
    expected = [row["score"] >= threshold for row in golden]
    assert answer["match"].numpy().tolist() == expected
    assert model.embed(item=tf.constant(["abc", "\u65e5"]))["embedding"].shape == (2, 4)


def test_the_exported_models_are_of_layers_that_keras_has(trained):
    for name in ("encoder", "pair_model"):
        with zipfile.ZipFile(trained / f"runs/tiny/export/{name}.keras") as archive:
            config = archive.read("config.json").decode()
        assert '"LSTM"' in config
        assert "PairDropout" not in config


def test_evaluate_repeats_the_metrics_of_training_and_writes_nothing(trained, capsys):
    before = files_below(trained / "runs")
    assert main(["evaluate", str(trained / "tiny.yaml"), "--json"]) == ExitCode.FINISHED
    report = json.loads(capsys.readouterr().out)
    assert report["metrics"] == summary(trained)["metrics"]
    assert report["threshold"] == summary(trained)["threshold"]
    assert files_below(trained / "runs") == before
    assert main(["evaluate", str(trained / "tiny.yaml")]) == ExitCode.FINISHED
    assert "a pair matches from score" in capsys.readouterr().out


def test_evaluate_computes_with_as_many_threads_as_the_run_did(trained, monkeypatch):
    threads = []

    def build(config, *, dataset, stored_threads):
        threads.append(stored_threads)
        raise JobError("that is all this test asks")

    monkeypatch.setattr("job.run.components.build_components", build)
    assert main(["evaluate", str(trained / "tiny.yaml")]) == ExitCode.UNEXPECTED
    stored = json.loads((trained / "runs/tiny/config.json").read_text())
    assert threads == [stored["derived"]["compute_threads"]]


def test_evaluate_refuses_other_data_than_the_run_has(trained, capsys):
    lines = (trained / "train.csv").read_text().splitlines(keepends=True)
    (trained / "train.csv").write_text("".join([lines[0], *reversed(lines[1:])]))
    assert main(["evaluate", str(trained / "tiny.yaml")]) == ExitCode.CONFIG
    assert "A run keeps its data" in capsys.readouterr().err


def test_evaluate_without_a_run_names_the_remedy(project, capsys):
    assert main(["evaluate", str(project / "tiny.yaml")]) == ExitCode.CONFIG
    assert "no committed checkpoint" in capsys.readouterr().err
    assert not (project / "runs").exists()


def test_json_logs_are_one_object_a_line(project, capsys):
    sets = ("logging.format=json", "training.epochs=1", "export.enabled=false")
    assert train(project, *sets) == ExitCode.FINISHED
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {record["run"] for record in records} == {"tiny"}
    assert "run finished" in {record["event"] for record in records}
    assert all("step" in record for record in records if record["event"] == "epoch finished")


def spoil_after_first_epoch(project, *, module):
    """A callback that makes every later epoch worse; a module's name can be used only once."""
    (project / f"{module}.py").write_text(
        "import keras\n"
        "class Spoiler(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        self.model.optimizer.learning_rate = 10.0\n"
    )
    target = f"{module}:Spoiler"
    save_config(
        project, lambda config: config.update(callbacks={"custom": [{"target": target}]})
    )


def test_best_weights_are_measured_and_the_last_ones_hashed(project):
    spoil_after_first_epoch(project, module="spoiler")
    for name in ("best", "last"):
        sets = (f"run.name={name}", f"evaluation.weights={name}", "export.enabled=false")
        assert train(project, *sets) == ExitCode.FINISHED
    best, last = summary(project, "best"), summary(project, "last")
    assert best["best"]["epoch"] == last["best"]["epoch"] == 1
    assert best["state_sha256"] == last["state_sha256"]
    assert best["metrics"]["validation"]["loss"] < last["metrics"]["validation"]["loss"]


@pytest.mark.usefixtures("_handlers_restored")
def test_a_stop_while_measuring_names_the_last_state_and_the_next_start_ends_the_run(
    project, capsys, monkeypatch
):
    spoil_after_first_epoch(project, module="measured")
    measure = quality.evaluate

    def stopped(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        return measure(*args, **kwargs)

    monkeypatch.setattr(quality, "evaluate", stopped)
    assert train(project) == ExitCode.PREEMPTED
    preempted = summary(project)
    monkeypatch.setattr(quality, "evaluate", measure)
    assert train(project) == ExitCode.FINISHED
    finished = summary(project)
    assert preempted["best"]["epoch"] == finished["best"]["epoch"] == 1
    assert preempted["state_sha256"] == finished["state_sha256"]
    assert (preempted["metrics"], finished["epochs"]) == (None, 3)


def test_metrics_can_be_turned_off(project, capsys):
    sets = ("metrics.enabled=false", "training.epochs=1", "export.enabled=false")
    assert train(project, *sets) == ExitCode.FINISHED
    assert "metrics=off" in capsys.readouterr().out
    assert summary(project)["metrics_port"] is None
    assert os.listdir(project / "runs" / "tiny")


def test_the_additive_head_is_warned_about_once(project, capsys):
    sets = ("model.head.kind=concat", "training.epochs=1", "export.enabled=false")
    assert train(project, *sets) == ExitCode.FINISHED
    out = capsys.readouterr().out
    [warning] = [line for line in out.splitlines() if "additive head" in line]
    assert " WARNING " in warning
    assert "cannot express similarity" in warning


# tests/e2e/test_kinds.py kills such a run of images.
@pytest.mark.prove
def test_a_run_trains_on_the_pairs_of_the_batch_and_can_be_killed_and_resumed(project):
    sets = ["model.head.kind=cosine", "training.loss.kind=multiple_negatives"]
    assert train(project, *sets) == ExitCode.FINISHED
    whole = summary(project)
    history = json.loads((project / "runs/tiny/history.json").read_text())
    assert history[-1]["loss"] < history[0]["loss"]
    again = ["run.name=again", "export.enabled=false", *sets]
    assert train(project, *again, "training.epochs=1") == ExitCode.FINISHED
    assert train(project, *again) == ExitCode.FINISHED
    assert summary(project, "again")["state_sha256"] == whole["state_sha256"]
    golden = json.loads((project / "runs/tiny/export/golden.json").read_text())
    assert all(0 < row["score"] < 1 for row in golden)


def test_how_many_steps_share_a_call_changes_no_bit(project, capsys):
    # Texts of other lengths are padded otherwise, and a mean over time would show it.
    (project / "train.csv").write_text(
        "left,right,label\n"
        + "".join(
            f"{'ab' * (n % 9 + 1)}{n},{'ab' * (n % 9 + 1)}{n + n % 2},{(n + 1) % 2}\n"
            for n in range(160)
        )
    )
    common = [
        "model.encoder.pooling=mean",
        "training.bucket_window_batches=4",
        "export.enabled=false",
    ]
    for steps in (1, 16):
        sets = [f"run.name=by-{steps}", f"training.steps_per_call={steps}", *common]
        assert train(project, *sets) == ExitCode.FINISHED
    assert summary(project, "by-1")["state_sha256"] == summary(project, "by-16")["state_sha256"]
