import json
import subprocess
import sys

import pytest

from job.checkpoints.restore import read_stored
from job.config.loader.load_config import load_config
from job.errors import ExitCode
from job.run.directory import RunDirectory, is_complete, open_run_directory
from job.storage.run_lock import RunLock
from tests.checkpoints.tiny_run import ENVIRONMENT, acquired
from tests.fakes.memory_store import MemoryStore


@pytest.mark.parametrize(
    ("epochs_done", "stop_reason", "patience_then", "epochs", "patience", "done"),
    [
        (5, "", None, 5, None, True),
        (5, "", None, 4, None, True),  # fewer are asked for than were trained
        (5, "", None, 6, None, False),  # raised
        (3, "EarlyStopping", 2, 9, 2, True),
        (3, "EarlyStopping", 2, 9, 1, True),
        (3, "EarlyStopping", 2, 9, 4, False),  # more patience lifts the stop
        (3, "callback", None, 9, None, True),
        (5, "", None, None, None, False),  # how many are asked for is not known yet
        (3, "EarlyStopping", 2, None, 2, True),
    ],
)
def test_a_completed_run_is_reopened_only_by_more_epochs_or_more_patience(
    epochs_done, stop_reason, patience_then, epochs, patience, done
):
    facts = {
        "epochs": epochs_done,
        "stop_reason": stop_reason,
        "patience_epochs": patience_then,
    }
    assert is_complete(facts, epochs=epochs, patience_epochs=patience) is done


def test_what_can_be_rejected_without_tensorflow_is_rejected_before_it_is_imported(project):
    (project / "train.csv").unlink()
    code = (
        "import sys\n"
        "from job.cli import main\n"
        f"status = main(['train', {str(project / 'tiny.yaml')!r}])\n"
        "sys.exit(99 if {'tensorflow', 'keras'} & set(sys.modules) else status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == ExitCode.DATA, done.stderr.decode()
    assert not (project / "runs").exists()


def test_a_process_that_waited_for_the_first_attempt_reads_what_that_one_derived(tmp_path):
    store = MemoryStore()
    directory = RunDirectory("memory", store, RunLock(tmp_path), stored=None)
    assert directory.read_derived() == {}
    acquired(store, environment={**ENVIRONMENT, "derived": {"grid_steps": 8}})
    assert directory.read_derived() == {"grid_steps": 8}


def test_the_lock_of_a_pod_names_the_pod_to_the_one_that_replaces_it(project):
    config = load_config(project / "tiny.yaml", env={}, sets=[]).config
    env = {"JOB_UID": "3f6e", "POD_NAME": "typos-0-x7k2p"}
    with open_run_directory(config, env=env).locked() as lock:
        holder = json.loads((lock.folder / "run.lock").read_text())
    assert (holder["host"], holder["job"]) == ("typos-0-x7k2p", "3f6e")


@pytest.mark.parametrize("is_new", [True, False])
def test_permissions_are_checked_before_a_new_run_only(monkeypatch, is_new):
    checked = []
    monkeypatch.setattr(
        "job.run.directory.check_permissions", lambda store, *, nonce: checked.append(store)
    )
    store = MemoryStore()
    if not is_new:
        acquired(store)
    stored = read_stored(store)
    RunDirectory("gs://runs/tiny", store, lock=None, stored=stored).check_permissions()
    assert checked == [store] * is_new
