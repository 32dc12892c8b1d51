"""A training process that takes no time to start: beats, metrics, signals, and one behaviour.

`python -m tests.run.supervisor.standin FOLDER BEHAVIOUR`; every start adds a line to
FOLDER/starts, every signal one to FOLDER/signals.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from job.errors import ExitCode, JobError
from job.run.supervisor import child
from job.telemetry.health import Health
from job.telemetry.server import MetricsServer, routes
from job.training.signals import StopSignal


class CountedSignal(StopSignal):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _receive(self, number, frame):
        note(self._folder / "signals", str(number))
        super()._receive(number, frame)


def note(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(f"{text}\n")


def behave(behaviour: str, *, folder: Path, stop: StopSignal) -> int:
    name, _, argument = behaviour.partition(":")
    if name == "end":
        return int(argument)
    if name == "kill":
        os.kill(os.getpid(), int(argument))
    if name == "orphan":  # its parent is gone when it ends
        subprocess.run(["sh", "-c", "sleep 0.3 & exit 0"], check=True)
    if name == "busy":
        while True:  # the main thread never comes to a safe point
            time.sleep(0.01)
    if name == "freeze":
        time.sleep(0.5)  # the first beats and pages
        note(folder / "frozen", str(os.getpid()))
        sleep = ctypes.PyDLL(None).sleep
        while True:  # holds Python's lock
            sleep(60)
    while True:
        stop.raise_if_requested()
        time.sleep(0.01)


def main(folder: Path, behaviour: str) -> int:
    note(folder / "starts", str(os.getpid()))
    if (folder / "slow").exists():
        time.sleep(1.0)  # before there is a handler
    stop = CountedSignal(folder)
    stop.install()
    registry, health = CollectorRegistry(), Health()
    Gauge("standin", "Its process.", registry=registry).set(os.getpid())
    server = MetricsServer(routes(registry, health), host="127.0.0.1", port=0)
    child.BEAT_SECONDS = 0.1
    line = child.line_of(os.environ)
    with child.Beats(line, health=health, stop=stop, step=lambda: 7) as beats:
        beats.port = server.start()
        health.finish_startup()
        try:
            return behave(behaviour, folder=folder, stop=stop)
        except JobError as error:
            time.sleep(0.3)  # commits; a second signal would end it with another code
            return error.exit_code


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = main(Path(sys.argv[1]), sys.argv[2])
    os._exit(int(code if code is not None else ExitCode.FINISHED))
