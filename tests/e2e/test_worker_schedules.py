"""Two workers under random schedules: they stop at one step, or not at all, and never hang."""

import json
import random
import re
import signal
import time
from contextlib import closing

import pytest

from job.errors import ExitCode
from job.storage.gcs.store import GsStore
from tests.e2e.test_processes import finish, start, summary
from tests.e2e.workers import SILENCE_SECONDS, Workers
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.tiny_kinds import make_project

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.prove]

NUM_SCHEDULES = 100
LONGEST_SECONDS = 60.0
# A worker whose chief was stopped before they met waits for another chief.
ARRIVAL = "distribution.arrival_seconds=20"
EPOCHS = "training.epochs=6"
STOP = "callbacks.early_stopping={monitor: val_loss, patience_epochs: 2}"
# How an attempt may end.
STOPPED = {ExitCode.PREEMPTED, ExitCode.TERMINATED, ExitCode.PEER_LOST}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the run `two`, which two workers trained undisturbed."""
    folder = tmp_path_factory.mktemp("schedules")
    Workers(make_project(folder, "sequences"), "run.name=two", EPOCHS, STOP).finish()
    return folder


def bits(found):
    return found["state_sha256"], found["metrics"], found["threshold"], found["outcome"]


def disturb(workers, random_):
    """Pauses and signals at random times; returns the exit codes."""
    workers.wait_for("data loaded" if random_.random() < 0.3 else "all workers are here")
    for _ in range(random_.randrange(3)):
        time.sleep(random_.uniform(0.0, 3.0))
        victim = random_.randrange(2)
        workers.send(signal.SIGSTOP, victim)
        time.sleep(random_.uniform(0.0, SILENCE_SECONDS / 4))
        workers.send(signal.SIGCONT, victim)
    if random_.random() < 0.8:
        time.sleep(random_.uniform(0.0, 5.0))
        for victim in random_.sample([0, 1], random_.choice([1, 1, 2])):
            workers.send(signal.SIGTERM, victim)
            time.sleep(random_.choice([0.0, 0.1, 1.0]))
    return workers.codes(seconds=LONGEST_SECONDS)


def stop_steps(workers):
    """The steps that the workers say they stopped at."""
    found = [re.findall(r"stopping .*\bstep=(\d+)", workers.log(worker)) for worker in (0, 1)]
    return {int(step) for steps in found for step in steps}


def test_random_schedules_never_stop_at_two_steps_and_never_hang(project):
    run, finished, stopped = 0, 0, 0
    for seed in range(NUM_SCHEDULES):
        name = f"schedule-{run}"
        workers = Workers(project / "tiny.yaml", f"run.name={name}", ARRIVAL, EPOCHS, STOP)
        codes = disturb(workers, random.Random(seed))
        said = "\n".join(workers.log(worker) for worker in (0, 1))
        assert len(stop_steps(workers)) <= 1, f"seed {seed}: {said}"
        if codes == [0, 0]:
            assert bits(summary(project, name)) == bits(summary(project, "two")), seed
            run, finished = run + 1, finished + 1
        else:
            assert set(codes) <= STOPPED, f"seed {seed}: {codes}\n{said}"
            for worker, code in enumerate(codes):
                # None gets two signals, so only a step that took too long is cut short.
                if code == ExitCode.TERMINATED:
                    assert "SIGTERM was not noticed within" in workers.log(worker), said
            stopped += 1
    assert finished > NUM_SCHEDULES // 10
    assert stopped > NUM_SCHEDULES // 3


def test_an_outage_of_the_bucket_is_no_hang_of_a_worker(project):
    sets = [
        *("run.name=away", EPOCHS, STOP, "run.root=gs://runs/e2e", "run.allow_emulator=true"),
        *("checkpoint.outage_budget_seconds=120", "training.stall_seconds=6"),
    ]
    with FakeGcs(bucket="runs") as bucket:
        address = {"STORAGE_EMULATOR_HOST": bucket.url}
        bucket.faults.add(Fault("insert", "status", times=None, skip=20))
        workers = Workers(project / "tiny.yaml", *sets, env=dict.fromkeys((0, 1), address))
        workers.wait_for("bucket does not answer")
        time.sleep(4 * SILENCE_SECONDS)
        assert [process.poll() for process in workers.processes.values()] == [None, None]
        bucket.faults.clear()
        workers.finish()
        assert "bucket answers again" in workers.log(0)
        with closing(GsStore("gs://runs/e2e/away", emulator=bucket.url)) as store:
            found = json.loads(store.read("summary.json").data)
    assert bits(found) == bits(summary(project, "two"))


def test_xception_ends_in_the_bits_of_two_replicas(tmp_path):
    config = make_project(tmp_path, "pictures")
    sets = [
        *("training.epochs=1", "data.size=71", "data.sampling.pairs_per_epoch=12"),
        *("model.encoder={kind: xception}", "training.per_replica_micro_batch_size=null"),
    ]
    Workers(config, "run.name=two", *sets).finish()
    code, _, err = finish(start(tmp_path, "run.name=one", "distribution.devices=cpu:2", *sets))
    assert code == ExitCode.FINISHED, err
    two, one = (summary(tmp_path, name) for name in ("two", "one"))
    assert bits(two) == bits(one)
