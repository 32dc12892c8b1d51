"""What happens to several workers at length: kills at random, dead-locks, stragglers."""

import random
import signal
import threading
import time

import numpy as np
import pytest

from job.errors import ExitCode
from tests.e2e.test_processes import summary
from tests.e2e.workers import SILENCE_SECONDS, Workers
from tests.tiny_kinds import make_project

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.prove]

# Stuck once, at the end of the second epoch: in native code that keeps Python's lock or not.
STUCK = """
import ctypes
import pathlib
import time
import keras

class Stuck(keras.callbacks.Callback):
    def __init__(self, holds_lock):
        super().__init__()
        self.pause = (ctypes.PyDLL(None) if holds_lock else ctypes.CDLL(None)).pause

    def on_epoch_end(self, epoch, logs=None):
        marker = pathlib.Path("stuck")
        if epoch == 1 and not marker.exists():
            marker.touch()
            self.pause()
"""
EPOCHS = "training.epochs=6"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the run `two`, which two workers trained undisturbed."""
    folder = tmp_path_factory.mktemp("storm")
    config = make_project(folder, "sequences")
    (folder / "stuck.py").write_text(STUCK)
    Workers(config, "run.name=two", EPOCHS).finish()
    return folder


def bits(found):
    return found["state_sha256"], found["metrics"], found["threshold"]


def finish(project, name, *sets):
    Workers(project / "tiny.yaml", f"run.name={name}", EPOCHS, *sets).finish()
    assert bits(summary(project, name)) == bits(summary(project, "two"))


@pytest.mark.parametrize("seed", range(20))
def test_a_worker_killed_at_random_never_changes_the_result(project, seed):
    random_ = random.Random(seed)
    name, victim = f"killed-{seed}", random_.randrange(2)
    workers = Workers(project / "tiny.yaml", f"run.name={name}", EPOCHS)
    workers.wait_for("all workers are here")
    time.sleep(random_.uniform(0.0, 12.0))
    workers.send(signal.SIGKILL, victim)
    codes = workers.codes(seconds=SILENCE_SECONDS + 10)
    if codes != [0, 0]:  # the run was not over by then
        assert codes[1 - victim] in (ExitCode.PEER_LOST, 0), workers.log(1 - victim)
    finish(project, name)


@pytest.mark.parametrize("victims", [(0,), (1,), (0, 1)])
def test_a_signal_to_any_worker_stops_all_at_one_step(project, victims):
    name = "stopped-" + "-".join(map(str, victims))
    workers = Workers(project / "tiny.yaml", f"run.name={name}", EPOCHS)
    workers.wait_for("checkpoint committed")
    workers.send(signal.SIGTERM, *victims)
    assert workers.codes(seconds=12) == [ExitCode.PREEMPTED] * 2
    finish(project, name)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_second_signal_ends_a_worker_at_once_and_the_other_has_lost_it(project, victim):
    name = f"twice-{victim}"
    workers = Workers(project / "tiny.yaml", f"run.name={name}", EPOCHS)
    workers.wait_for("checkpoint committed")
    workers.send(signal.SIGTERM, victim)
    workers.send(signal.SIGTERM, victim)
    codes = workers.codes(seconds=15)
    assert codes[victim] in (ExitCode.TERMINATED, ExitCode.PREEMPTED)
    assert codes[1 - victim] in (ExitCode.PEER_LOST, ExitCode.PREEMPTED)
    finish(project, name)


@pytest.mark.parametrize("holds_lock", [True, False])
def test_a_dead_lock_in_native_code_of_the_chief_is_noticed(project, holds_lock):
    (project / "stuck").unlink(missing_ok=True)
    name = f"stuck-{holds_lock}".lower()
    arguments = f"{{holds_lock: {str(holds_lock).lower()}}}"
    custom = f'callbacks.custom=[{{target: "stuck:Stuck", arguments: {arguments}}}]'
    sets = [f"run.name={name}", EPOCHS, custom, "training.stall_seconds=6"]
    workers = Workers(project / "tiny.yaml", *sets, cwd=project)
    workers.wait_for("epoch finished epoch=1/6")
    if holds_lock:  # nothing of Python runs there: only a supervisor could end it
        assert workers.processes[1].wait(60) == ExitCode.PEER_LOST
        assert "no sign of life" in workers.log(1)
        workers.send(signal.SIGKILL, 0)
        workers.codes()
    else:
        assert workers.codes(seconds=60) == [ExitCode.STALLED, ExitCode.PEER_LOST]
        assert "no progress for" in workers.log(0)
    Workers(project / "tiny.yaml", *sets, cwd=project).finish()
    assert bits(summary(project, name)) == bits(summary(project, "two"))


def test_a_straggler_is_waited_for(project):
    # It runs for a fifth of the time.
    workers = Workers(project / "tiny.yaml", "run.name=slow", EPOCHS)
    ended = threading.Event()

    def hold_back():
        while not ended.wait(0.05):
            workers.send(signal.SIGSTOP, 1)
            ended.wait(0.2)
            workers.send(signal.SIGCONT, 1)

    thread = threading.Thread(target=hold_back)
    thread.start()
    try:
        assert workers.processes[0].wait(180) == 0
    finally:
        ended.set()
        thread.join()
    assert workers.codes() == [0, 0]
    assert bits(summary(project, "slow")) == bits(summary(project, "two"))


def test_other_data_is_refused_on_all_workers(project, tmp_path):
    other = make_project(tmp_path, "sequences")
    with np.load(tmp_path / "sequences.npz") as stored:
        arrays = dict(stored)
    arrays["values"] = arrays["values"] + 1
    np.savez(tmp_path / "sequences.npz", **arrays)
    workers = Workers(
        project / "tiny.yaml",
        "run.name=other",
        f"run.root={project / 'runs'}",
        configs={1: other},
    )
    assert workers.codes(seconds=60) == [ExitCode.CONFIG] * 2
    assert "the data of worker 1 is not that of the chief" in workers.log(0)
    assert "the data of worker 1 is not that of the chief" in workers.log(1)
