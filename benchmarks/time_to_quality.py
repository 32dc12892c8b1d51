"""Seconds from the start of the process to a validation ROC-AUC of 0.97 on the typos.

    .venv/bin/python -m benchmarks.time_to_quality [--rounds N] [--variants all] [--json FILE]

This product trains examples/text.yaml through its command line. The peers are a script in the
style of the book (`peers/keras_typos.py`) and one with sentence-transformers' trainer
(`peers/transformer_typos.py`). Everything counts: imports, reading, compiling, validation. Each
round has a seed of its own, the same for every side.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.measure import Case
from benchmarks.ours import Training
from benchmarks.peers import environment

TARGET = 0.97
ROUNDS = 3
FIRST_SEED = 7
# A peer that is not there by then has lost; its time is given as this.
LIMIT_SECONDS = 240.0
EXAMPLE = measure.REPOSITORY / "examples" / "text.yaml"
# Believed to be the soonest of the variants; `--variants all` measures every one.
SOONEST = {
    "keras_fit": ("padded in front, steps_per_execution",),
    "sentence_transformers": ("MultipleNegativesRankingLoss",),
}
MODULES = {"keras_fit": "keras_typos", "sentence_transformers": "transformer_typos"}


def time_ours(seed: int) -> float:
    """Seconds that this product takes."""
    with tempfile.TemporaryDirectory(prefix="siamese-quality-") as name:
        sets = [f"run.seed={seed}"]
        with Training(EXAMPLE, folder=Path(name), sets=sets) as training:
            for event in training.events():
                measured = event.fields.get("val_roc_auc", 0.0)
                if event.name == "epoch finished" and measured >= TARGET:
                    return event.time - training.started
    raise RuntimeError(f"training ended below a ROC-AUC of {TARGET}")


def time_peer(seed: int, *, interpreter: str, module: str, variant: str) -> float:
    """Seconds that a variant of a peer takes, at most `LIMIT_SECONDS`."""
    command = [interpreter, "-m", f"benchmarks.peers.{module}"]
    command += ["--variant", variant, "--seed", str(seed)]
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=measure.REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        for line in process.stdout:
            seconds = time.monotonic() - started
            if not line.startswith('{"roc_auc"'):
                continue  # a library's own words
            reached = json.loads(line)["roc_auc"]
            measure.progress(f"{variant}: {reached:.4f} after {seconds:.1f} s")
            if reached >= TARGET or seconds >= LIMIT_SECONDS:
                return min(seconds, LIMIT_SECONDS)
    finally:
        process.kill()
        process.wait()
    raise RuntimeError(f"{' '.join(command)} ended")


def variants_of(peer: str) -> list[str]:
    """Every variant of a peer, as its script names them."""
    interpreter, module = _interpreter(peer), f"benchmarks.peers.{MODULES[peer]}"
    code = f"import json, {module} as it; print(json.dumps(list(it.VARIANTS)))"
    done = subprocess.run(
        [interpreter, "-c", code],
        cwd=measure.REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _interpreter(peer: str) -> str:
    return sys.executable if peer == "keras_fit" else environment.python()


def compare(*, rounds: int, all_variants: bool) -> Case:
    """Measures every side, in turns."""
    sides: dict[str, Callable[[int], float]] = {measure.OURS: time_ours}
    for peer, soonest in SOONEST.items():
        for variant in variants_of(peer) if all_variants else soonest:
            sides[f"{peer}: {variant}"] = partial(
                time_peer,
                interpreter=_interpreter(peer),
                module=MODULES[peer],
                variant=variant,
            )
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        seed = FIRST_SEED + number
        turns = {name: partial(side, seed) for name, side in sides.items()}
        for name, values in measure.alternate(turns, rounds=1).items():
            found[name] += values
    variants = {
        peer: {
            name.removeprefix(f"{peer}: "): values
            for name, values in found.items()
            if name.startswith(f"{peer}: ")
        }
        for peer in SOONEST
    }
    peers = {
        peer: min(median(values) for values in measured.values())
        for peer, measured in variants.items()
    }
    details = {"rounds": found[measure.OURS], "variants": variants, "limit": LIMIT_SECONDS}
    return Case("typos_time_to_auc", "seconds", median(found[measure.OURS]), peers, details)


def main() -> None:
    """Prints the table."""
    parser = measure.parser("Time to a quality beside the peers.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--variants", choices=("soonest", "all"), default="soonest")
    arguments = parser.parse_args()
    cases = [compare(rounds=arguments.rounds, all_variants=arguments.variants == "all")]
    measure.progress(measure.describe_machine())
    print(measure.comparison_table(cases))
    measure.write_json(arguments.json, cases, target=TARGET)


if __name__ == "__main__":
    main()
