"""Several workers of one run on this machine."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from job.cli import main
from job.run.launcher.loopback import free_port_pairs
from tests.forked import Forked

# A worker is lost when its process has ended or was silent for this long.
SILENCE_SECONDS = 6
_DEADLINE_SECONDS = 120.0


class Workers:
    """The processes of one attempt.

    Args:
        config: The configuration.
        count: How many.
        sets: Values of `--set` for all of them.
        own: Further ones by worker.
        env: Environment variables by worker.
        start: The workers that are started.
        configs: Configurations of single workers, in place of the common one.
        cwd: Their working directory.
    """

    def __init__(
        self,
        config: Path,
        *sets: str,
        count: int = 2,
        own: Mapping[int, list[str]] = {},
        env: Mapping[int, Mapping[str, str]] = {},
        start: list[int] | None = None,
        configs: Mapping[int, Path] = {},
        cwd: Path | None = None,
    ) -> None:
        ports = free_port_pairs(count)  # outgoing connections of others do not take them
        self.addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.logs = [config.parent / f"worker-{number}.log" for number in range(count)]
        self.processes: dict[int, Forked] = {}
        for number in range(count) if start is None else start:
            command = ["train", str(configs.get(number, config))]
            common = ["metrics.port=0", "distribution.devices=cpu"]
            common.append(f"distribution.silence_seconds={SILENCE_SECONDS}")
            for one in [*common, "distribution.supervise=off", *sets, *own.get(number, [])]:
                command += ["--set", one]
            place = {
                "WORKER_ADDRESSES": self.addresses,
                "JOB_COMPLETION_INDEX": str(number),
            }
            self.processes[number] = Forked(
                main,
                command,
                env={**os.environ, **place, **env.get(number, {})},
                cwd=cwd,
                log=self.logs[number],
            )

    def wait_for(self, text: str, worker: int = 0) -> None:
        """Returns once a worker has logged `text`."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while text not in self.log(worker):
            ended = self.processes[worker].poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(
                    f"worker {worker} never said {text!r}:\n{self.log(worker)}"
                )
            time.sleep(0.02)

    def log(self, worker: int) -> str:
        """What a worker has written."""
        return self.logs[worker].read_text(errors="replace")

    def send(self, number: signal.Signals, *workers: int) -> None:
        """Sends a signal to some workers."""
        for worker in workers:
            self.processes[worker].send_signal(number)

    def codes(self, *, seconds: float = _DEADLINE_SECONDS) -> list[int]:
        """The exit codes, in order of the workers; all must have ended within some seconds."""
        deadline = time.monotonic() + seconds
        try:
            return [
                process.wait(max(0.0, deadline - time.monotonic()))
                for _, process in sorted(self.processes.items())
            ]
        except subprocess.TimeoutExpired as error:
            said = "\n\n".join(f"worker {w}:\n{self.log(w)}" for w in self.processes)
            raise AssertionError(f"they have not ended within {seconds} s\n{said}") from error
        finally:
            for process in self.processes.values():
                process.kill()
                process.wait()

    def finish(self) -> None:
        """Waits for the end of a run that must finish."""
        codes = self.codes()
        assert codes == [0] * len(codes), "\n".join(self.log(w) for w in self.processes)
