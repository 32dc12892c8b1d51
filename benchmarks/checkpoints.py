"""What checkpoints cost: requests to a bucket, time that training waits, and memory.

    .venv/bin/python -m benchmarks.checkpoints [--part requests|blocked|throughput]

The bucket is the fake one of the tests, over HTTP on the loopback interface. Prints a Markdown
table for each part:

- `requests`: of a run whose state is one shard, without an export, by phase.
- `blocked`: how long a save in the background keeps training from the next step, compared with
  a save that training waits for, and how much memory a save takes above the copy of the state.
- `throughput`: what saves every 50 steps cost the training of an example.
"""

import argparse
import json
import logging
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from job.checkpoints.background import BackgroundSaves
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.provenance import Provenance
from job.checkpoints.records import Owner
from job.checkpoints.serialization import RunState, spec_of
from job.config.loader.load_config import load_config
from job.config.resume import as_record
from job.data.quarantine import NOTHING_QUARANTINED
from job.run.artifacts import HISTORY, SUMMARY, RunArtifacts
from job.run.directory import open_run_directory, reported_complete
from job.storage.object_store import ObjectStore
from job.storage.open_store import open_store
from job.types import Position
from tests.fakes.gcs_server import FakeGcs
from tests.tiny import make_project

STATE_MIB = (256, 1024)
ARRAY_MIB = 4
SAVES = 3
SAVE_STEPS = 50
EPOCHS = 3
REPOSITORY = Path(__file__).parents[1]

Table = Iterator[str]


def state_at(step: int, variables: dict[str, np.ndarray]) -> RunState:
    """A snapshot at a step."""
    return RunState(
        variables=variables,
        position=Position(global_step=step, step_in_epoch=step),
        sums={},
        callbacks={},
        history=[],
    )


def acquire(store: ObjectStore, *, config: Any = None) -> CheckpointManager:
    """Starts the run in the store, or resumes it."""
    return CheckpointManager.acquire(
        store,
        owner=Owner("", "", "", "here", os.getpid(), secrets.token_hex(8)),
        provenance=Provenance("tiny", config or {}, "data", versions={}, topology={}),
        keep_last=1,
    )


class Phases:
    """Counts the requests that the bucket got since the last question."""

    def __init__(self, server: FakeGcs) -> None:
        self._requests = server.faults.requests
        self._seen = 0

    def count(self) -> int:
        before, self._seen = self._seen, len(self._requests)
        return self._seen - before


def requests_of_one_attempt(config_file: Path, server: FakeGcs) -> dict[str, int]:
    """Does what `siamese-job train` does with the bucket, and counts the requests."""
    env = {"STORAGE_EMULATOR_HOST": server.url}
    sets = ["run.root=gs://runs", "run.allow_emulator=true"]
    config = load_config(config_file, env={}, sets=sets).config
    phases = Phases(server)
    phases.count()
    variables = {"model|w": np.zeros(1000, np.float32)}
    directory = open_run_directory(config, env=env)
    reported_complete(directory, config=config)
    directory.check_permissions()
    manager = acquire(directory.store, config=as_record(config))
    restored = manager.restore(spec_of(variables))
    step = restored.state.position.global_step if restored else 0
    artifacts = RunArtifacts(manager.files, is_chief=True)
    artifacts.write_quarantine(NOTHING_QUARANTINED)
    manager.begin_training()
    manager.save(state_at(step + 1, variables), metrics={})
    found = {"start up to the first save": phases.count()}
    manager.collect_garbage()
    phases.count()
    manager.save(state_at(step + 2, variables), metrics={})
    found["one save"] = phases.count()
    manager.collect_garbage()
    found["its deletes, in the background"] = phases.count()
    results = artifacts.publish(
        {HISTORY: b"[]", SUMMARY: b"{}"}, directory=f"results/{manager.attempt}"
    )
    manager.finish("preempted", "", results=results)
    found["end: history, summary, HEAD"] = phases.count()
    return found


def requests_table() -> Table:
    """The table of `requests`."""
    with tempfile.TemporaryDirectory() as name, FakeGcs() as server:
        make_project(Path(name))
        fresh, resumed = (
            requests_of_one_attempt(Path(name) / "tiny.yaml", server) for _ in range(2)
        )
    yield "| requests | new run | resumed run |"
    yield "|---|---|---|"
    for phase in fresh:
        yield f"| {phase} | {fresh[phase]} | {resumed[phase]} |"


