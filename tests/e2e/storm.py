"""Kills runs at random moments of every phase, and compares what becomes of them.

A `Storm` trains a run that nobody disturbs and measures its phases. Then it trains the same run
again and again. It kills each up to `KILLS_PER_RUN` times, lets it end, and compares both::

    rng = random.Random(1)
    report = Storm(config, rng=rng, answer_seconds=12.0).rage(planned(30, rng=rng))
    sys.stdout.write(report.table("LSTM"))
    assert report.faults == []
"""

import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from job.cli import main
from job.errors import ExitCode
from job.run.verify_resume.compare import compare, last_contents
from job.storage.local import FileStore
from tests.forked import Forked

PHASES = (
    "loading data",
    "building",
    "restoring",
    "compiling",
    "training",
    "saving",
    "validating",
    "reporting",
    "exporting",
)
# A process has these more than once.
_REPEATED = ("training", "saving", "validating")
# A run that has got there trains no more.
_LATE = ("reporting", "exporting")
# The result is in HEAD.
_LEAVING = "leaving"
_PHASE_OF_EVENT = {
    "reading the data": "loading data",
    "loading TensorFlow": "building",
    "succeeded": _LEAVING,
} | {phase: phase for phase in PHASES}

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
KILLS_PER_RUN = 10
_HANGS_SECONDS = 300.0
_AFTER_SIGTERM = (ExitCode.PREEMPTED, ExitCode.TERMINATED, -signal.SIGTERM)

_MARK = re.compile(r"^@([\w ]+) ([\d.]+)$", re.MULTILINE)
_WARNING = re.compile(r" WARNING ([\w ]+?)(?= \w+=|$)", re.MULTILINE)


@dataclass(frozen=True)
class Kill:
    """A signal that arrives within a phase, once a process begins that phase for this time."""

    signal: signal.Signals
    phase: str
    time: int = 1


@dataclass(frozen=True)
class Attempt:
    """A process that has ended.

    Attributes:
        code: Its exit code.
        log: Its output, with a line for each phase.
        sent: Monotonic time of the signal; None if it ended before.
        seconds: From the signal to the end.
    """

    code: int
    log: str
    sent: float | None = None
    seconds: float = 0.0

    @property
    def marks(self) -> list[tuple[str, float]]:
        """Phases, "saving" and "saved", with the monotonic time at which each began."""
        return [(name, float(at)) for name, at in _MARK.findall(self.log)]

    @property
    def warnings(self) -> list[str]:
        """Events that it logged as warnings."""
        return _WARNING.findall(self.log)

    @property
    def phase(self) -> str:
        """What it did when the signal was sent; a save runs beside another phase."""
        before = [name for name, at in self.marks if self.sent is None or at <= self.sent]
        saves = [name for name in before if name in ("saving", "saved")]
        if saves[-1:] == ["saving"]:
            return "saving"
        return next((name for name in reversed(before) if name not in saves), "starting")


@dataclass
class Report:
    """What the kills did.

    Attributes:
        hits: Kills by signal and by the phase in which it arrived.
        codes: Exit codes after SIGTERM.
        slowest: The process that took longest from SIGTERM to its exit.
        runs: Runs that were killed and then compared.
        seconds: Time that all of it took.
        warnings: Events that were logged as warnings, but not in the undisturbed run.
        faults: What must not happen, for people.
    """

    hits: Counter[tuple[signal.Signals, str]] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    slowest: Attempt | None = None
    runs: int = 0
    seconds: float = 0.0
    warnings: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def table(self, title: str) -> str:
        """The report, for people."""
        lines = [
            f"{title}: {self.hits.total()} kills of {self.runs} runs in {self.seconds:.0f} s",
            f"{'phase':<14}SIGKILL  SIGTERM",
        ]
        for phase in (*PHASES, _LEAVING):
            killed, stopped = (self.hits[one, phase] for one in SIGNALS)
            lines.append(f"{phase:<14}{killed:7}  {stopped:7}")
        if self.slowest is not None:
            seconds, phase = self.slowest.seconds, self.slowest.phase
            lines.append(f"slowest exit after SIGTERM: {seconds:.1f} s, while {phase}")
        lines += [
            f"exit codes after SIGTERM: {_counted(self.codes)}",
            f"warnings caused by kills: {_counted(self.warnings)}",
            f"equal bit for bit: {'no' if self.faults else 'yes'}",
            *self.faults,
        ]
        return "\n" + "\n  ".join(lines) + "\n"


