"""Pairs a second in training: this product beside the book's script and PyTorch.

    .venv/bin/python -m benchmarks.training_speed [--case NAME] [--rounds N] [--json FILE]

The sides take turns. This product runs through its command line, as a new process in each
round. A peer's process stays alive, and all of its variants are measured in the first round;
those that are much slower than its best one are left out of the others.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from types import TracebackType

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.cases import CASES, TrainingCase, write_files
from benchmarks.measure import Case
from benchmarks.ours import Training
from benchmarks.peers import environment

WARM_UP_SECONDS = 2.0
# A variant below this share of the best one is not measured again.
WORTH_REPEATING = 0.85
ROUNDS = 3


class Peer:
    """A peer's process, which measures the variants that it is told to.

    Args:
        interpreter: Of the environment that it runs in.
        module: Its script.
        case: What to train.
    """

    def __init__(self, interpreter: str, *, module: str, case: TrainingCase) -> None:
        self._command = [interpreter, "-m", f"benchmarks.peers.{module}", case.name, "--serve"]
        self.found: dict[str, list[float]] = {}

    def __enter__(self) -> "Peer":
        self._process = subprocess.Popen(
            self._command,
            cwd=measure.REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.found = {name: [] for name in self._answer()["variants"]}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def measure_worthwhile(self) -> None:
        """Measures each variant that is about as fast as the best, once."""
        best = max((median(values) for values in self.found.values() if values), default=0.0)
        for name, values in self.found.items():
            if values and median(values) < WORTH_REPEATING * best:
                continue
            self._process.stdin.write(f"{name}\n")
            self._process.stdin.flush()
            values.append(self._answer()["pairs_per_second"])
            measure.progress(f"{name}: {values[-1]:,.0f}")

    @property
    def best(self) -> float:
        """Pairs a second of the best variant."""
        return max(median(values) for values in self.found.values() if values)

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command)} ended")
        return json.loads(line)


def measure_ours(case: TrainingCase, *, sets: Sequence[str] = ()) -> float:
    """Pairs a second of this product, in a new process."""
    with tempfile.TemporaryDirectory(prefix="siamese-speed-") as name:
        folder = Path(name)
        with Training(write_files(case, folder), folder=folder, sets=sets) as training:
            speed = training.speed(
                batch=case.batch, warm_up=WARM_UP_SECONDS, seconds=case.seconds
            )
    measure.progress(f"ours: {speed.pairs_per_second:,.1f}")
    return speed.pairs_per_second


def compare(case: TrainingCase, *, rounds: int) -> Case:
    """Measures one case, the sides in turns."""
    measure.progress(case.name)
    ours: list[float] = []
    with (
        Peer(sys.executable, module="keras_fit", case=case) as keras_fit,
        Peer(environment.python(), module="pytorch_best", case=case) as pytorch_best,
    ):
        sides = [
            lambda: ours.append(measure_ours(case)),
            keras_fit.measure_worthwhile,
            pytorch_best.measure_worthwhile,
        ]
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                side()
        peers = {"keras_fit": keras_fit, "pytorch_best": pytorch_best}
        return Case(
            case.name,
            "pairs_per_second",
            median(ours),
            {name: peer.best for name, peer in peers.items()},
            {
                "rounds": ours,
                "variants": {name: peer.found for name, peer in peers.items()},
            },
        )


def main() -> None:
    """Prints the table."""
    parser = measure.parser("Training speed beside the peers.")
    parser.add_argument("--case", choices=CASES, action="append", help="all if left out")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    chosen = [
        case
        for case in CASES.values()
        if case.name in (arguments.case or CASES) and (not case.bf16 or measure.has_bf16())
    ]
    cases = [compare(case, rounds=arguments.rounds) for case in chosen]
    measure.progress(measure.describe_machine())
    print(measure.comparison_table(cases))
    measure.write_json(arguments.json, cases)


if __name__ == "__main__":
    main()
