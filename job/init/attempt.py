"""Trains a few candidates for some minutes and keeps the one that ranks validation best.

Each candidate is a subprocess of the command line with `--set`, with the same seed, the same
time and the same validation pairs; what it reached is read from its log, so a candidate that
is still training when its time is over counts by its best epoch::

    results = attempt(candidates, train=Trainer(...), seconds=300)
    best_of(results)
"""

import ctypes
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from job.config.scalars import to_yaml
from job.errors import ConfigError
from job.init.candidates import Candidate
from job.telemetry.terminal import aligned_columns

# Time for loading the libraries and the data, and for enough steps to tell candidates apart.
LEAST_SECONDS = 40.0
MONITOR = "val_roc_auc"
_STEPS_PER_EPOCH = 50
_VALIDATION_PAIRS = 2_000
# More epochs than any time limit lets it train.
_EPOCHS = 10_000
_GRACE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Result:
    """How far a candidate came.

    Attributes:
        candidate: The candidate.
        roc_auc: Its best ROC-AUC on validation; None if it did not finish an epoch.
        steps: The optimizer steps it took until then.
        seconds: The time it had.
        error: Why it could not be trained; "" otherwise.
    """

    candidate: Candidate
    roc_auc: float | None
    steps: int
    seconds: float
    error: str = ""


def choose_candidates(candidates: Sequence[Candidate], *, seconds: float) -> list[Candidate]:
    """The first candidates, as many as `seconds` suffice for."""
    return list(candidates[: int(seconds / LEAST_SECONDS)])


def require_time(seconds: float) -> None:
    """Makes sure that there is time for two candidates.

    Raises:
        ConfigError: There is not.
    """
    if not seconds >= 2 * LEAST_SECONDS:
        raise ConfigError(
            f"init: --try {seconds / 60.0:g} minutes are too few to compare two candidates, "
            f"each of which needs {LEAST_SECONDS:.0f} seconds. Give at least "
            f"{2 * LEAST_SECONDS / 60.0:.1f}."
        )


def attempt(
    candidates: Sequence[Candidate],
    *,
    train: Callable[[Candidate, float], Result],
    seconds: float,
    report: Callable[[Result], None],
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Result]:
    """Trains one candidate after the other; what one leaves of its time is the others'.

    Args:
        candidates: From `choose_candidates`.
        train: Trains a candidate for at most so many seconds.
        seconds: Time for all of them.
        report: Told each result.
        now: The clock.
    """
    end = now() + seconds
    for number, candidate in enumerate(candidates):
        share = (end - now()) / (len(candidates) - number)
        result = train(candidate, share)
        report(result)
        yield result


def best_of(results: Sequence[Result]) -> Result:
    """The result with the largest ROC-AUC; of equal ones the first.

    Raises:
        ConfigError: No candidate finished an epoch.
    """
    measured = [result for result in results if result.roc_auc is not None]
    if not measured:
        reasons = [result.error for result in results if result.error]
        raise ConfigError(
            "init: --try: no candidate was measured in its time. Give more minutes or "
            f"leave it out.{' The first one ended with: ' + reasons[0] if reasons else ''}"
        )
    return max(measured, key=lambda result: result.roc_auc or 0.0)


def format_results(results: Sequence[Result], *, chosen: Result) -> str:
    """The results as a table, the best first, with a final line feed."""
    ranked = sorted(results, key=lambda one: -(one.roc_auc or 0.0))
    rows = [
        (
            f"{'* ' if one is chosen else '  '}{one.candidate.name}",
            "-" if one.roc_auc is None else f"{one.roc_auc:.4f}",
            f"{one.steps:,}",
            f"{one.seconds:.0f}",
        )
        for one in ranked
    ]
    return aligned_columns(("candidate", "val ROC-AUC", "steps", "seconds"), rows) + "\n"


class Trainer:
    """Trains candidates in subprocesses of the command line.

    Args:
        config: The configuration that candidates change.
        root: Absolute folder that its data paths are relative to.
        scratch: Folder for the runs.
        most_epochs: Epochs of `_STEPS_PER_EPOCH` steps, at most.
    """

    def __init__(
        self, config: Path, *, root: Path, scratch: Path, most_epochs: int = _EPOCHS
    ) -> None:
        self._config = config
        self._root = root
        self._scratch = scratch
        self._most_epochs = most_epochs
        self._count = 0

    def __call__(self, candidate: Candidate, seconds: float) -> Result:
        """Trains a candidate for at most so many seconds.

        The process is ended in any case, also by Ctrl-C.
        """
        self._count += 1
        started = time.monotonic()
        sets = {
            **candidate.changes,
            "data.root": str(self._root),
            "run.root": str(self._scratch),
            "run.name": f"try-{self._count}",
            "training.epochs": self._most_epochs,
            **_SHORT,
        }
        command = [sys.executable, "-m", "job", "train", str(self._config)]
        for key, value in sets.items():
            command += ["--set", f"{key}={to_yaml(value)}"]
        # A file: a full pipe that nobody reads would stop the process.
        with (self._scratch / f"try-{self._count}.err").open("w+") as errors:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                preexec_fn=_end_with_the_parent,
            )
            timer = Timer(max(seconds - _GRACE_SECONDS / 2, 1.0), process.terminate)
            timer.start()
            try:
                best = _best_epoch(process.stdout or ())
            finally:
                timer.cancel()
                _end(process)
            errors.seek(0)
            error = (errors.read().strip().splitlines() or [""])[-1]
        value, steps = best if best else (None, 0)
        taken = time.monotonic() - started
        return Result(candidate, value, steps, taken, "" if best else error)


_SHORT: Mapping[str, Any] = {
    "training.steps_per_epoch": _STEPS_PER_EPOCH,
    "evaluation.validation_pairs": _VALIDATION_PAIRS,
    "checkpoint.every_seconds": None,
    "callbacks.early_stopping": None,
    "callbacks.reduce_learning_rate": None,  # its patience is that of whole epochs
    "export.enabled": False,
    "metrics.enabled": False,
    "logging.format": "json",
    "logging.level": "INFO",
}


def _best_epoch(lines: Any) -> tuple[float, int] | None:
    """The best ROC-AUC that a log tells of, and the step it belongs to."""
    best: tuple[float, int] | None = None
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict) or record.get("event") != "epoch finished":
            continue
        value = record.get(MONITOR)
        if isinstance(value, float) and (best is None or value > best[0]):
            best = value, int(record.get("step", 0))
    return best


def _end_with_the_parent() -> None:
    """Has the kernel send SIGTERM to this process when its parent is gone, also if killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(process: "subprocess.Popen[str]") -> None:
    """Ends the process, if it still runs, and waits for it."""
    process.terminate()
    try:
        process.communicate(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
