"""Variants of a peer's script, measured when asked: JSON on standard input and output.

A process stays alive between measurements, so that each variant is built and compiled once. Run
alone, with a case only, it measures every variant once::

    python -m benchmarks.peers.keras_fit book_lstm_b64
    python -m benchmarks.peers.keras_fit book_lstm_b64 --serve
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping

from benchmarks.cases import CASES, GPU_CASES, TrainingCase

# Trains for about that many seconds, after a warm-up in its first call; returns pairs a second.
Measure = Callable[[float], float]
Build = Callable[[TrainingCase], Measure]
# The end of the name of a variant that computes in bfloat16.
BF16 = ", bf16"


def main(variants_of: Callable[[TrainingCase], Mapping[str, Build]]) -> None:
    """Measures the variants that the command line or standard input names.

    Args:
        variants_of: What builds each variant, by name, for a case.
    """
    parser = argparse.ArgumentParser(description="Measures the training speed of a peer.")
    cases = CASES | GPU_CASES
    parser.add_argument("case", choices=cases)
    parser.add_argument(
        "--serve", action="store_true", help="read [variant, seconds] from the input"
    )
    arguments = parser.parse_args()
    case = cases[arguments.case]
    builds = variants_of(case)
    asked = ([name, case.seconds] for name in builds)
    if arguments.serve:
        _answer(variants=list(builds))
        asked = map(json.loads, sys.stdin)
    built: dict[str, Measure] = {}
    for name, seconds in asked:
        if name not in built:
            built[name] = builds[name](case)
        _answer(variant=name, pairs_per_second=built[name](seconds))


def _answer(**fields: object) -> None:
    print(json.dumps(fields), flush=True)
