"""How training scales: two workers on a core each against one; four replicas against one.

    .venv/bin/python -m benchmarks.scaling [--rounds N] [--json FILE] [--simulate]

Workers are pinned, so two of them have twice the processor of one and nothing else: the ratio
is what a second machine would give, without its network. `apart` are two runs beside each other
that do not know of each other, with half of the batch each: what is missing to them is the time
of talking and waiting; what they miss to twice `one` is that of smaller batches, and of caches
and memory that two cores share. Four replicas in one process share its cores; their ratio is
what the division itself costs.

`--simulate` only prints what the measured step would take on more workers, from a model of a
ring all-reduce: 2 (W - 1) / W of the bytes of the gradients over the network, in 2 (W - 1)
steps. Source: Patarasuk and Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.cases import CASES, TrainingCase, write_files
from benchmarks.measure import Case
from benchmarks.ours import Training
from job.telemetry.terminal import aligned_columns

WARM_UP_SECONDS = 3.0
PROGRAM = str(Path(sys.executable).parent / "siamese-job")
LSTM = replace(CASES["book_lstm_b256"], name="book_lstm_b512", batch=512)
XCEPTION = replace(CASES["xception_96"], name="xception_96_b32", batch=32, seconds=20.0)
WORKER_CASES: Sequence[TrainingCase] = (LSTM, XCEPTION)
REPLICA_CASES: Sequence[TrainingCase] = (LSTM, XCEPTION)
# Bytes of the gradients of each case: four for each weight.
GRADIENT_BYTES = {LSTM.name: 4 * 20_673, XCEPTION.name: 4 * 20_865_577}
WORKERS = (1, 2, 8, 32, 128)


@dataclass(frozen=True)
class Network:
    """What connects workers.

    Attributes:
        bytes_per_second: Of each worker, in each direction.
        latency_seconds: Of one message.
    """

    bytes_per_second: float = 10e9 / 8
    latency_seconds: float = 50e-6


def all_reduce_seconds(workers: int, *, num_bytes: float, network: Network) -> float:
    """Time of a ring all-reduce.

    Args:
        workers: Number of processes, >= 1.
        num_bytes: Size of what is summed.
        network: What connects them.
    """
    share = 2 * (workers - 1) / workers * num_bytes / network.bytes_per_second
    return share + 2 * (workers - 1) * network.latency_seconds


def efficiency(
    workers: int, *, compute_seconds: float, num_bytes: float, network: Network
) -> float:
    """Share of the time that workers compute, each with a batch of the same size as one has."""
    waiting = all_reduce_seconds(workers, num_bytes=num_bytes, network=network)
    return compute_seconds / (compute_seconds + waiting)


@contextmanager
def _beside(config: Path, *, runs: Path, env: Mapping[str, str]) -> Iterator[None]:
    """A second process, on the other core."""
    sets = ["metrics.port=0", "distribution.supervise=off", f"run.root={runs}"]
    command = ["taskset", "-c", "1", PROGRAM, "train", str(config)]
    command += [part for one in sets for part in ("--set", one)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(measure.REPOSITORY), **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _addresses() -> str:
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports.append(probe.getsockname()[1])
    return ",".join(f"127.0.0.1:{port}" for port in ports)


def speed_of_workers(case: TrainingCase, count: int) -> float:
    """Pairs a second of one or two workers, each on a core of its own."""
    with tempfile.TemporaryDirectory(prefix="siamese-scaling-") as name:
        folder = Path(name)
        config, pinned = write_files(case, folder), ["taskset", "-c", "0", PROGRAM]
        sets = ["distribution.supervise=off"]
        measured = partial(_speed, case, config, folder=folder, sets=sets, command=pinned)
        if count == 1:
            return measured()
        addresses = _addresses()
        chief, follower = (
            {"WORKER_ADDRESSES": addresses, "JOB_COMPLETION_INDEX": str(number)}
            for number in range(2)
        )
        with _beside(config, runs=folder / "runs", env=follower):
            return measured(env=chief)


def speed_of_two_apart(case: TrainingCase) -> float:
    """Pairs a second of two runs beside each other, each with half of the batch."""
    half = replace(case, batch=case.batch // 2)
    with tempfile.TemporaryDirectory(prefix="siamese-scaling-") as name:
        folder = Path(name)
        config, pinned = write_files(half, folder), ["taskset", "-c", "0", PROGRAM]
        sets = ["distribution.supervise=off"]
        with _beside(config, runs=folder / "others", env={}):
            return 2 * _speed(half, config, folder=folder, sets=sets, command=pinned)


def speed_of_replicas(case: TrainingCase, count: int) -> float:
    """Pairs a second of some replicas in one process, which share all cores."""
    with tempfile.TemporaryDirectory(prefix="siamese-scaling-") as name:
        folder = Path(name)
        sets = [f"distribution.devices=cpu:{count}"]
        return _speed(case, write_files(case, folder), folder=folder, sets=sets)


def _speed(
    case: TrainingCase,
    config: Path,
    *,
    folder: Path,
    sets: Sequence[str],
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> float:
    with Training(
        config, folder=folder, sets=sets, command=command, env=dict(env or {})
    ) as training:
        speed = training.speed(batch=case.batch, warm_up=WARM_UP_SECONDS, seconds=case.seconds)
    return speed.pairs_per_second


def compare(
    name: str,
    speed: Callable[[TrainingCase, int], float],
    case: TrainingCase,
    *,
    many: int,
    rounds: int,
    others: Mapping[str, Callable[[TrainingCase], float]] = {},
) -> Case:
    """Several workers or replicas ("ours") against one, and against others."""
    sides = {measure.OURS: partial(speed, case, many), "one": partial(speed, case, 1)}
    sides |= {other: partial(measured_as, case) for other, measured_as in others.items()}
    measured = measure.alternate(sides, rounds=rounds)
    found = {side: median(rates) for side, rates in measured.items()}
    ours = found.pop(measure.OURS)
    return Case(f"{case.name}: {many} {name}", "pairs_per_second", ours, found)


def simulated() -> str:
    """The efficiency of more workers, from the measured seconds of a step on one core."""
    network, rows = Network(), []
    for case, seconds in ((LSTM, 0.07), (XCEPTION, 4.0)):
        shares = [
            efficiency(
                count,
                compute_seconds=seconds,
                num_bytes=GRADIENT_BYTES[case.name],
                network=network,
            )
            for count in WORKERS
        ]
        rows.append([f"{case.name}, {seconds:g} s a step", *(f"{one:.3f}" for one in shares)])
    return aligned_columns(["case", *(f"{count} workers" for count in WORKERS)], rows)


def main() -> None:
    """Measures both, or prints the simulation."""
    parser = measure.parser(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each side")
    parser.add_argument("--simulate", action="store_true", help="only print the simulation")
    arguments = parser.parse_args()
    if arguments.simulate:
        print(simulated())
        return
    workers = partial(
        compare,
        "workers",
        speed_of_workers,
        many=2,
        rounds=arguments.rounds,
        others={"apart": speed_of_two_apart},
    )
    replicas = partial(compare, "replicas", speed_of_replicas, many=4, rounds=arguments.rounds)
    cases = [*map(workers, WORKER_CASES), *map(replicas, REPLICA_CASES)]
    print(measure.comparison_table(cases))
    measure.write_json(arguments.json, cases)


if __name__ == "__main__":
    main()
