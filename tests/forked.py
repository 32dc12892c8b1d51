"""Processes that have TensorFlow from the start.

A test that kills a run, or that needs its own number of replicas, needs a process. Importing
TensorFlow takes five seconds, so these are forked from a server that has imported it::

    victim = Forked(main, ["train", "tiny.yaml"])
    wait_for(victim, "checkpoint committed")
    victim.kill()
    victim.communicate()

A test of what happens before TensorFlow is imported, or of what it logs, starts a process as a
user does.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Target = Callable[..., int | None]
CONTEXT = multiprocessing.get_context("forkserver")
# Importing them starts no device: the number of replicas is still open.
CONTEXT.set_forkserver_preload(
    [
        "bokeh.embed",
        "bokeh.io",
        "bokeh.models",
        "bokeh.resources",
        "jinja2",
        "job.cli",
        "job.commands.train",
        "job.run.callbacks",
        "job.run.components",
        "job.run.finalize",
        "job.run.lead",
        "job.run.quality",
        "job.run.train",
        "rapidfuzz.process",
        "sklearn.linear_model",
    ]
)


class Forked:
    """A function in a process of its own, watched as a `subprocess.Popen` is.

    Args:
        target: What runs there. What it returns is the exit status.
        args: Its arguments.
        env: All variables of the process; None takes those of this one.
        cwd: Its working directory; None takes that of this process.
        log: File that both of its streams are written to, instead of being read here.
    """

    def __init__(
        self,
        target: Target,
        *args: Any,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> None:
        place = dict(os.environ if env is None else env), str(cwd or os.getcwd())
        pipes: list[tuple[Connection, Connection]] = []
        if log is None:
            pipes = [CONTEXT.Pipe(duplex=False) for _ in ("out", "err")]
        else:
            log.write_bytes(b"")  # nobody reads what an earlier process wrote there
        ends = [theirs for _, theirs in pipes]
        self._process = CONTEXT.Process(
            target=_run, args=(target, args, *place, log, ends), daemon=True
        )
        self._process.start()
        if pipes:
            self.stdout, self.stderr = (_reader(ours) for ours, _ in pipes)
        for connection in chain.from_iterable(pipes):
            connection.close()
        self.kill, self.terminate = self._process.kill, self._process.terminate

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Does nothing if the process has ended."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once the process has ended.

        Raises:
            TimeoutExpired: It runs for longer.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0.0)
        return self.returncode

    def communicate(self, timeout: float = 180) -> tuple[str, str]:
        """The rest of standard output and of standard error, once the process has ended."""
        with self.stdout, self.stderr, ThreadPoolExecutor() as readers:
            texts = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            self._process.join(timeout)
            if self.returncode is None:
                self.kill()
                raise subprocess.TimeoutExpired(str(self._process), timeout)
            out, err = (text.result() for text in texts)
        return out, err


def run_forked(target: Target, *args: Any) -> str:
    """What a function prints in a separate process, which must succeed."""
    process = Forked(target, *args)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


def _reader(connection: Connection) -> Any:
    return os.fdopen(os.dup(connection.fileno()), encoding="utf-8")


def _run(
    target: Target,
    args: tuple[Any, ...],
    env: dict[str, str],
    folder: str,
    log: Path | None,
    ends: list[Connection],
) -> None:
    for number, end in enumerate(ends, start=1):
        os.dup2(end.fileno(), number)
        end.close()
    if log is not None:
        with log.open("wb") as file:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.exit(target(*args))
