"""`siamese-job train CONFIG`: from a configuration to a trained, measured, exported model.

Everything that can be refused without TensorFlow is refused before it is imported, and nothing
is written before everything was accepted.
"""

import argparse
import logging
import os
import secrets
from pathlib import Path

from job import __version__
from job.commands.shared import data_access
from job.config.loader.load_config import load_config
from job.data.dataset import Dataset
from job.data.load import load_dataset
from job.distribution.kubernetes import ends_with_the_pod
from job.errors import ExitCode
from job.run.context import RunContext, run_context
from job.run.directory import RunDirectory, completed_summary, open_run_directory, run_uri
from job.storage.preflight import check_permissions
from job.telemetry.tensorflow_output import captured_native_stderr, quieten_tensorflow
from job.telemetry.termination_message import write_termination_message
from job.training.signals import StopSignal
from job.types import SPLITS

log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> ExitCode:
    """Trains."""
    stop = StopSignal()
    stop.install()
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    with run_context(loaded, stop=stop) as session:
        _train(session)
    return ExitCode.FINISHED


def _train(session: RunContext) -> None:
    config = session.config
    _say_hello(session)
    session.health.waiting_for("the run folder")
    folder = open_run_directory(config, env=os.environ, sleep=session.stop.sleep)
    _warn_of_scratch(session, folder=folder)
    finished = completed_summary(folder, config=config)
    if finished is not None:
        facts = {"folder": folder.uri, **finished}
        log.info("already finished", extra=facts)
        log.info("nothing to do", extra={"to_go_on": "raise training.epochs"})
        write_termination_message(ExitCode.FINISHED, "already finished", facts=facts)
        return
    session.health.waiting_for("reading the data")
    stop = session.stop
    # Nothing has been written that a signal could leave half done, so none has to wait.
    with stop.immediate():
        dataset = load_dataset(
            config.data,
            folder=session.loaded.folder,
            seed=config.run.seed,
            access=data_access(config, env=os.environ, sleep=stop.sleep, check=stop.check),
        )
    _describe_data(session, dataset)
    session.stop.check()
    # Whoever else trains this run, and whatever may not be done there, is named now and not
    # after TensorFlow is loaded.
    with folder.locked_if_there():
        if folder.is_remote:
            session.health.waiting_for("the bucket")
            check_permissions(folder.store, nonce=secrets.token_hex(4))
        session.health.waiting_for("loading TensorFlow")
        quieten_tensorflow(os.environ)
        with captured_native_stderr():
            from job.run.train import train
        train(session, dataset=dataset, folder=folder)


def _say_hello(session: RunContext) -> None:
    where = f"http://{session.config.metrics.host}:{session.port}/metrics"
    log.info(
        "siamese-job starts",
        extra={
            "version": __version__,
            "config": str(session.loaded.path),
            "run": session.config.run.name,
            "folder": run_uri(session.config),
            "metrics": where if session.config.metrics.enabled else "off",
        },
    )
    pod = session.pod
    if pod is not None:
        log.info(
            "in a pod",
            extra={
                "pod": pod.name,
                "failures_before": pod.num_failures,
                "preemptions_before": pod.num_preemptions,
            },
        )


def _warn_of_scratch(session: RunContext, *, folder: RunDirectory) -> None:
    if session.pod and folder.lock is not None and ends_with_the_pod(folder.lock.folder):
        log.warning(
            "run folder ends with this pod",
            extra={
                "folder": folder.uri,
                "meaning": "the next pod starts over",
                "remedy": "set run.root to gs://bucket/prefix or to a mounted volume",
            },
        )


def _describe_data(session: RunContext, dataset: Dataset) -> None:
    shown: dict[str, object] = {"items": len(dataset.items)}
    for split in SPLITS:
        counts = dataset.counts[split]
        classes = "" if counts.classes is None else f" of {counts.classes} classes"
        matching = f"{counts.positive / counts.pairs:.0%} match"
        shown[split] = f"{counts.pairs} pairs{classes} ({matching})"
        session.metrics.set_dataset(
            split,
            examples=counts.items,
            positive=counts.positive,
            negative=counts.negative,
        )
    bad = dataset.quarantine.num_bad
    session.metrics.count_input_records(dataset.quarantine.rows_read - bad, corrupt=bad)
    log.info("data loaded", extra={**shown, "bad_rows": bad})
