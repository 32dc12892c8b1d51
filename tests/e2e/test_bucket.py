"""The program with a bucket that fails: it goes on, ends in the same bits, and says so once."""

import json
import os
import time
from dataclasses import dataclass

import pytest

from job.cli import main
from job.errors import ExitCode
from job.storage.gcs.store import GsStore
from tests.fakes.gcs_server import FakeGcs, Fault
from tests.forked import Forked, run_forked
from tests.tiny import make_project, save_config

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    log: str
    error: str


def into_bucket(project, *, export):
    def change(config):
        config["run"].update(root="gs://runs/e2e", allow_emulator=True)
        config["export"] = {"enabled": export}

    save_config(project, change)


@pytest.fixture
def bucket(project):
    """A bucket `runs`, and a project whose runs go there."""
    into_bucket(project, export=False)
    with FakeGcs(bucket="runs") as server:
        yield server


def start(bucket, *arguments):
    env = {**os.environ, "STORAGE_EMULATOR_HOST": bucket.url}
    return Forked(main, arguments, env=env)


def train(project, bucket, *sets, command="train"):
    overrides = [word for assignment in sets for word in ("--set", assignment)]
    process = start(bucket, command, str(project / "tiny.yaml"), *overrides)
    out, err = process.communicate()
    return Ended(process.returncode, out, err)


def summary(bucket, name="tiny"):
    store = GsStore(f"gs://runs/e2e/{name}", emulator=bucket.url)
    try:
        return json.loads(store.read("summary.json").data)
    finally:
        store.close()


@pytest.fixture(scope="module")
def undisturbed_bits(tmp_path_factory):
    """state_sha256 of the same run in a folder, where nothing fails."""
    project = tmp_path_factory.mktemp("undisturbed")
    make_project(project)
    run_forked(main, ["train", str(project / "tiny.yaml"), "--set", "export.enabled=false"])
    return json.loads((project / "runs/tiny/summary.json").read_text())["state_sha256"]


FAULTS = {
    "reset in the middle of an upload, then a 503 burst": [
        Fault("insert", "reset_before", name="state-00000"),
        Fault("insert", "status", times=4, name="COMMIT.json"),
    ],
    "acknowledgements lost after the write, and content damaged on its way": [
        Fault("insert", "reset_after", name="state-00000"),
        Fault("insert", "corrupt", name="COMMIT.json"),
        Fault("insert", "reset_after", skip=3, name="HEAD.json"),
    ],
}


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(faults, id=name, marks=[pytest.mark.prove] * ("damaged" in name))
        for name, faults in FAULTS.items()
    ],
)
def test_training_goes_on_through_a_fault_and_says_so_once(
    project, bucket, faults, undisturbed_bits
):
    bucket.faults.add(*faults)
    ended = train(project, bucket)
    assert ended.code == ExitCode.FINISHED, ended.log + ended.error
    assert bucket.faults.num_met >= len(faults)
    assert summary(bucket)["state_sha256"] == undisturbed_bits
    assert summary(bucket)["attempts"] == 1
    for line in ("bucket does not answer, retrying", "bucket answers again"):
        assert ended.log.count(line) == len(faults), ended.log


def test_an_outage_beyond_its_budget_ends_the_attempt_and_the_next_one_goes_on(
    project, bucket, undisturbed_bits
):
    bucket.faults.add(Fault("insert", "status", times=None, skip=12))
    ended = train(project, bucket, "checkpoint.outage_budget_seconds=2")
    assert ended.code == ExitCode.STORAGE_OUTAGE, ended.log + ended.error
    assert "the run resumes from its last commit" in ended.error
    assert ended.log.count("bucket does not answer, retrying") == 1, ended.log
    bucket.faults.clear()
    ended = train(project, bucket)
    assert ended.code == ExitCode.FINISHED, ended.error
    assert "resumed attempt=2" in ended.log
    assert summary(bucket)["state_sha256"] == undisturbed_bits


@pytest.mark.alone
def test_sigterm_while_the_bucket_is_away_ends_in_seconds_and_the_next_start_goes_on(
    project, bucket, undisturbed_bits
):
    bucket.faults.add(Fault("insert", "status", times=None, skip=12))
    process = start(bucket, "train", str(project / "tiny.yaml"))
    for line in process.stdout:
        if "bucket does not answer" in line:
            break
    asked = time.monotonic()
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert process.returncode == ExitCode.PREEMPTED
    assert time.monotonic() - asked < 12
    assert "steps after the last checkpoint may be lost" in error
    bucket.faults.clear()
    assert train(project, bucket).code == ExitCode.FINISHED
    assert summary(bucket)["state_sha256"] == undisturbed_bits


def test_no_bucket_is_a_configuration_error_before_tensorflow_is_loaded(project, bucket):
    ended = train(project, bucket, "run.root=gs://nobody-made-this/e2e")
    assert ended.code == ExitCode.CONFIG
    assert "there is no bucket 'nobody-made-this'" in ended.error
    assert "model built" not in ended.log
    assert ended.error.count("\n") == 1, ended.error


@pytest.mark.parametrize("permission", ["create", "get", "delete", "list"])
def test_a_missing_permission_is_named_before_the_first_step(project, bucket, permission):
    bucket.bucket.denied.add(f"storage.objects.{permission}")
    # An operation that was allowed a moment before is tried again until then.
    ended = train(project, bucket, "checkpoint.outage_budget_seconds=3")
    assert ended.code == ExitCode.PERMISSION, ended.log + ended.error
    assert f"storage.objects.{permission}" in ended.error
    assert "model built" not in ended.log
    assert ended.error.count("\n") == 1, ended.error


def test_an_emulator_is_refused_unless_it_is_allowed(project, bucket):
    ended = train(project, bucket, "run.allow_emulator=false")
    assert ended.code == ExitCode.CONFIG
    assert "run.allow_emulator" in ended.error
    assert bucket.faults.requests == []


def test_a_run_in_a_bucket_is_read_back_as_one_in_a_folder(project, bucket):
    into_bucket(project, export=True)
    assert train(project, bucket).code == ExitCode.FINISHED
    again = train(project, bucket)
    assert again.code == ExitCode.FINISHED
    assert "already finished" in again.log
    evaluated = train(project, bucket, command="evaluate")
    assert evaluated.code == ExitCode.FINISHED, evaluated.error
    test = summary(bucket)["metrics"]["test"]
    assert f"{test['roc_auc']:.4f}" in evaluated.log
    changed = train(project, bucket, "training.global_batch_size=8")
    assert changed.code == ExitCode.CONFIG
    assert "training.global_batch_size" in changed.error
