"""A process is paused, a second one takes its run over, and the first one wakes up."""

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from job.errors import ExitCode
from job.storage.gcs.store import GsStore
from job.storage.local import FileStore
from tests.e2e.lineage import check_one_lineage
from tests.e2e.storm import marked_main
from tests.fakes.gcs_server import FakeGcs
from tests.forked import Forked
from tests.tiny import make_project, save_config

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.prove]

# The first process holds the run in these, and is paused at most so many seconds after one
# begins. Reporting into a folder takes less than that.
PHASES = {"training": 0.3, "saving": 0.3, "validating": 0.3, "reporting": 0.0}
HANGS_SECONDS = 600.0


@dataclass(frozen=True)
class Place:
    """Where the runs are; `UNDISTURBED` is one of them."""

    config: Path
    bucket: FakeGcs

    def start(self, name: str, *, in_bucket: bool) -> Forked:
        sets = [f"run.name={name}"]
        if in_bucket:
            sets += ["run.root=gs://runs", "run.allow_emulator=true"]
        overrides = [word for assignment in sets for word in ("--set", assignment)]
        env = {**os.environ, "STORAGE_EMULATOR_HOST": self.bucket.url}
        return Forked(marked_main, ["train", str(self.config), *overrides], env=env)

    def folder(self, name: str) -> Path:
        return self.config.parent / "runs" / name

    @property
    def undisturbed(self) -> FileStore:
        return FileStore(self.folder(UNDISTURBED))


UNDISTURBED = "undisturbed"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("zombies")
    make_project(folder)

    def change(config: dict[str, Any]) -> None:
        config["training"].update(epochs=4, steps_per_call=2)
        config["export"] = {"enabled": False}

    with FakeGcs(bucket="runs") as bucket:
        place = Place(save_config(folder, change), bucket)
        ended(place.start(UNDISTURBED, in_bucket=False), code=ExitCode.FINISHED)
        yield place


def wait_for_mark(process: Forked, phase: str) -> str:
    """Reads up to the beginning of a phase; what was read."""
    seen = ""
    for line in process.stdout:
        seen += line
        if line.startswith(f"@{phase} "):
            return seen
    raise AssertionError(f"{phase} never came:\n{seen}{process.stderr.read()}")


def ended(process: Forked, *, code: int) -> str:
    """The rest of the output of a process, which must end like that."""
    out, err = process.communicate(HANGS_SECONDS)
    assert process.returncode == code, out + err
    return out + err


def paused(process: Forked, rng: random.Random) -> None:
    """Stops a process at a random moment of a random phase."""
    phase = rng.choice(tuple(PHASES))
    wait_for_mark(process, phase)
    threading.Event().wait(rng.uniform(0.0, PHASES[phase]))
    process.send_signal(signal.SIGSTOP)


def wake_up(process: Forked) -> None:
    """Lets a paused process go on; one that did so before may have ended."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("seed", range(4))
def test_a_process_that_wakes_up_after_the_bucket_was_taken_over_is_fenced(place, seed):
    rng, name = random.Random(seed), f"bucket-{seed}"
    first = place.start(name, in_bucket=True)
    paused(first, rng)
    second = place.start(name, in_bucket=True)
    wait_for_mark(second, rng.choice(("training", "reporting")))
    wake_up(first)
    assert "took over from attempt 1" in ended(first, code=ExitCode.FENCED)
    ended(second, code=ExitCode.FINISHED)
    store = GsStore(f"gs://runs/{name}", emulator=place.bucket.url)
    check_one_lineage(store, undisturbed=place.undisturbed)
    store.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_paused_process_keeps_its_folder_and_the_second_one_says_whose_it_is(place, seed):
    rng, name = random.Random(seed), f"locked-{seed}"
    first = place.start(name, in_bucket=False)
    paused(first, rng)
    second = place.start(name, in_bucket=False)
    assert "is in use by process" in ended(second, code=ExitCode.LOCAL_STORAGE)
    wake_up(first)
    ended(first, code=ExitCode.FINISHED)
    check_one_lineage(FileStore(place.folder(name)), undisturbed=place.undisturbed)


@pytest.mark.parametrize("seed", range(3))
def test_a_process_whose_lock_was_lost_is_fenced_when_it_wakes_up(place, seed):
    """As where a server of files drops the lock of a node that it does not hear of."""
    rng, name = random.Random(seed), f"unlocked-{seed}"
    first = place.start(name, in_bucket=False)
    paused(first, rng)
    (place.folder(name) / "run.lock").unlink()
    second = place.start(name, in_bucket=False)
    # The first may be in the middle of a write, for which the second waits.
    wakes_up = threading.Timer(30.0, wake_up, (first,))
    wakes_up.start()
    wait_for_mark(second, rng.choice(("training", "reporting")))
    wakes_up.cancel()
    wake_up(first)
    assert "took over from attempt 1" in ended(first, code=ExitCode.FENCED)
    ended(second, code=ExitCode.FINISHED)
    check_one_lineage(FileStore(place.folder(name)), undisturbed=place.undisturbed)
