"""What surrounds a command that works on a run: logs, metrics, probes, and a true ending."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from job.config.loader.load_config import LoadedConfig
from job.config.root import Config
from job.distribution.cluster import Cluster
from job.distribution.kubernetes import Pod, pod_of
from job.errors import ExitCode, JobError
from job.telemetry.health import Health
from job.telemetry.logs.setup import LoggingSetup, configure_logging
from job.telemetry.run_metrics import RunMetrics
from job.telemetry.server import MetricsServer
from job.training.signals import StopSignal

log = logging.getLogger(__name__)

_LINGER_POLL_SECONDS = 0.1
_STOPPED = (ExitCode.PREEMPTED, ExitCode.INTERRUPTED)


@dataclass(frozen=True)
class RunContext:
    """The surroundings of one process of a run.

    Attributes:
        loaded: The configuration and where it came from.
        stop: Whether a signal asked the process to stop.
        metrics: The Prometheus families.
        health: What the probes answer.
        logging: The log format and the owner of standard output.
        port: Where metrics are served; 0 when they are not.
        pod: Where the process runs; None outside a cluster.
        started: Monotonic seconds at the beginning.
    """

    loaded: LoadedConfig
    stop: StopSignal
    metrics: RunMetrics
    health: Health
    logging: LoggingSetup
    port: int
    pod: Pod | None
    started: float

    @property
    def config(self) -> Config:
        """The resolved configuration."""
        return self.loaded.config

    @property
    def seconds(self) -> float:
        """Wall time of this process so far."""
        return time.monotonic() - self.started


@contextmanager
def run_context(loaded: LoadedConfig, *, stop: StopSignal) -> Iterator[RunContext]:
    """Starts logs, metrics and probes; ends them with the phase the command ended in.

    Raises:
        ConfigError: The metrics port cannot be had; nothing has been written then.
    """
    config = loaded.config
    registry = CollectorRegistry()
    cluster = Cluster()
    metrics = RunMetrics(registry, run=config.run.name, chief=cluster.is_chief)
    health = Health()
    setup = configure_logging(
        format=config.logging.format,
        level=config.logging.level,
        stream=sys.stdout,
        run=config.run.name,
        worker=cluster.worker,
        is_terminal=sys.stdout is not None and sys.stdout.isatty(),
        metrics=metrics,
    )
    server = MetricsServer(
        registry, host=config.metrics.host, port=config.metrics.port, health=health
    )
    with setup:
        port = server.start() if config.metrics.enabled else 0
        pod = pod_of(os.environ)
        session = RunContext(loaded, stop, metrics, health, setup, port, pod, time.monotonic())
        try:
            with _true_ending(session):
                yield session
        finally:
            if config.metrics.enabled:
                # A run that was refused, or had nothing to do, has no last values to wait for.
                if health.startup().ok:
                    _linger(config.metrics.linger_seconds, stop=stop)
                server.stop()


@contextmanager
def _true_ending(session: RunContext) -> Iterator[None]:
    try:
        yield
    except JobError as error:
        _end(session, error.exit_code)
        raise
    except BaseException:
        _end(session, ExitCode.UNEXPECTED)
        raise
    session.metrics.set_phase("succeeded")
    session.health.stop_being_ready("finished")


def _end(session: RunContext, code: ExitCode) -> None:
    if code is ExitCode.PREEMPTED:
        session.metrics.preemption_noticed()
    session.metrics.set_phase("draining" if code in _STOPPED else "failed")
    session.health.stop_being_ready(f"ended with exit code {code.value}")
    log.log(
        logging.INFO if code in _STOPPED else logging.ERROR,
        "run ended",
        extra={"exit_code": code.value, "cause": code.name.lower()},
    )


def _linger(seconds: float, *, stop: StopSignal) -> None:
    """Keeps the endpoint up so that the last values are scraped; a signal ends it."""
    if seconds and not stop.requested:
        log.info("metrics stay up for a last scrape", extra={"seconds": seconds})
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not stop.requested:
        time.sleep(_LINGER_POLL_SECONDS)
