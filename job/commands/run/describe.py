"""Tells Prometheus which software runs and what it was configured to do."""

import platform

from job import __version__
from job.commands.run.assembly import Assembly, library_versions
from job.commands.run.run_folder import config_sha256
from job.commands.run.session import Session
from job.config.binding import as_record


def describe_process(session: Session, *, assembly: Assembly, dataset_sha256: str) -> None:
    """Fills `siamese_build_info` and `siamese_run_info`.

    Args:
        session: Surroundings of the process.
        assembly: The model on its devices.
        dataset_sha256: Fingerprint of the data.
    """
    config = session.config
    versions = library_versions(config.data.kind)
    session.metrics.describe_build(
        version=__version__,
        revision="",  # known to whoever builds an image, not to the package
        python_version=platform.python_version(),
        tensorflow_version=versions["tensorflow"],
        keras_version=versions["keras"],
    )
    stopping = config.callbacks.early_stopping
    session.metrics.describe_run(
        run_id=config.run.name,
        encoder=config.model.encoder.kind,
        head=config.model.head.kind,
        loss=config.training.loss.kind,
        optimizer=config.training.optimizer.kind,
        global_batch_size=config.training.global_batch_size,
        learning_rate=config.training.optimizer.learning_rate,
        precision=config.model.precision,
        strategy=f"{type(assembly.strategy).__name__}({len(assembly.devices)})",
        dataset=dataset_sha256[:12],
        monitor=stopping.monitor if stopping else config.checkpoint.monitor,
        seed=config.run.seed,
        config_hash=config_sha256(as_record(config))[:12],
    )
