"""Runs several workers on this machine, as the pods of a Job would run them.

Each worker is a `train` process with the environment variables that the chart sets. Their logs
are merged by line::

    code = launch(commands, json_logs=False, out=sys.stdout.buffer, err=sys.stderr.buffer)
"""

import logging
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from job.run.launcher.outcome import End, exit_code, must_others_end
from job.run.signal_pipe import Signals

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
# Workers learn of another one's end from each other, and then end with a code that says so.
PATIENCE_SECONDS = 10.0
STOP_SECONDS = 30.0
_DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Command:
    """What starts one worker.

    Attributes:
        words: The program and its arguments.
        env: All its environment variables.
    """

    words: Sequence[str]
    env: Mapping[str, str]


def launch(
    commands: Sequence[Command], *, json_logs: bool, out: BinaryIO, err: BinaryIO
) -> int:
    """Runs the workers to their end.

    SIGTERM and SIGINT are passed on to each worker, a second one, too. When the chief has ended
    or a worker has failed, the others get `PATIENCE_SECONDS` to notice, then SIGTERM.

    Args:
        commands: One for each worker, in the order of their indices.
        json_logs: Whether lines name their worker, so that they need no prefix.
        out: Where standard output of all workers goes.
        err: Where standard error of all workers goes.

    Returns:
        The exit code (see `outcome`).
    """
    with Signals() as signals, ExitStack() as started:
        workers = []
        for index, command in enumerate(commands):
            workers.append(_Worker(index, command, json_logs=json_logs, out=out, err=err))
            started.callback(workers[-1].close)
        fleet = _Fleet(workers)
        while fleet.running:
            fleet.signal(*signals.read())
            fleet.reap()
            fleet.end_the_rest(now=time.monotonic())
            select.select([signals.reader], [], [], _TICK_SECONDS)
        return exit_code(fleet.ends)


class _Fleet:
    """The workers, and how those ended that have.

    Attributes:
        running: Those that have not ended.
        ends: The ends of the others, in order.
    """

    def __init__(self, workers: Sequence["_Worker"]) -> None:
        self.running = list(workers)
        self.ends: list[End] = []
        self._ending_since: float | None = None
        self._is_stopped = False

    def signal(self, *numbers: int) -> None:
        """Passes signals on, in order."""
        for number in numbers:
            for worker in self.running:
                worker.signal(number)

    def reap(self) -> None:
        """Notes who has ended."""
        for worker in list(self.running):
            code = worker.poll()
            if code is not None:
                self.running.remove(worker)
                self.ends.append(End(worker.index, code, was_stopped=self._is_stopped))
                if code:
                    facts = {"worker": worker.index, "exit_code": code}
                    log.warning("worker ended", extra=facts)

    def end_the_rest(self, *, now: float) -> None:
        """Ends the workers that cannot go on, step by step."""
        if self._ending_since is None:
            self._ending_since = now if must_others_end(self.ends) else None
        elif now - self._ending_since >= PATIENCE_SECONDS + STOP_SECONDS:
            self.signal(signal.SIGKILL)
        elif now - self._ending_since >= PATIENCE_SECONDS and not self._is_stopped:
            self._is_stopped = True
            left = ", ".join(str(worker.index) for worker in self.running)
            log.warning("workers are stopped, as others have ended", extra={"left": left})
            self.signal(signal.SIGTERM)


class _Worker:
    """One process and the threads that read its output."""

    def __init__(
        self, index: int, command: Command, *, json_logs: bool, out: BinaryIO, err: BinaryIO
    ) -> None:
        self.index = index
        # A process group of its own: a terminal's Ctrl-C reaches it once, from here.
        self._process = subprocess.Popen(
            list(command.words),
            env=dict(command.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        prefix = f"[{index}] ".encode()
        self._readers = [
            threading.Thread(
                target=_copy_lines,
                kwargs={
                    "source": source,
                    "target": target,
                    "prefix": prefix,
                    "unless": unless,
                },
                daemon=True,
            )
            for source, target, unless in (
                (self._process.stdout, out, b"{" if json_logs else None),
                (self._process.stderr, err, None),
            )
        ]
        for reader in self._readers:
            reader.start()

    def signal(self, number: int) -> None:
        """Sends a signal, if the process still runs."""
        self._process.send_signal(number)

    def poll(self) -> int | None:
        """Its exit code, 128 + n for signal n; None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def close(self) -> None:
        """Kills it if it runs, and writes what it said last."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(_DRAIN_SECONDS)  # what it started may hold the pipe open


def _copy_lines(
    *, source: BinaryIO, target: BinaryIO, prefix: bytes, unless: bytes | None
) -> None:
    with source:
        for line in source:
            if not line.endswith(b"\n"):
                line += b"\n"
            bare = unless is not None and line.startswith(unless)
            try:
                target.write(line if bare else prefix + line)
                target.flush()
            except (OSError, ValueError):
                continue  # nobody reads; a worker that cannot write would block
