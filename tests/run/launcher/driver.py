"""A launch of stand-ins: `python -m tests.run.launcher.driver FOLDER FORMAT BEHAVIOUR...`."""

import logging
import os
import sys
import time
from pathlib import Path

from job.errors import JobError
from job.run.launcher import launch as module
from job.run.launcher.loopback import free_port_pairs, worker_environment
from job.training.signals import StopSignal


def worker(folder: Path, behaviour: str) -> int:
    index = os.environ["JOB_COMPLETION_INDEX"]
    stop = StopSignal()
    stop.install()
    (folder / f"{index}.addresses").write_text(os.environ["WORKER_ADDRESSES"])
    name, _, argument = behaviour.partition(":")
    if name == "say":
        for number in range(int(argument)):
            sys.stdout.write(f'{{"n": {number}}}\nplain {number}\n')
            sys.stderr.write(f"error {number}\n")
        sys.stdout.write("no newline")
        return 0
    if name == "end":
        time.sleep(float(argument.partition("@")[2] or 0))
        return int(argument.partition("@")[0])
    (folder / f"{index}.runs").touch()
    while name == "stubborn":
        time.sleep(0.01)
    try:
        while True:
            stop.raise_if_requested()
            time.sleep(0.01)
    except JobError as error:
        (folder / f"{index}.stopped").write_text(str(int(error.exit_code)))
        return error.exit_code


def main(folder: Path, json_logs: bool, behaviours: list[str]) -> int:
    logging.basicConfig(stream=sys.stderr)
    module.PATIENCE_SECONDS = module.STOP_SECONDS = 0.7
    ports = free_port_pairs(len(behaviours))
    words = [sys.executable, "-m", "tests.run.launcher.driver", "worker", str(folder)]
    commands = [
        module.Command(
            [*words, behaviour], worker_environment(os.environ, worker=index, ports=ports)
        )
        for index, behaviour in enumerate(behaviours)
    ]
    return module.launch(
        commands, json_logs=json_logs, out=sys.stdout.buffer, err=sys.stderr.buffer
    )


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        sys.exit(worker(Path(sys.argv[2]), sys.argv[3]))
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] == "json", sys.argv[3:]))
