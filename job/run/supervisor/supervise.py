"""Watches over a training process: the first process of a pod where several workers train.

The training process can be stuck in native code with Python's lock held, where it answers
nobody. This one imports no TensorFlow, so it always answers: it owns the metrics port and the
signals, kills a frozen process and starts it again. `rules` decides; here is what acts.
"""

import logging
import math
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from job.config.distribution import DistributionConfig
from job.config.loader.load_config import LoadedConfig
from job.distribution.cluster import Cluster
from job.distribution.kubernetes import Pod, pod_of
from job.errors import ExitCode
from job.run.signal_pipe import Signals
from job.run.supervisor.beat import FD, PORT
from job.run.supervisor.endpoint import Endpoint
from job.run.supervisor.process import TrainingProcess
from job.run.supervisor.rules import Due, Leave, Limits, Ward
from job.telemetry.logs.setup import configure_logging
from job.telemetry.server import MetricsServer
from job.telemetry.termination_message import write_termination_message
from job.training.signals import StopSignal

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.5


def is_to_supervise(
    section: DistributionConfig, *, cluster: Cluster, env: Mapping[str, str]
) -> bool:
    """Whether this process is to supervise the one that trains.

    Args:
        section: `distribution`.
        cluster: The workers of the run.
        env: Environment variables; those of a supervised process say no.
    """
    if FD in env or section.supervise == "off":
        return False
    return section.supervise == "on" or cluster.num_workers > 1


def supervise(
    loaded: LoadedConfig,
    command: Sequence[str],
    *,
    cluster: Cluster,
    stop: StopSignal,
    restarts: int,
) -> int:
    """Starts the training process, and again after 76 and 77; returns the last exit code.

    Args:
        loaded: The configuration.
        command: Starts the training process; the first word is the path of a program.
        cluster: The workers of the run.
        stop: The signals that arrived before this function took over.
        restarts: How often it is started again without progress in between.

    Raises:
        ConfigError: The metrics port is not available; nothing has been started then.
        StopError: A signal arrived before anything was started.
    """
    config, pod = loaded.config, pod_of(os.environ)
    setup = configure_logging(
        format=config.logging.format,
        level=config.logging.level,
        stream=sys.stdout,
        run=config.run.name,
        worker=cluster.worker,
    )
    endpoint = Endpoint()
    server = MetricsServer(endpoint.app, host=config.metrics.host, port=config.metrics.port)
    with ExitStack() as stack:
        stack.enter_context(setup)
        signals = stack.enter_context(Signals())
        stop.raise_if_requested()
        port = 0
        if config.metrics.enabled:
            port = server.start()
            stack.callback(server.stop)
            endpoint.start_refreshing()
        started = time.monotonic()
        supervisor = _Supervisor(
            Ward(
                Limits(
                    frozen_seconds=config.distribution.frozen_seconds,
                    restarts=restarts,
                    grace_seconds=float(pod.grace_seconds) if pod else math.inf,
                ),
                now=started,
            ),
            endpoint,
            signals=signals,
            start=lambda: TrainingProcess.start(
                command,
                env=_environment(
                    os.environ,
                    port=port,
                    pod=pod,
                    seconds=time.monotonic() - started,
                    was_started=endpoint.was_started,
                ),
            ),
        )
        return supervisor.run()


def _environment(
    env: Mapping[str, str], *, port: int, pod: Pod | None, seconds: float, was_started: bool
) -> dict[str, str]:
    """The variables of a training process that starts `seconds` after the supervisor."""
    changed = {**env, PORT: str(port)}
    if pod is not None and pod.max_startup_seconds is not None:
        # Its clock begins now, that of the startup probe began with the pod.
        left = 0 if was_started else max(1, round(pod.max_startup_seconds - seconds))
        changed["POD_MAX_STARTUP_SECONDS"] = str(left or "")
    return changed


class _Supervisor:
    """The loop over signals, beats, time and the end of the process."""

    def __init__(
        self,
        ward: Ward,
        endpoint: Endpoint,
        *,
        signals: Signals,
        start: Callable[[], TrainingProcess],
    ) -> None:
        self._ward = ward
        self._endpoint = endpoint
        self._signals = signals
        self._start = start

    def run(self) -> int:
        while True:
            process = self._start()
            log.info("training process started", extra={"pid": process.pid})
            self._ward.started(now=time.monotonic())
            status = self._watch(process)
            process.close()
            self._endpoint.process_ended()
            verdict = self._ward.ended(status)
            if isinstance(verdict, Leave):
                return self._leave(verdict)
            log.warning(
                "training process is started again",
                extra={"exit_code": verdict.code, "restarts_left": verdict.left},
            )

    def _watch(self, process: TrainingProcess) -> int:
        """Attends to the process until it ends; returns how."""
        while (status := process.reap()) is None:
            sources: list[int | socket.socket] = [self._signals.reader]
            if process.socket is not None:
                sources.append(process.socket)
            select.select(sources, [], [], _TICK_SECONDS)
            now = time.monotonic()
            for number in self._signals.read():
                process.signal(number)
                self._ward.signalled(number, now=now)
            for beat in process.beats():
                self._ward.heard(beat, now=now)
                self._endpoint.heard(beat)
            self._act(process, self._ward.due(now=now))
        for beat in process.beats():
            self._ward.heard(beat, now=time.monotonic())
            self._endpoint.heard(beat)
        return status

    def _act(self, process: TrainingProcess, due: Due) -> None:
        if due is Due.STACKS:
            log.error("training process is killed", extra={"reason": self._ward.reason})
            process.signal(signal.SIGUSR2)
            process.signal(signal.SIGCONT)  # a stopped process writes nothing
        elif due is Due.KILL:
            process.kill()

    def _leave(self, verdict: Leave) -> int:
        code, reason = verdict.code, verdict.reason
        self._endpoint.give_up(f"ended with exit code {code}")
        if reason:
            log.error("training process ended", extra={"exit_code": code, "cause": reason})
            known = code in tuple(ExitCode)
            write_termination_message(
                ExitCode(code) if known else ExitCode.UNEXPECTED,
                f"{reason}; the last commit is intact",
                facts={} if known else {"exit_code": code, "cause": "killed"},
            )
        return code
