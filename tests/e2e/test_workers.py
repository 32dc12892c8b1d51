"""Several workers train the same model as one, whatever happens to them."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from job.errors import ExitCode
from tests.e2e.test_processes import finish, start, summary
from tests.e2e.workers import SILENCE_SECONDS, Workers
from tests.tiny_kinds import make_project

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

CUSTOM = """
import keras

class Cut(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.9 * float(
            self.model.optimizer.learning_rate.value.numpy())

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.get_weights()
        self.model.set_weights([0.5 * weight for weight in weights])
        if epoch == 1:
            self.model.stop_training = True
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the run `two`, which two workers trained undisturbed."""
    folder = tmp_path_factory.mktemp("workers")
    config = make_project(folder, "sequences")
    (folder / "steering.py").write_text(CUSTOM)
    Workers(config, "run.name=two").finish()
    return folder


def run_as_one(folder, name, *sets):
    """Trains on two replicas of one process."""
    code, _, err = finish(
        start(folder, f"run.name={name}", "distribution.devices=cpu:2", *sets)
    )
    assert code == ExitCode.FINISHED, err
    return summary(folder, name)


def bits(found):
    return found["state_sha256"], found["metrics"], found["threshold"]


def test_two_workers_end_in_the_bits_of_two_replicas_of_one_process(project):
    assert bits(summary(project, "two")) == bits(run_as_one(project, "one"))


@pytest.mark.prove
def test_items_that_are_not_stored_in_batches_of_pictures_do_as_well(tmp_path):
    # In-batch negatives of all workers, augmentation, dropout, micro batches.
    config = make_project(tmp_path, "pictures")
    sets = ["training.epochs=2"]
    Workers(config, "run.name=two", *sets).finish()
    assert bits(summary(tmp_path, "two")) == bits(run_as_one(tmp_path, "one", *sets))


@pytest.mark.parametrize("victim", [pytest.param(0, marks=pytest.mark.prove), 1])
def test_a_killed_worker_ends_the_others_and_the_next_attempt_ends_in_the_same_bits(
    project, victim
):
    config, name = project / "tiny.yaml", f"run.name=killed-{victim}"
    workers = Workers(config, name)
    workers.wait_for("checkpoint committed")
    workers.send(signal.SIGKILL, victim)
    codes = workers.codes(seconds=SILENCE_SECONDS + 10)
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] == ExitCode.PEER_LOST, workers.log(1 - victim)
    assert "is lost: its connection ended" in workers.log(1 - victim)
    Workers(config, name).finish()
    assert bits(summary(project, f"killed-{victim}")) == bits(summary(project, "two"))


def test_sigterm_to_a_follower_stops_all_at_one_step_and_one_process_goes_on(project):
    config = project / "tiny.yaml"
    workers = Workers(config, "run.name=stopped")
    workers.wait_for("checkpoint committed")
    workers.send(signal.SIGTERM, 1)
    assert workers.codes(seconds=15) == [ExitCode.PREEMPTED] * 2
    assert "stopping signal=SIGTERM" in workers.log(0)
    assert "leads=" in workers.log(1)
    # Two replicas of one process take over from two workers.
    assert bits(run_as_one(project, "stopped")) == bits(summary(project, "two"))


@pytest.mark.prove
def test_a_frozen_worker_is_noticed_and_its_process_does_nothing_any_more(project):
    config = project / "tiny.yaml"
    workers = Workers(config, "run.name=frozen")
    workers.wait_for("checkpoint committed")
    workers.send(signal.SIGSTOP, 0)
    began = time.monotonic()
    workers.processes[1].wait(SILENCE_SECONDS + 10)
    assert time.monotonic() - began > SILENCE_SECONDS - 2
    workers.send(signal.SIGCONT, 0)
    assert workers.codes(seconds=15) == [ExitCode.PEER_LOST] * 2
    assert "no sign of life" in workers.log(1)


@pytest.mark.parametrize(
    ("own", "code", "said"),
    [
        (["training.epochs=7"], ExitCode.CONFIG, "worker 1: training.epochs: 4 and 7"),
        (["run.seed=4"], ExitCode.CONFIG, "worker 1: run.seed: 3 and 4"),
    ],
)
def test_a_mixture_is_refused_before_tensorflow_is_loaded(project, own, code, said):
    workers = Workers(project / "tiny.yaml", "run.name=mixed", own={1: own})
    assert workers.codes(seconds=20) == [code] * 2
    assert said in workers.log(0)
    assert said in workers.log(1)
    assert not (project / "runs" / "mixed").exists()


def test_another_version_of_a_library_is_refused(project, tmp_path):
    metadata = tmp_path / "numpy-99.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 99.0\n")
    workers = Workers(project / "tiny.yaml", "run.name=versions", start=[0])
    place = {"WORKER_ADDRESSES": workers.addresses, "JOB_COMPLETION_INDEX": "1"}
    sets = ["run.name=versions", "metrics.port=0", "distribution.devices=cpu"]
    command = [sys.executable, "-m", "job", "train", str(project / "tiny.yaml")]
    follower = subprocess.run(
        [*command, *(word for one in sets for word in ("--set", one))],
        env={**os.environ, **place, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert workers.codes(seconds=20) == [ExitCode.CONFIG]
    assert follower.returncode == ExitCode.CONFIG
    said = f"worker 1: versions.numpy: {np.__version__!r} and '99.0'"
    assert said in workers.log(0)
    assert said in follower.stderr


def test_a_worker_that_never_comes_is_named(project):
    sets = ["run.name=missing", "distribution.arrival_seconds=2"]
    workers = Workers(project / "tiny.yaml", *sets, start=[0])
    assert workers.codes(seconds=20) == [ExitCode.PEER_LOST]
    assert "worker 1 (follower, 127.0.0.1) did not come within 2 s" in workers.log(0)


def test_a_finished_run_is_found_finished_by_all(project):
    workers = Workers(project / "tiny.yaml", "run.name=two")
    assert workers.codes(seconds=20) == [0, 0]
    assert "the chief has finished the run" in workers.log(1)


@pytest.mark.prove
def test_custom_callbacks_run_on_the_chief_and_steer_all(project):
    # They cut the rate in each batch, change weights and stop in the end.
    sets = ['callbacks.custom=[{target: "steering:Cut"}]']
    Workers(project / "tiny.yaml", "run.name=steered-two", *sets).finish()
    two, one = summary(project, "steered-two"), run_as_one(project, "steered-one", *sets)
    assert two["outcome"] == "stopped_early"
    assert bits(two) == bits(one)


@pytest.mark.prove
def test_fewer_validation_pairs_than_workers_are_enough(project):
    sets = [
        "evaluation.validation_pairs=2",
        "training.epochs=1",
        "training.global_batch_size=6",
    ]
    Workers(project / "tiny.yaml", "run.name=few", *sets, count=3).finish()
    assert summary(project, "few")["outcome"] == "finished"