@contextmanager
def bucket_process() -> Iterator[str]:
    """The fake bucket in a process of its own, which shares no lock with the one measured."""
    command = [sys.executable, "-m", "tests.fakes.gcs_server", "--bucket", "runs"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        yield process.stdout.readline().strip().partition("=")[2]
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def temporary_store(kind: str) -> Iterator[ObjectStore]:
    """A new store in a folder, or in the fake bucket."""
    if kind == "folder":
        with tempfile.TemporaryDirectory() as name:
            yield open_store(f"{name}/run")
        return
    with bucket_process() as url:
        env = {"STORAGE_EMULATOR_HOST": url}
        yield open_store("gs://runs/run", allow_emulator=True, env=env)


def resident_mib(key: str) -> float:
    """`VmRSS` or its peak `VmHWM` of this process."""
    matched = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(matched[1]) / 1024 if matched else 0.0


def peak_mib_of(action: Callable[[], object]) -> float:
    """How far resident memory rises above what it was before."""
    before = resident_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts over
    action()
    return resident_mib("VmHWM") - before


def measure_saves(kind: str, state_mib: int) -> dict[str, float]:
    """Saves variables of Keras, waiting for each save and then in the background.

    Returns:
        The fastest of `SAVES` each in seconds, since the machine may be busy, and MiB.
    """
    import keras

    from job.training.state import read_variables

    random = np.random.default_rng(0)
    shape = (ARRAY_MIB << 18,)
    variables = {
        f"model|{index}": keras.Variable(random.random(shape, np.float32))
        for index in range(state_mib // ARRAY_MIB)
    }
    waited, blocked = [], []
    with temporary_store(kind) as store:
        manager = acquire(store)
        first = state_at(1, read_variables(variables))
        peak = peak_mib_of(partial(manager.save, first, metrics={}))
        del first
        for step in range(2, 2 + SAVES):
            began = time.monotonic()
            manager.save(state_at(step, read_variables(variables)), metrics={})
            waited.append(time.monotonic() - began)
            manager.collect_garbage()
        saves = BackgroundSaves(manager)
        for step in range(2 + SAVES, 2 + 2 * SAVES):
            began = time.monotonic()
            snapshot = state_at(step, read_variables(variables))
            saves.submit(snapshot, metrics={}, best=None)
            blocked.append(time.monotonic() - began)
            del snapshot
            saves.wait()
        saves.close()
    return {"waited": min(waited), "blocked": min(blocked), "peak": peak}


def blocked_table() -> Table:
    """The table of `blocked`."""
    yield (
        "| state | store | a save that training waits for, s | blocked by one in the "
        "background, s | share | memory above the copy, MiB |"
    )
    yield "|---|---|---|---|---|---|"
    for state_mib in STATE_MIB:
        for kind in ("folder", "fake bucket"):
            one = in_own_process("measure_saves", kind, state_mib)
            yield (
                f"| {state_mib} MiB | {kind} | {one['waited']:.2f} | {one['blocked']:.2f} "
                f"| {one['blocked'] / one['waited']:.1%} | {one['peak']:.0f} |"
            )


def in_own_process(function: str, *arguments: Any) -> Any:
    """What a function of this module returns; memory of an earlier call does not count."""
    code = (
        f"import json; from benchmarks import checkpoints; "
        f"print(json.dumps(checkpoints.{function}(*{arguments!r})))"
    )
    command = [sys.executable, "-c", code]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, env=env)
    return json.loads(done.stdout.splitlines()[-1])


def measure_training(every_steps: int) -> dict[str, float]:
    """Trains the text example.

    Returns:
        Number of saves after the first, and in seconds of the processor: what they cost
        training, and all that the process took between the first save and the last.
    """
    from job.cli import main as run_command
    from job.run.checkpointer import RunCheckpointer

    costs, ends = [], []
    note = RunCheckpointer._note

    def noted(self: RunCheckpointer, result: Any) -> None:
        note(self, result)
        costs.append(self.save_cost_seconds or 0.0)
        ends.append(time.process_time())

    RunCheckpointer._note = noted  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        sets = [
            f"run.root={folder}",
            f"checkpoint.every_steps={every_steps}",
            f"training.epochs={EPOCHS}",
            "export.enabled=false",
        ]
        options = [part for one in sets for part in ("--set", one)]
        run_command(["train", str(REPOSITORY / "examples/text.yaml"), *options])
    return {"saves": len(ends) - 1, "cost": sum(costs[1:]), "all": ends[-1] - ends[0]}


def throughput_table() -> Table:
    """The table of `throughput`."""
    one = in_own_process("measure_training", SAVE_STEPS)
    yield f"| the text example, saved every {SAVE_STEPS} steps and at the end of each epoch | |"
    yield "|---|---|"
    yield f"| saves measured | {one['saves']} |"
    yield f"| processor time of one save, s | {one['cost'] / one['saves']:.3f} |"
    yield f"| share of the processor time of training | {one['cost'] / one['all']:.1%} |"


PARTS: dict[str, Callable[[], Table]] = {
    "requests": requests_table,
    "blocked": blocked_table,
    "throughput": throughput_table,
}


def main() -> None:
    """Prints the tables of the parts."""
    parser = argparse.ArgumentParser(description="What checkpoints cost.")
    parser.add_argument("--part", choices=PARTS, action="append", help="all if left out")
    logging.disable(logging.WARNING)
    for part in parser.parse_args().part or PARTS:
        for line in PARTS[part]():
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
