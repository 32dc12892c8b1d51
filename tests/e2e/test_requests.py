"""The program killed at every request to its bucket: the next start ends like nothing was."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from job.cli import main
from job.errors import ExitCode
from job.run.verify_resume.compare import compare, last_contents
from job.storage.gcs.store import GsStore
from tests.fakes.gcs.faults import Fault
from tests.fakes.gcs_server import FakeGcs
from tests.forked import Forked
from tests.tiny import make_project, save_config

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.prove]

# Where a request reads, its end and the beginning of the next one leave the same bucket.
CHANGES = ("insert", "delete", "start", "part")
UNDISTURBED = "undisturbed"
HANGS_SECONDS = 600.0


def start(project: Path, bucket: FakeGcs, name: str) -> Forked:
    env = {**os.environ, "STORAGE_EMULATOR_HOST": bucket.url}
    arguments = ["train", str(project / "tiny.yaml"), "--set", f"run.name={name}"]
    return Forked(main, arguments, env=env)


def train(project: Path, bucket: FakeGcs, name: str) -> None:
    process = start(project, bucket, name)
    out, err = process.communicate(HANGS_SECONDS)
    assert process.returncode == ExitCode.FINISHED, out + err


@contextmanager
def opened(bucket: FakeGcs, name: str) -> Iterator[GsStore]:
    store = GsStore(f"gs://runs/e2e/{name}", emulator=bucket.url)
    yield store
    store.close()


def is_killed(
    project: Path, bucket: FakeGcs, name: str, *, at: int, is_carried_out: bool
) -> bool:
    """Kills a process when its request number `at` arrives; False if it ends before that.

    Args:
        project: Its folder.
        bucket: Carries the request out, or does not.
        name: Of the run.
        at: From 1.
        is_carried_out: Whether the process dies before it hears the answer, or before the
            request takes effect.
    """
    seen = len(bucket.faults.requests)

    def kill(number: int) -> Fault | None:
        if number != seen + at:
            return None
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        kind = "reset_after" if is_carried_out else "reset_before"
        return Fault(bucket.faults.requests[-1][0], kind)

    bucket.faults.at_request = kill
    process = start(project, bucket, name)
    out, err = process.communicate(HANGS_SECONDS)
    bucket.faults.at_request = lambda number: None
    assert process.returncode in (ExitCode.FINISHED, -signal.SIGKILL), out + err
    return process.returncode != ExitCode.FINISHED


def check_like_undisturbed(bucket: FakeGcs, name: str) -> None:
    with opened(bucket, UNDISTURBED) as one, opened(bucket, name) as two:
        found = compare(last_contents(one), last_contents(two))
        assert found.differences == [], name
        assert one.read("history.json").data == two.read("history.json").data
        assert tops(two) == tops(one), name


def tops(store: GsStore) -> Counter[str]:
    """How many objects are below each folder, but for what a killed process may leave there.

    The report shows where a run was resumed, so `attempts` has a record of each resume.
    """
    found = Counter(item.name.split("/")[0] for item in store.list(""))
    del found["ckpt"], found["access-check"], found["attempts"]
    return found


@pytest.fixture(scope="module")
def bucket() -> Iterator[FakeGcs]:
    with FakeGcs(bucket="runs") as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, bucket: FakeGcs) -> Path:
    """A run of one epoch, saved every 5 steps, that nobody disturbed."""
    folder = tmp_path_factory.mktemp("requests")
    make_project(folder)

    def into_bucket(config: dict) -> None:
        config["run"].update(root="gs://runs/e2e", allow_emulator=True)
        config["training"]["epochs"] = 1
        config["export"] = {"enabled": False}

    save_config(folder, into_bucket)
    train(folder, bucket, UNDISTURBED)
    return folder


def test_a_run_killed_at_any_request_ends_like_an_undisturbed_one(project, bucket):
    operations = [operation for operation, _ in bucket.faults.requests]
    killed = 0
    for number, operation in enumerate(operations, start=1):
        for is_carried_out in (False, True) if operation in CHANGES else (False,):
            name = f"killed-{number}-{'after' if is_carried_out else 'before'}"
            killed += is_killed(project, bucket, name, at=number, is_carried_out=is_carried_out)
            train(project, bucket, name)
            check_like_undisturbed(bucket, name)
    # The last requests delete in the background, and may be fewer in another process.
    assert killed >= len(operations)
