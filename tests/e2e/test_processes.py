"""The program as a process: killed, scraped, piped and given several devices."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from job.cli import main
from job.errors import ExitCode
from tests.forked import Forked
from tests.tiny import save_config

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

STEPS = 60


@pytest.fixture
def long_project(project):
    """More epochs than one process gets to finish."""
    save_config(project, lambda config: config["training"].update(epochs=6, steps_per_call=2))
    return project


def arguments(project, *sets):
    """Without the export, which takes as long as the training."""
    sets = ("export.enabled=false", *sets)
    overrides = [word for assignment in sets for word in ("--set", assignment)]
    return ["train", str(project / "tiny.yaml"), *overrides]


def start(project, *sets):
    return Forked(main, arguments(project, *sets))


def start_cold(project, *sets):
    """A process as a user starts one, which has to import TensorFlow."""
    return subprocess.Popen(
        [sys.executable, "-m", "job", *arguments(project, *sets)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def wait_for(process, pattern):
    """Reads the log up to a line that matches; a process that never writes it is killed."""
    seen = []
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            seen.append(line)
            found = re.search(pattern, line)
            if found:
                return found
    finally:
        watchdog.cancel()
    raise AssertionError(f"{pattern!r} never came:\n{''.join(seen)}\n{process.stderr.read()}")


def summary(project, name="tiny"):
    return json.loads((project / "runs" / name / "summary.json").read_text())


def test_a_run_killed_again_and_again_ends_in_the_same_bits(long_project):
    code, _, err = finish(start_cold(long_project, "run.name=straight"))
    assert code == ExitCode.FINISHED, err

    # Killed at its first sign of training, after a commit, and while it validates.
    for sign in ("training step", "checkpoint committed", "epoch finished"):
        victim = start(long_project, "checkpoint.every_steps=4")
        wait_for(victim, sign)
        victim.send_signal(signal.SIGKILL)
        code, _, _ = finish(victim)
        assert code == -signal.SIGKILL

    code, out, err = finish(start(long_project, "checkpoint.every_steps=4"))
    assert code == ExitCode.FINISHED, err
    assert "resumed" in out
    killed, straight = summary(long_project), summary(long_project, "straight")
    assert killed["attempts"] == 4
    assert killed["state_sha256"] == straight["state_sha256"]
    assert killed["metrics"] == straight["metrics"]
    assert killed["best"]["value"] == straight["best"]["value"]


@pytest.mark.alone
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, ExitCode.PREEMPTED), (signal.SIGINT, ExitCode.INTERRUPTED)],
)
def test_a_signal_in_the_middle_of_an_epoch_is_answered_in_seconds(long_project, number, code):
    process = start(long_project, "training.epochs=100000", "logging.every_seconds=0.1")
    wait_for(process, r"training step=\d\d+")
    asked = time.monotonic()
    process.send_signal(number)
    assert finish(process)[0] == code
    assert time.monotonic() - asked < 12
    step = summary(long_project)["global_step"]
    again = start(long_project, "training.epochs=100000")
    assert int(wait_for(again, r"resumed .*step=(\d+)")[1]) == step
    again.kill()
    finish(again)


def test_a_second_ctrl_c_leaves_at_once(long_project):
    sign = long_project / "hangs"
    # The callback keeps the main thread busy where the first one can not be answered.
    (long_project / "slow.py").write_text(
        "import keras, pathlib, time\n"
        "class Slow(keras.callbacks.Callback):\n"
        "    def on_train_batch_end(self, batch, logs=None):\n"
        f"        pathlib.Path({str(sign)!r}).touch()\n"
        "        while True: time.sleep(0.01)\n"
    )
    save_config(
        long_project,
        lambda config: config.update(callbacks={"custom": [{"target": "slow:Slow"}]}),
    )
    process = start(long_project)
    deadline = time.monotonic() + 120
    while not sign.exists():  # nothing is printed from inside the callback
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == ExitCode.INTERRUPTED


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_metrics_are_served_from_before_tensorflow_to_the_last_scrape(long_project):
    process = start_cold(long_project, "training.epochs=100000", "logging.every_seconds=0.1")
    url = wait_for(process, r"metrics=(http://127\.0\.0\.1:\d+)/metrics")[1]
    status, text = fetch(f"{url}/metrics")
    assert status == 200
    assert 'siamese_run_phase{phase="initializing",run="tiny"} 1.0' in text
    assert fetch(f"{url}/readyz")[0] == 503
    wait_for(process, r"epoch finished epoch=2/")
    assert [fetch(url + route)[0] for route in ("/livez", "/readyz", "/startupz", "/x")] == [
        200,
        200,
        200,
        404,
    ]
    _, text = fetch(f"{url}/metrics")
    process.terminate()
    finish(process)
    for sample in (
        r'siamese_build_info\{.*version="',
        r'siamese_run_info\{.*encoder="lstm".*\} 1\.0',
        r'siamese_run_phase\{phase="(training|validating)",run="tiny"\} 1\.0',
        r'siamese_global_step\{run="tiny"\} \d\d',
        r'siamese_epoch\{run="tiny"\} [1-9]',
        r'siamese_loss\{run="tiny",split="train"\} 0\.',
        r'siamese_loss\{run="tiny",split="validation"\} 0\.',
        r'siamese_quality_ratio\{metric="roc_auc",run="tiny",split="validation"\} 0\.',
        r'siamese_learning_rate\{run="tiny"\} 0\.0',
        r'siamese_train_step_duration_seconds_count\{run="tiny"\} [1-9]',
        r'siamese_train_examples_total\{run="tiny"\} [1-9]',
        r'siamese_epochs_since_improvement\{run="tiny"\}',
        r'siamese_early_stopped\{run="tiny"\} 0\.0',
        r'siamese_checkpoint_last_step\{run="tiny"\} [1-9]',
        r'siamese_checkpoint_operations_total\{operation="save",result="success",run="tiny"\} ',
    ):
        assert re.search(sample, text), sample
    promtool = shutil.which("promtool")
    if promtool is None and not os.environ.get("CI"):
        pytest.skip("promtool is not installed (Debian package prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_endpoint_lingers_for_a_last_scrape(project):
    process = start(project, "training.epochs=1", "metrics.linger_seconds=60")
    url = wait_for(process, r"metrics=(http://127\.0\.0\.1:\d+/metrics)")[1]
    wait_for(process, "metrics stay up")
    _, text = fetch(url)
    assert 'siamese_run_phase{phase="succeeded",run="tiny"} 1.0' in text
    assert 'siamese_quality_ratio{metric="roc_auc",run="tiny",split="test"}' in text
    process.terminate()
    assert finish(process)[0] == ExitCode.FINISHED


def history(project, name):
    """The metrics of each epoch, without those that the pairs are too few for."""
    epochs = json.loads((project / "runs" / name / "history.json").read_text())
    return [
        {key: value for key, value in epoch.items() if value is not None} for epoch in epochs
    ]


def test_two_replicas_train_the_same_model_as_one(project):
    """Same global batch, same order; sums round differently, so a tolerance is left."""
    for name, devices in (("one", "cpu"), ("two", "cpu:2")):
        code, _, err = finish(
            start(project, f"run.name={name}", f"distribution.devices={devices}")
        )
        assert code == ExitCode.FINISHED, err
    for one, two in zip(history(project, "one"), history(project, "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-4)


@pytest.mark.prove
def test_more_replicas_reach_the_quality_of_one(tmp_path):
    example = str(Path(__file__).parents[2] / "examples" / "text.yaml")
    quality = {}
    for replicas in (1, 2, 4):
        name = f"on-{replicas}"
        sets = [f"run.root={tmp_path}", f"run.name={name}", "export.enabled=false"]
        sets += [f"distribution.devices=cpu:{replicas}", "training.epochs=2"]
        words = [word for one in sets for word in ("--set", one)]
        code, _, err = finish(Forked(main, ["train", example, *words]))
        assert code == ExitCode.FINISHED, err
        written = json.loads((tmp_path / name / "summary.json").read_text())
        quality[replicas] = written["metrics"]["test"]
    low, high = quality[1]["intervals"]["roc_auc"]
    assert high - low < 0.02
    assert low < quality[2]["roc_auc"] < high
    assert low < quality[4]["roc_auc"] < high


def test_replicas_that_can_not_share_the_batch_are_refused(project):
    process = start(project, "distribution.devices=cpu:3")
    code, _, err = finish(process)
    assert code == ExitCode.CONFIG
    assert "training.global_batch_size: 16 does not divide by the 3 replicas" in err
    assert not Path(project / "runs").exists()
