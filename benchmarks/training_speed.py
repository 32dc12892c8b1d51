"""Pairs a second in training: this product beside the book's script and PyTorch.

    .venv/bin/python -m benchmarks.training_speed [--case NAME] [--rounds N] [--json FILE]

A peer's process stays alive. All of its variants are measured once, briefly; the best ones then
take turns with this product, which runs through its command line as a new process each time.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import IO, Any

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.cases import CASES, TrainingCase, write_files
from benchmarks.measure import Case
from benchmarks.ours import Training
from benchmarks.peers import environment
from benchmarks.peers.variants import BF16

WARM_UP_SECONDS = 2.0
ROUNDS = 3
# Length of the first, brief measurement of each variant, as a share of the others.
BRIEF = 0.4
# Variants that are not clearly slower than the best one are measured again, at most so many.
WORTH_REPEATING, MOST_REPEATED = 0.75, 2


class Peer:
    """A peer's process, which measures the variants that it is told to.

    Args:
        interpreter: Of the environment that it runs in.
        module: Its script.
        case: What to train.
    """

    def __init__(self, interpreter: str, *, module: str, case: TrainingCase) -> None:
        self._command = [interpreter, "-m", f"benchmarks.peers.{module}", case.name, "--serve"]
        self._case = case
        self.variants: list[str] = []

    def __enter__(self) -> "Peer":
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self._command,
            cwd=measure.REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.variants = self._answer()["variants"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def measure(self, variant: str, *, share: float = 1.0) -> float:
        """Pairs a second of a variant, over that share of the case's seconds."""
        stream: IO[str] | None = self._process.stdin
        if stream is None:
            raise RuntimeError("the process has no input")
        stream.write(f"{json.dumps([variant, share * self._case.seconds])}\n")
        stream.flush()
        return float(self._answer()["pairs_per_second"])

    def _answer(self) -> dict[str, Any]:
        stream: IO[str] | None = self._process.stdout
        line = stream.readline() if stream else ""
        if not line:
            self._errors.seek(0)
            raise RuntimeError(
                f"{' '.join(self._command)} ended:\n{self._errors.read()[-2000:]}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure_ours(case: TrainingCase) -> float:
    """Pairs a second of this product, in a new process."""
    with tempfile.TemporaryDirectory(prefix="siamese-speed-") as name:
        folder = Path(name)
        with Training(write_files(case, folder), folder=folder) as training:
            speed = training.speed(
                batch=case.batch, warm_up=WARM_UP_SECONDS, seconds=case.seconds
            )
    return speed.pairs_per_second


def shortlist(brief: Mapping[str, float], *, bf16: bool) -> list[str]:
    """The variants worth measuring again, best first.

    Args:
        brief: Pairs a second of each variant.
        bf16: Whether to choose among those that compute in bfloat16, or among the others.
    """
    speeds = {name: speed for name, speed in brief.items() if name.endswith(BF16) == bf16}
    ranked = sorted(speeds, key=lambda name: -speeds[name])[:MOST_REPEATED]
    return [name for name in ranked if speeds[name] >= WORTH_REPEATING * speeds[ranked[0]]]


def compare(cases: Sequence[TrainingCase], *, rounds: int) -> list[Case]:
    """Measures cases that differ in precision alone, the sides in turns.

    Args:
        cases: One, or one in float32 and the same in bfloat16, whose peers have all variants.
        rounds: Measurements of each side.
    """
    last = cases[-1]
    scripts = {"keras_fit": sys.executable, "pytorch_best": environment.python()}
    sides = {case.name: partial(measure_ours, case) for case in cases}
    brief: dict[str, dict[str, float]] = {}
    peers = {
        name: Peer(interpreter, module=name, case=last) for name, interpreter in scripts.items()
    }
    with peers["keras_fit"], peers["pytorch_best"]:
        for name, peer in peers.items():
            found = brief[name] = {}
            for variant in peer.variants:
                found[variant] = peer.measure(variant, share=BRIEF)
                measure.progress(f"{last.name}: {name}: {variant} {found[variant]:,.4g}")
            for bf16 in {case.bf16 for case in cases}:
                for variant in shortlist(found, bf16=bf16):
                    sides[f"{name}: {variant}"] = partial(peer.measure, variant)
        rounds_of = measure.alternate(sides, rounds=rounds)
    return [_result(case, rounds_of, brief=brief) for case in cases]


def _result(
    case: TrainingCase, rounds_of: Mapping[str, list[float]], *, brief: Mapping[str, Any]
) -> Case:
    """A peer may answer a case in bfloat16 with float32, if that is faster."""
    variants = {
        peer: {
            name.removeprefix(f"{peer}: "): speeds
            for name, speeds in rounds_of.items()
            if name.startswith(f"{peer}: ") and (case.bf16 or not name.endswith(BF16))
        }
        for peer in brief
    }
    best = {peer: max(map(median, found.values())) for peer, found in variants.items()}
    ours = rounds_of[case.name]
    details = {"rounds": ours, "variants": variants, "brief": dict(brief)}
    return Case(case.name, "pairs_per_second", median(ours), best, details)


def by_model(cases: Sequence[TrainingCase]) -> list[list[TrainingCase]]:
    """Cases that differ in precision alone, together; float32 first."""
    groups: dict[str, list[TrainingCase]] = {}
    for case in sorted(cases, key=lambda case: case.bf16):
        groups.setdefault(case.name.removesuffix("_bf16"), []).append(case)
    return list(groups.values())


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
    measure.progress(measure.describe_machine())
    cases: list[Case] = []
    for group in by_model(chosen):
        cases += compare(group, rounds=arguments.rounds)
    print(measure.comparison_table(cases))
    measure.write_json(arguments.json, cases)


if __name__ == "__main__":
    main()
