"""Runs every comparison, one after the other; what `make bench` calls.

    .venv/bin/python -m benchmarks.run_all [--docs] [NAME ...]

The numbers are written to build/bench/NAME.json, and the tables printed. With `--docs` the
tables also replace those in docs/benchmarks.md.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.peers import environment

FOLDER = measure.REPOSITORY / "build" / "bench"
DOCS = measure.REPOSITORY / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results begin -->\n", "<!-- results end -->\n"
# Titles by script, in the order they are run.
SCRIPTS = {
    "training_speed": "Training",
    "time_to_quality": "Time to a quality",
    "evaluation_speed": "Evaluation",
    "score_speed": "Scoring a file",
    "padding": "Padding",
    "overheads": "What the promises cost",
    "scaling": "Several workers and replicas",
    "profile": "Where the time of a step goes",
    "gpu": "On a GPU",
}


def run(name: str) -> str:
    """Runs a script; returns what it printed.

    Raises:
        CalledProcessError: It failed.
    """
    command = [
        sys.executable,
        "-m",
        f"benchmarks.{name}",
        "--json",
        str(FOLDER / f"{name}.json"),
    ]
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=measure.REPOSITORY, check=True, stdout=subprocess.PIPE, text=True
    )
    print(f"{SCRIPTS[name]} ({time.monotonic() - started:.0f} s)\n\n{done.stdout}", flush=True)
    return done.stdout.strip()


def as_markdown(found: dict[str, str]) -> str:
    """The tables below their titles, after the machine that they are of."""
    parts = [f"Measured on {measure.describe_machine()}.\n"]
    parts += [f"### {SCRIPTS[name]}\n\n```text\n{text}\n```\n" for name, text in found.items()]
    return "\n".join(parts)


def with_results(document: str, results: str) -> str:
    """The document with other results between its two marks.

    Raises:
        ValueError: It has no marks.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{results}\n{END}{after}"


def main() -> None:
    """Runs the scripts."""
    parser = argparse.ArgumentParser(description="Runs every comparison.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}")
    parser.add_argument("--docs", action="store_true", help=f"write the tables to {DOCS.name}")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(SCRIPTS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; known: {', '.join(SCRIPTS)}")
    environment.python()  # made before the clock starts
    started = time.monotonic()
    found = {name: run(name) for name in SCRIPTS if name in (arguments.names or SCRIPTS)}
    print(f"all of it: {time.monotonic() - started:.0f} s", flush=True)
    if arguments.docs:
        document = DOCS.read_text(encoding="utf-8")
        DOCS.write_text(with_results(document, as_markdown(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
