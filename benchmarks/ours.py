"""This product as its users run it: `siamese-job train`, watched through its own log.

Metrics are served and checkpoints saved, as always. A measurement ends with SIGTERM, to which
the program answers with a save::

    with Training(config, folder=folder) as training:
        speed = training.speed(warm_up=2.0, seconds=5.0)
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.measure import REPOSITORY

# How often the program logs a progress line; the ends of a measurement are among them.
_LOG_SECONDS = 0.1
# How often metrics are read, as by a Prometheus that is in a hurry.
_SCRAPE_SECONDS = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Speed:
    """What training did between two progress lines.

    Attributes:
        steps: Optimizer steps.
        seconds: Wall time.
        cpu_seconds: Processor time of all threads.
        saves: Checkpoints that were committed.
        pairs_per_second: Of the global batch.
    """

    steps: int
    seconds: float
    cpu_seconds: float
    saves: int
    pairs_per_second: float


@dataclass(frozen=True)
class Event:
    """A line of the log.

    Attributes:
        name: The event.
        time: When it was logged, in seconds since 1970.
        fields: All of the line.
    """

    name: str
    time: float
    fields: dict[str, Any]


class Training:
    """One process of `siamese-job train`.

    Args:
        config: The configuration.
        folder: Working directory; the run is in `runs` below it, which must be empty or absent.
        sets: Further `--set` arguments.
        command: What to run instead of the `siamese-job` of this environment.
        env: Further environment variables.
    """

    def __init__(
        self,
        config: Path,
        *,
        folder: Path,
        sets: Sequence[str] = (),
        command: Sequence[str] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        options = [
            f"run.root={folder / 'runs'}",
            "metrics.port=0",
            "logging.format=json",
            f"logging.every_seconds={_LOG_SECONDS}",
            *sets,
        ]
        self._command = [
            *(command or [str(Path(sys.executable).parent / "siamese-job")]),
            "train",
            str(config),
            *(part for option in options for part in ("--set", option)),
        ]
        self._folder = folder
        # The working tree comes before an installed package of the same name.
        self._env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})}
        self.metrics: str | None = None  # address, once the program has logged it

    def __enter__(self) -> "Training":
        self.started = time.time()
        self._stderr = (self._folder / "stderr.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._stderr.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def events(self) -> Iterator[Event]:
        """The lines of the log as they come.

        Raises:
            RuntimeError: The program has failed.
        """
        if self._process.stdout is None:
            raise RuntimeError("the process has no output")
        for line in self._process.stdout:
            fields = json.loads(line)
            when = datetime.fromisoformat(fields["time"]).timestamp()
            if fields["event"] == "siamese-job starts" and fields["metrics"] != "off":
                self.metrics = fields["metrics"]
            yield Event(fields["event"], when, fields)
        if self._process.wait():
            self._stderr.seek(0)
            raise RuntimeError(
                f"{' '.join(self._command)} ended with exit code {self._process.returncode}:\n"
                f"{self._stderr.read()[-2000:]}"
            )

    def steps(self) -> Iterator[Event]:
        """The progress lines, the first one after the first step."""
        return (event for event in self.events() if event.name == "training")

    def seconds_to_first_step(self) -> float:
        """Wall time from the start of the process to the end of the first step."""
        return next(self.steps()).time - self.started

    def speed(self, *, batch: int, warm_up: float, seconds: float) -> Speed:
        """Measures between two progress lines, and reads the metrics meanwhile.

        Args:
            batch: Pairs in a step.
            warm_up: Seconds after the first step before the measurement begins.
            seconds: Least length of the measurement.

        Raises:
            RuntimeError: Training ended before.
        """
        first: Event | None = None
        begin: Event | None = None
        cpu_before, scraped, saves = 0.0, time.monotonic(), 0
        for event in self.events():
            saves += begin is not None and event.name == "checkpoint committed"
            if event.name != "training":
                continue
            first = first or event
            if time.monotonic() - scraped >= _SCRAPE_SECONDS and self.metrics:
                with urllib.request.urlopen(self.metrics, timeout=10) as page:
                    page.read()
                scraped = time.monotonic()
            if begin is None:
                if event.time - first.time >= warm_up:
                    begin, cpu_before = event, cpu_seconds(self.pid)
            elif event.time - begin.time >= seconds:
                wall = event.time - begin.time
                steps = event.fields["step"] - begin.fields["step"]
                cpu = cpu_seconds(self.pid) - cpu_before
                return Speed(steps, wall, cpu, saves, steps * batch / wall)
        raise RuntimeError("training ended before it could be measured")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its threads have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