def planned(each: int, *, rng: random.Random) -> list[Kill]:
    """So many kills with either signal, spread evenly over the phases, in random order."""
    kills = []
    for number in SIGNALS:
        rounds = -(-each // len(PHASES))
        phases = [one for _ in range(rounds) for one in rng.sample(PHASES, len(PHASES))]
        for phase in phases[:each]:
            times = (1, 1, 2) if phase in _REPEATED else (1,)
            kills.append(Kill(number, phase, rng.choice(times)))
    rng.shuffle(kills)
    return kills


class Storm:
    """The undisturbed run of a configuration, and the runs that are killed.

    Args:
        config: Its runs are in `runs` beside it.
        rng: Chooses the moments of the kills.
        answer_seconds: Longest time from SIGTERM to the exit.
    """

    def __init__(self, config: Path, *, rng: random.Random, answer_seconds: float) -> None:
        self._config = config
        self._rng = rng
        self._answer_seconds = answer_seconds
        self._report = Report()
        undisturbed = _attempt(config, "undisturbed")
        assert undisturbed.code == ExitCode.FINISHED, undisturbed.log
        self._seconds = _seconds_of_phases(undisturbed)
        self._usual_warnings = {*undisturbed.warnings}

    def rage(self, kills: Iterable[Kill]) -> Report:
        """Kills runs until every kill has been made, or something went wrong.

        Each run is trained to its end after its kills.
        """
        began, report, left = time.monotonic(), self._report, list(kills)
        while left and not report.faults:
            report.runs += 1
            name = f"storm-{report.runs}"
            batch, left = left[:KILLS_PER_RUN], left[KILLS_PER_RUN:]
            batch.sort(key=lambda kill: kill.phase in _LATE)
            while batch and self._is_killed(name, batch[0]):
                del batch[0]
            # The run ended before these; a new one begins each phase at least once.
            left[:0] = [Kill(kill.signal, kill.phase) for kill in batch]
            self._end(name)
        report.seconds = time.monotonic() - began
        return report

    def _attempt(self, name: str, *, kill: Kill | None = None, delay: float = 0.0) -> Attempt:
        ended = _attempt(self._config, name, kill=kill, delay=delay)
        unusual = [event for event in ended.warnings if event not in self._usual_warnings]
        self._report.warnings.update(unusual)
        return ended

    def _is_killed(self, name: str, kill: Kill) -> bool:
        """Trains up to the kill; False if the run ended before it."""
        delay = self._rng.random() * self._rng.choice(self._seconds[kill.phase])
        ended, report = self._attempt(name, kill=kill, delay=delay), self._report
        allowed: list[int] = [-signal.SIGKILL] if ended.sent else [ExitCode.FINISHED]
        if ended.sent and kill.signal is signal.SIGTERM:
            report.codes[ended.code] += 1
            report.slowest = max(report.slowest or ended, ended, key=lambda one: one.seconds)
            allowed = [*_AFTER_SIGTERM]
        if ended.sent:
            report.hits[kill.signal, ended.phase] += 1
        if _LEAVING in dict(ended.marks):
            allowed.append(ExitCode.FINISHED)
        if ended.code not in allowed or ended.seconds > self._answer_seconds:
            report.faults.append(
                f"{name}, {kill.signal.name} while {ended.phase}: exit code {ended.code} after "
                f"{ended.seconds:.1f} s:\n{ended.log}"
            )
        return ended.sent is not None

    def _end(self, name: str) -> None:
        """Trains to the end and compares with the undisturbed run."""
        ended = self._attempt(name)
        if ended.code != ExitCode.FINISHED:
            self._report.faults.append(f"{name} ended with {ended.code}:\n{ended.log}")
            return
        runs = self._config.parent / "runs"
        found = _differences(runs / "undisturbed", runs / name)
        self._report.faults += [f"{name}: {line}" for line in found]


def _attempt(
    config: Path, name: str, *, kill: Kill | None = None, delay: float = 0.0
) -> Attempt:
    """Trains a run until the kill, some seconds after its phase began, or to the end."""
    process = Forked(marked_main, ["train", str(config), "--set", f"run.name={name}"])
    hangs = threading.Timer(_HANGS_SECONDS, process.kill)
    hangs.start()
    seen, sent, times_left = "", None, kill.time if kill else 0
    for line in process.stdout:
        seen += line
        if kill is None or not line.startswith(f"@{kill.phase} "):
            continue
        times_left -= 1
        if times_left == 0:
            time.sleep(delay)
            if process.poll() is None:
                sent = time.monotonic()
                with suppress(ProcessLookupError):
                    process.send_signal(kill.signal)
            break
    out, err = process.communicate(_HANGS_SECONDS)
    hangs.cancel()
    seconds = time.monotonic() - sent if sent else 0.0
    assert process.returncode is not None
    return Attempt(process.returncode, seen + out + err, sent, seconds)


def marked_main(arguments: Sequence[str]) -> int:
    """`main`, which also prints the time at which each phase begins."""
    from job.checkpoints.manager import CheckpointManager
    from job.run import finalize
    from job.telemetry.listener import Listeners

    newest = ""

    def mark(name: str) -> None:
        os.write(1, f"@{name} {time.monotonic()}\n".encode())

    def begin(name: str) -> None:
        nonlocal newest
        phase = _PHASE_OF_EVENT.get(name, newest)
        if phase != newest:
            newest = phase
            mark(phase)

    def tell(self: Listeners, event: str, *args: Any, **kwargs: Any) -> None:
        if event in ("waiting_for", "set_phase"):
            begin(args[0])
        tells(self, event, *args, **kwargs)

    def save(self: CheckpointManager, *args: Any, **kwargs: Any) -> Any:
        mark("saving")
        try:
            return saves(self, *args, **kwargs)
        finally:
            mark("saved")

    def export_model(*args: Any, **kwargs: Any) -> Any:
        begin("exporting")
        return exports(*args, **kwargs)

    tells, Listeners._tell = Listeners._tell, tell
    saves, CheckpointManager.save = CheckpointManager.save, save
    exports, finalize.export_model = finalize.export_model, export_model
    return main(arguments)


def _seconds_of_phases(undisturbed: Attempt) -> dict[str, list[float]]:
    """How long each phase took, each time."""
    seconds: dict[str, list[float]] = {}
    saves = [mark for mark in undisturbed.marks if mark[0] in ("saving", "saved")]
    phases = [mark for mark in undisturbed.marks if mark not in saves]
    for marks in (saves, phases):
        for (name, began), (_, ended) in pairwise(marks):
            seconds.setdefault(name, []).append(ended - began)
    return seconds


def _differences(undisturbed: Path, killed: Path) -> list[str]:
    """What differs between two runs that have ended, for people."""
    both = (undisturbed, killed)
    differences = [*compare(*(last_contents(FileStore(run)) for run in both)).differences]
    one, two = (json.loads((run / "summary.json").read_text()) for run in both)
    for key in ("state_sha256", "metrics"):
        if one[key] != two[key]:
            differences.append(f"{key}: {one[key]} in the undisturbed run, {two[key]}")
    if len({(run / "history.json").read_bytes() for run in both}) > 1:
        differences.append("history.json differs")
    return differences


def _counted(what: Counter[Any]) -> str:
    return ", ".join(f"{one} ({what[one]} times)" for one in sorted(what)) or "none"
