"""`siamese-job train CONFIG`: from a configuration to a trained, measured, exported model.

Everything that can be refused without TensorFlow is refused before it is imported, and nothing
is written before everything was accepted.
"""

import argparse
import contextlib
import logging
import os
from pathlib import Path

from job import __version__
from job.commands.run_folder import finished_facts, open_run_folder
from job.commands.session import Session, open_session
from job.config.load import load_config
from job.data.load import load_dataset
from job.data.tables import Dataset
from job.errors import ExitCode
from job.telemetry.native_stderr import captured_native_stderr, quieten_tensorflow
from job.training.stop import StopRequest
from job.types import SPLITS

log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> ExitCode:
    """Trains."""
    stop = StopRequest()
    stop.install()
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    with open_session(loaded, stop=stop) as session:
        _train(session)
    return ExitCode.FINISHED


def _train(session: Session) -> None:
    config = session.config
    folder = open_run_folder(config)
    _say_hello(session, uri=folder.uri)
    finished = finished_facts(folder, config=config)
    if finished is not None:
        log.info("already finished", extra={"folder": folder.uri, **finished})
        log.info("nothing to do", extra={"to_go_on": "raise training.epochs"})
        return
    session.health.waiting_for("reading the data")
    dataset = load_dataset(config.data, folder=session.loaded.folder, seed=config.run.seed)
    _describe_data(session, dataset)
    session.stop.check()
    with contextlib.ExitStack() as stack:
        if folder.exists():
            # Whoever else trains this run is named now, not after TensorFlow is loaded.
            stack.enter_context(folder.lock)
        session.health.waiting_for("loading TensorFlow")
        quieten_tensorflow(os.environ)
        with captured_native_stderr():
            from job.commands.training_run import train_run
        train_run(session, dataset=dataset, folder=folder)


def _say_hello(session: Session, *, uri: str) -> None:
    where = f"http://{session.config.metrics.host}:{session.port}/metrics"
    log.info(
        "siamese-job starts",
        extra={
            "version": __version__,
            "config": str(session.loaded.path),
            "run": session.config.run.name,
            "folder": uri,
            "metrics": where if session.config.metrics.enabled else "off",
        },
    )


def _describe_data(session: Session, dataset: Dataset) -> None:
    shown: dict[str, object] = {"items": len(dataset.items)}
    for split in SPLITS:
        pairs = dataset.pairs[split]
        shown[split] = f"{len(pairs)} pairs ({pairs.num_positive / len(pairs):.0%} match)"
        session.metrics.set_dataset(
            split,
            examples=len(pairs.items()),
            positive=pairs.num_positive,
            negative=pairs.num_negative,
        )
    bad = dataset.quarantine.num_bad
    session.metrics.count_input_records(dataset.quarantine.rows_read - bad, corrupt=bad)
    log.info("data loaded", extra={**shown, "bad_rows": bad})
