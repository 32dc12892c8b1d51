"""Variants of a peer's script, measured when asked: a name on standard input, JSON on output.

A process stays alive between measurements, so that each side is built and compiled once. Run
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


def main(variants_of: Callable[[TrainingCase], Mapping[str, Build]]) -> None:
    """Measures the variants that the command line or standard input names.

    Args:
        variants_of: What builds each variant, by name, for a case.
    """
    parser = argparse.ArgumentParser(description="Measures the training speed of a peer.")
    cases = CASES | GPU_CASES
    parser.add_argument("case", choices=cases)
    parser.add_argument("--serve", action="store_true", help="read variants from the input")
    arguments = parser.parse_args()
    case = cases[arguments.case]
    builds = variants_of(case)
    if arguments.serve:
        _answer(variants=list(builds))
    built: dict[str, Measure] = {}
    for line in sys.stdin if arguments.serve else builds:
        name = line.strip()
        if name not in built:
            built[name] = builds[name](case)
        _answer(variant=name, pairs_per_second=built[name](case.seconds))


def _answer(**fields: object) -> None:
    print(json.dumps(fields), flush=True)
