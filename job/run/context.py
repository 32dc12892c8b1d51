"""The surroundings of a run: logs, metrics, probes, and an ending that all of them agree on."""

import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from job import __version__
from job.config.loader.load_config import LoadedConfig
from job.config.root import Config
from job.distribution.cluster import Cluster, cluster_of
from job.distribution.kubernetes import Pod, pod_of
from job.errors import ExitCode, JobError
from job.run.directory import run_uri
from job.run.supervisor.child import Beats, line_of
from job.run.watchdog import Watchdog
from job.telemetry.health import Health
from job.telemetry.listener import Listeners
from job.telemetry.logs.setup import LoggingSetup, configure_logging
from job.telemetry.run_metrics import RunMetrics
from job.telemetry.server import MetricsServer, routes
from job.training.signals import StopSignal

log = logging.getLogger(__name__)

_LINGER_POLL_SECONDS = 0.1
# The startup probe fails for the last time up to one period (10 s) before its budget ends, and
# the container starts some seconds before this clock.
_STARTUP_MARGIN_SECONDS = 20.0
# Two periods of the liveness probe: the third one that fails has the pod killed.
_SILENT_SECONDS = 60.0
_STOPPED = (ExitCode.PREEMPTED, ExitCode.INTERRUPTED)


@dataclass(frozen=True)
class RunContext:
    """What one process of a run works with.

    Attributes:
        loaded: The configuration and where it came from.
        stop: Whether a signal asked the process to stop.
        cluster: Which worker this process is.
        listener: Receives what happens in the run: metrics and health.
        metrics: The metrics, for the callbacks that export steps and progress.
        logging: The log format and the owner of standard output.
        port: Where metrics are served; 0 if they are not.
        pod: The pod of the process; None outside a cluster.
        started: Monotonic seconds at the start.
        watchdog: Ends a process that makes no progress.
    """

    loaded: LoadedConfig
    stop: StopSignal
    cluster: Cluster
    listener: Listeners
    metrics: RunMetrics
    logging: LoggingSetup
    port: int
    pod: Pod | None
    started: float
    watchdog: Watchdog

    @property
    def config(self) -> Config:
        """The resolved configuration."""
        return self.loaded.config

    @property
    def seconds(self) -> float:
        """Wall time of this process so far."""
        return time.monotonic() - self.started

    @property
    def grace_seconds(self) -> float:
        """Time from SIGTERM to SIGKILL; unlimited outside a cluster."""
        return math.inf if self.pod is None else float(self.pod.grace_seconds)


@contextmanager
def run_context(loaded: LoadedConfig, *, stop: StopSignal) -> Iterator[RunContext]:
    """Starts logs, metrics and probes; ends them with the outcome of the block.

    Raises:
        ConfigError: The metrics port is not available; nothing has been written then.
    """
    config, line = loaded.config, line_of(os.environ)
    registry = CollectorRegistry()
    cluster = cluster_of(os.environ)
    metrics = RunMetrics(registry, run=config.run.name, chief=cluster.is_chief)
    health = Health()
    setup = configure_logging(
        format=config.logging.format,
        level=config.logging.level,
        stream=sys.stdout,
        run=config.run.name,
        worker=cluster.worker,
        metrics=metrics,
    )
    server = MetricsServer(
        routes(registry, health),
        host="127.0.0.1" if line else config.metrics.host,
        port=0 if line else config.metrics.port,
    )
    pod, started = pod_of(os.environ), time.monotonic()
    stop.look_for_cause(
        lambda: cause_of_sigterm(health, pod=pod, seconds=time.monotonic() - started)
    )
    watchdog = Watchdog(stop, stall_seconds=config.training.stall_seconds)
    beats = Beats(line, health=health, stop=stop, step=setup.current_step)
    with setup, watchdog, beats:
        beats.port = server.start() if config.metrics.enabled else 0
        run = RunContext(
            loaded,
            stop,
            cluster,
            Listeners(metrics, health, watchdog, beats),
            metrics,
            setup,
            line.port if line else beats.port,
            pod,
            started,
            watchdog,
        )
        try:
            with _record_outcome(run):
                _log_startup(run)
                yield run
        finally:
            if config.metrics.enabled:
                # A run that was rejected or already complete has no last values to scrape.
                if health.startup().ok:
                    _linger(config.metrics.linger_seconds, stop=stop)
                server.stop()


def cause_of_sigterm(health: Health, *, pod: Pod | None, seconds: float) -> str:
    """For what fault Kubernetes ends this process; "" if for none, as in a preemption.

    Args:
        health: What the probes were told.
        pod: The pod of the process.
        seconds: Wall time of the process so far.
    """
    startup = health.startup()
    budget = pod.max_startup_seconds if pod else None
    if budget is None:  # there are no probes
        return ""
    if startup.ok:
        silent = health.silent_seconds
        if silent < _SILENT_SECONDS:
            return ""
        return (
            f"/livez was not answered for {silent:.0f} s. The metrics endpoint must answer "
            "within 5 s"
        )
    if seconds < budget - _STARTUP_MARGIN_SECONDS:
        return ""
    return (
        f"training did not start within {budget} s ({startup.reason}). Raise "
        "failure.maxStartupSeconds, or shorten what it waited for"
    )


def _log_startup(run: RunContext) -> None:
    config = run.config
    address = f"http://{config.metrics.host}:{run.port}/metrics"
    log.info(
        "siamese-job starts",
        extra={
            "version": __version__,
            "config": str(run.loaded.path),
            "run": config.run.name,
            "folder": run_uri(config),
            "metrics": address if config.metrics.enabled else "off",
        },
    )
    if run.pod is not None:
        log.info(
            "in a pod",
            extra={
                "pod": run.pod.name,
                "failures_before": run.pod.num_failures,
                "preemptions_before": run.pod.num_preemptions,
            },
        )


@contextmanager
def _record_outcome(run: RunContext) -> Iterator[None]:
    try:
        yield
    except JobError as error:
        _end(run, error.exit_code)
        raise
    except BaseException:
        _end(run, ExitCode.UNEXPECTED)
        raise
    run.listener.set_phase("succeeded")
    run.listener.stop_being_ready("finished")


def _end(run: RunContext, code: ExitCode) -> None:
    if code is ExitCode.PREEMPTED:
        run.listener.preemption_noticed()
    run.listener.set_phase("draining" if code in _STOPPED else "failed")
    run.listener.stop_being_ready(f"ended with exit code {code.value}")
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
