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
from collections.abc import Callable, Sequence
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
ROUNDS = 4
STARTS = 3
WARM_UP_SECONDS = 2.0
MEASURED_SECONDS = 6.0
# The module that runs a command with the determinism of operations switched off.
WITHOUT_DETERMINISM = (sys.executable, "-m", "benchmarks.without_determinism")
TEXT = measure.REPOSITORY / "examples" / "text.yaml"
# What is left out of one side; the other one is as shipped.
SHIPPED = "as shipped"
SIDES: dict[str, dict[str, Any]] = {
    SHIPPED: {},
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
    cases: list[Case] = []
    rows: list[list[str]] = []
    shipped = found[SHIPPED]
    for name, speeds in found.items():
        wall, cpu = median(map(wall_ms, speeds)), median(map(cpu_ms, speeds))
        times = [f"{wall:.2f}", f"{cpu:.2f}"]
        if name == SHIPPED:
            rows.append([name, *times, "", ""])
            continue
        of_wall, of_cpu = (paired(ms, shipped, speeds) for ms in (wall_ms, cpu_ms))
        ratio, cpu_ratio = median(of_wall), median(of_cpu)
        rows.append([f"without {name}", *times, f"{ratio - 1:+.1%}", f"{cpu_ratio - 1:+.1%}"])
        details = {"cpu_ratio": cpu_ratio, "rounds": of_wall, "cpu_rounds": of_cpu}
        details["saves"] = [speed.saves for speed in shipped]
        cases.append(Case(f"cost_of_{name}", "ratio", ratio, {}, details))
    header = ["book_lstm_b64", "ms a step", "CPU ms a step", "costs", "of CPU"]
    return cases, aligned_columns(header, rows)


def wall_ms(speed: Speed) -> float:
    """Wall time of a step."""
    return speed.seconds / speed.steps * 1000.0


def cpu_ms(speed: Speed) -> float:
    """Processor time of a step."""
    return speed.cpu_seconds / speed.steps * 1000.0


def paired(
    ms: Callable[[Speed], float], shipped: Sequence[Speed], without: Sequence[Speed]
) -> list[float]:
    """How many times longer a step takes as shipped, for each round."""
    return [ms(one) / ms(other) for one, other in zip(shipped, without, strict=True)]


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
