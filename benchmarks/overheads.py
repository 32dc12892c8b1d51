"""What each promise costs: equal bits, metrics, checkpoints; start-up; a pod of one CPU.

    .venv/bin/python -m benchmarks.overheads [--part NAME] [--rounds N] [--json FILE]

- `costs`: the book's LSTM through the command line, as shipped and without each of them, in
  turns. The ratio of processor time is the steadier one on a machine with other work.
- `start`: from the start of the process to the end of the first step, on examples/text.yaml.
- `one_cpu`: processor time over wall time where the container's limit is one CPU of several.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.cases import CASES, write_files
from benchmarks.measure import Case
from benchmarks.ours import Speed, Training
from job.telemetry.terminal import aligned_columns

CASE = CASES["book_lstm_b64"]
ROUNDS = 5
STARTS = 5
WARM_UP_SECONDS = 2.0
MEASURED_SECONDS = 6.0
# The module that runs a command with the determinism of operations switched off.
WITHOUT_DETERMINISM = (sys.executable, "-m", "benchmarks.without_determinism")
TEXT = measure.REPOSITORY / "examples" / "text.yaml"


# What is left out of one side; the other one is as shipped.
SIDES: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "determinism": {"command": WITHOUT_DETERMINISM},
    "metrics": {"sets": ["metrics.enabled=false"]},
    "checkpoints": {"sets": ["checkpoint.every_seconds=1000000"]},
}
# Seen by the program as the limit of its container, as in a pod.
ONE_CPU = "100000 100000"


def measure_side(sides: dict[str, list[Speed]], name: str) -> float:
    """Measures one side in a new process, and keeps what it found."""
    with tempfile.TemporaryDirectory(prefix="siamese-overheads-") as folder:
        config = write_files(CASE, Path(folder))
        with Training(config, folder=Path(folder), **SIDES[name]) as training:
            speed = training.speed(
                batch=CASE.batch, warm_up=WARM_UP_SECONDS, seconds=MEASURED_SECONDS
            )
    sides[name].append(speed)
    return speed.pairs_per_second


def costs(rounds: int) -> tuple[list[Case], str]:
    """Cost of each promise: time of a step with it over time without it, minus one."""
    found: dict[str, list[Speed]] = {name: [] for name in SIDES}
    measure.alternate(
        {name: partial(measure_side, found, name) for name in SIDES}, rounds=rounds
    )
    cases, rows = [], []
    shipped = found["as shipped"]
    for name, speeds in found.items():
        wall = median(speed.seconds / speed.steps for speed in speeds)
        cpu = median(speed.cpu_seconds / speed.steps for speed in speeds)
        row = [f"without {name}" if speeds is not shipped else name]
        row += [f"{wall * 1000:.2f}", f"{cpu * 1000:.2f}"]
        if speeds is not shipped:
            wall_ratios = [
                (with_it.seconds / with_it.steps) / (without.seconds / without.steps)
                for with_it, without in zip(shipped, speeds, strict=True)
            ]
            cpu_ratios = [
                (with_it.cpu_seconds / with_it.steps) / (without.cpu_seconds / without.steps)
                for with_it, without in zip(shipped, speeds, strict=True)
            ]
            ratio, cpu_ratio = median(wall_ratios), median(cpu_ratios)
            row += [f"{ratio - 1:+.1%}", f"{cpu_ratio - 1:+.1%}"]
            details = {"cpu_ratio": cpu_ratio, "rounds": wall_ratios, "cpu_rounds": cpu_ratios}
            cases.append(Case(f"cost_of_{name}", "ratio", ratio, {}, details))
        rows.append(row)
    header = ["book_lstm_b64", "ms a step", "CPU ms a step", "costs", "of CPU"]
    return cases, aligned_columns(header, [row + [""] * (5 - len(row)) for row in rows])


def start(rounds: int) -> tuple[list[Case], str]:
    """Seconds from the start of the process to the end of the first step."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="siamese-overheads-") as folder:
            with Training(TEXT, folder=Path(folder)) as training:
                found.append(training.seconds_to_first_step())
            measure.progress(f"first step after {found[-1]:.2f} s")
    case = Case("text_first_step", "seconds", median(found), {}, {"rounds": found})
    return [case], aligned_columns(
        ["examples/text.yaml", "seconds"], [["first step", f"{median(found):.2f}"]]
    )


def one_cpu(rounds: int) -> tuple[list[Case], str]:
    """Processor time over wall time of a run whose container may use one CPU.

    A mount namespace gives the process the file that says so. The limit is not enforced, so
    more than one CPU would show.
    """
    cores = len(os.sched_getaffinity(0))
    if os.geteuid() != 0 or cores < 2:
        why = f"needs root and two cores (is user {os.geteuid()}, has {cores})"
        return [Case("one_cpu_of_two", "cpus", None, {}, {"not_measured": why})], why
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="siamese-overheads-") as name:
            folder = Path(name)
            limits = folder / "limits"
            limits.mkdir()
            (limits / "cpu.max").write_text(f"{ONE_CPU}\n")
            inside = f'mount --bind {limits} /sys/fs/cgroup && exec "$@"'
            program = str(Path(sys.executable).parent / "siamese-job")
            command = ["unshare", "--mount", "sh", "-c", inside, "sh", program]
            with Training(
                write_files(CASE, folder), folder=folder, command=command
            ) as training:
                speed = training.speed(
                    batch=CASE.batch, warm_up=WARM_UP_SECONDS, seconds=MEASURED_SECONDS
                )
        found.append(speed.cpu_seconds / speed.seconds)
    case = Case("one_cpu_of_two", "cpus", median(found), {}, {"rounds": found})
    header = [f"one CPU of {cores}", "CPUs used"]
    return [case], aligned_columns(header, [["book_lstm_b64", f"{median(found):.2f}"]])


PARTS = {"costs": costs, "start": start, "one_cpu": one_cpu}


def main() -> None:
    """Prints the tables of the parts."""
    parser = measure.parser("What the promises cost.")
    parser.add_argument("--part", choices=PARTS, action="append", help="all if left out")
    parser.add_argument("--rounds", type=int, help="of every part")
    arguments = parser.parse_args()
    rounds = {"costs": ROUNDS, "start": STARTS, "one_cpu": 1}
    cases: list[Case] = []
    measure.progress(measure.describe_machine())
    for part in arguments.part or PARTS:
        found, table = PARTS[part](arguments.rounds or rounds[part])
        cases += found
        print(f"{table}\n", flush=True)
    measure.write_json(arguments.json, cases)


if __name__ == "__main__":
    main()
